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
)
