package wire

// Bounds of the encoding itself (identity/SPEC.md W1). Bounds of a kind of
// message live beside that kind.
const (
	// MaxNesting is the deepest array in an array any format needs: a
	// certificate inside a chain inside a join request inside an admit.
	MaxNesting = 6
	// MaxElements bounds one array; the longest legal one is a list of pins,
	// four chains for each of a group's 1 000 devices.
	MaxElements = 4096
	// MaxMs is the first clock value, in ms since 1970, that is refused:
	// 2^48 is the year 10889, and order keys store 6 bytes.
	MaxMs = 1 << 48
	// MaxArmoured is the most bytes one armoured text holds: a contact card
	// with three certificates, a long name and three hints is 1.2 KB.
	MaxArmoured = 4096
	// MaxFindText is how much of a pasted text is searched, in bytes: several
	// times the longest message of any chat app, and searched in milliseconds.
	MaxFindText = 64 << 10
	// MaxFound is how many armoured texts are taken from one pasted text: a
	// person pastes one, or one with a few older ones quoted below it.
	MaxFound = 8
)
