package seal

const (
	// SecretLen is the length of an epoch secret E and of a message secret M.
	SecretLen = 32
	// commitLen is the length of kc, the key commitment in front of a box.
	commitLen = 32
	// tagLen is the length of the AEAD's tag.
	tagLen = 16
	// MaxPlain is the longest plaintext of one message: the largest padding
	// step less its end mark. Larger things are blobs.
	MaxPlain = maxStep - 1
	// MaxSealed is the longest box: what MaxPlain seals to. With a core of at
	// most 2 KiB it leaves a frame far below the 160 KiB of a gossip message.
	MaxSealed = commitLen + maxStep + tagLen
	// MinSealed is the shortest box: the smallest padding step.
	MinSealed = commitLen + minStep + tagLen

	// KEMSeedLen is the length of the seed a KEM key is made from.
	KEMSeedLen = 32
	// KEMPublicLen is the length of an MLKEM768-X25519 public key: 1 184 + 32.
	KEMPublicLen = 1216
	// encLen is the length of an encapsulated key: 1 088 + 32.
	encLen = 1120
	// WrapLen is the length of a wrap that is not empty.
	WrapLen = encLen + SecretLen + tagLen

	// MaxLeaves bounds the recipients of a rekey: 1 000 devices a group and 16
	// sleep-proof invites.
	MaxLeaves = 1016
	// MaxProof is the depth of the tree over MaxLeaves.
	MaxProof = 10
	// MaxWrapSet bounds an encoded wrap set: MaxLeaves leaves of an id, a
	// number, a wrap and their CBOR heads (3 + 34 + 5 + 1 171 bytes and a spare).
	MaxWrapSet = MaxLeaves*1216 + 64

	// MaxReplyBody bounds the secrets in one key reply; who needs more asks
	// again. 256 KiB are about 3 700 epochs or messages.
	MaxReplyBody = 256 << 10
	// MaxReply is a sealed reply of that size.
	MaxReply = encLen + MaxReplyBody + tagLen

	// MaxLinkBody bounds what a new device is told in its link: some 4 000
	// edges and profiles; what is older comes by the devices' own synchronising.
	MaxLinkBody = 3 << 20
	// MaxLink is a sealed link reply of that size.
	MaxLink = encLen + MaxLinkBody + tagLen
	// MaxRequestEIDs bounds the epochs asked for at once: a member away for a
	// year of weekly rekeys needs 52.
	MaxRequestEIDs = 64
	// MaxRequest bounds an encoded signed request: 64 eids, ids, signature.
	MaxRequest = 4 << 10
)
