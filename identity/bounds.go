package identity

// Bounds of what this package reads (SPEC.md I2). A length is checked before
// anything is decoded, and every bound before a signature is.
const (
	// Version is the only version of every format here (I1).
	Version = 1

	// MaxChain is how many certificates may lead from the root to a device:
	// the machine set up first, one it added, one that one added.
	MaxChain = 3
	// MaxLiveDevices of one account count; beyond it root-signed ones come
	// first, then the newest. Two telephones, two computers, a server.
	MaxLiveDevices = 5

	// MaxNameRunes and MaxNameBytes bound a display name: long enough for any
	// person's full name, short enough for one line; 4 bytes a character.
	MaxNameRunes = 64
	MaxNameBytes = 256
	// MaxBioBytes bounds the short text under a name.
	MaxBioBytes = 1 << 10
	// MaxAvatarBytes bounds the reference to a picture (keys and hashes), not
	// the picture.
	MaxAvatarBytes = 1 << 10

	// MaxHints is how many addresses a card carries: a LAN, a public and a
	// relayed one.
	MaxHints = 3
	// MaxHintBytes bounds one packed address; a relayed IPv6 one with two
	// peer keys takes about 90.
	MaxHintBytes = 128

	// MaxReason is the largest number a revocation may give as its reason.
	MaxReason = 1<<16 - 1

	// MaxKeep bounds the devices a revocation keeps: all others an account has.
	MaxKeep = MaxLiveDevices - 1

	// MaxAheadMs is how far a clock value may lie ahead of the reader's own
	// before what carries it is held: 5 minutes (I12).
	MaxAheadMs = 5 * 60 * 1000

	// Whole frames: core, signature and a chain of three (about 200 bytes
	// a certificate), rounded up.
	MaxEdgeFrame       = 1 << 10
	MaxFollowListFrame = 1 << 10
	MaxRevocationFrame = 1 << 10
	MaxProfileFrame    = 4 << 10
	MaxCardFrame       = 2 << 10

	// KEMPublicLen is the length of a public KEM key (groups/seal/SPEC.md S6);
	// what it holds is not judged here.
	KEMPublicLen = 1216
	// MaxLinkCode bounds a link code: 63 bytes and three relayed IPv6 hints
	// without their peer keys, 51 each.
	MaxLinkCode = 512
	// MaxLinkHello bounds a new machine's hello: a KEM key and 110 bytes.
	MaxLinkHello = 2 << 10
	// MaxRestoreHello bounds what a restored device says: one certificate and
	// two proofs, sealed, about 400 bytes.
	MaxRestoreHello = 1 << 10
	// maxTypedNumber bounds, in bytes, what is read as six digits.
	maxTypedNumber = 64

	// MaxKeyFile bounds keys.sealed and root.sealed; both are below 300 bytes.
	MaxKeyFile = 1 << 10
	// MaxWordsText bounds what is typed as 24 words; the longest 24 take 215
	// bytes with one space between.
	MaxWordsText = 4 << 10
	// MaxPassphrase bounds a passphrase in bytes, so that normalising it is
	// cheap.
	MaxPassphrase = 1 << 10
)
