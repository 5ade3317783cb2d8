package invites

// Bounds of what a passcode and its lobby carry (SPEC.md V1, V5, V12–V17).
const (
	// MaxHints is how many addresses a passcode names: with three the code
	// still fits a QR code a phone reads from a screen.
	MaxHints = 3
	// MaxHint is the longest packed hint in bytes: a circuit through an IPv6
	// relay, 1 + 16 + 2 + 32 + 32.
	MaxHint = 83
	// MaxPreviewName bounds a group's name, in bytes: 64 characters of 4.
	MaxPreviewName = 256
	// MaxPreviewPicture bounds a group's picture in a preview, in bytes: a
	// thumbnail for a card, since the preview travels before any trust.
	MaxPreviewPicture = 32 << 10
	// MaxLobbyAddress bounds a sealed address record, in bytes: it is gossiped
	// to everybody who waits in the lobby.
	MaxLobbyAddress = 1 << 10
	// MaxLobbyPreview bounds a sealed preview, in bytes: picture, name and
	// three certificates, with room to spare.
	MaxLobbyPreview = 40 << 10
	// maxLobbySeek bounds a sealed record of somebody who looks: there is nothing
	// in it but a tag.
	maxLobbySeek = 64
	// MaxLobbyFrame bounds what is said on a lobby's topic, in bytes: an address,
	// or a preview without a picture. Strangers pass it on.
	MaxLobbyFrame = 2 << 10
	// maxShownName is how many characters of a name stand in a message: two of
	// them are shorter than any passcode, so no name can hold one.
	maxShownName = 40
	// minCap and maxCap are the fewest and most members a group's cap allows,
	// allHistory its largest history policy; groups owns these bounds, a
	// preview only repeats them.
	minCap, maxCap, allHistory = 2, 500, 65535
)
