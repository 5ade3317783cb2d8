package seal

import (
	"crypto/sha256"

	"mutuals/identity/wire"
)

// The tree is that of RFC 6962 section 2.1, its leaves being wraps (S7).

// LeafHash is SHA-256(0x00 || id || u32be kemGen || wrap).
func LeafHash(id wire.OpID, kemGen uint32, wrap []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(id[:])
	h.Write(u32(kemGen))
	h.Write(wrap)
	return [32]byte(h.Sum(nil))
}

// Hash is the leaf's LeafHash. Call Check first on what came from outside.
func (l Leaf) Hash() [32]byte { return LeafHash(l.ID, uint32(l.KemGen), l.Wrap) }

// Hashes returns the leaf hashes of a wrap set, in order.
func Hashes(leaves []Leaf) [][32]byte {
	out := make([][32]byte, len(leaves))
	for i := range leaves {
		out[i] = leaves[i].Hash()
	}
	return out
}

// Root returns the tree head; of no leaves, SHA-256 of nothing.
func Root(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := split(len(leaves))
	return node(Root(leaves[:k]), Root(leaves[k:]))
}

// Proof returns the audit path of leaf i, nearest sibling first; nil when
// there is no leaf i, and for the only leaf.
func Proof(leaves [][32]byte, i int) [][32]byte {
	if i < 0 || i >= len(leaves) || len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(Proof(leaves[:k], i), Root(leaves[k:]))
	}
	return append(Proof(leaves[k:], i-k), Root(leaves[:k]))
}

// VerifyProof tells whether leaf is number i of the n leaves under root. A
// proof of any other length than the path's is refused.
func VerifyProof(root, leaf [32]byte, i, n int, proof [][32]byte) bool {
	if i < 0 || i >= n || n > MaxLeaves || len(proof) > MaxProof {
		return false
	}
	got, ok := climb(leaf, i, n, proof)
	return ok && got == root
}

// climb walks from the root down, so that the shape of the tree, not the
// proof, decides on which side each sibling stands.
func climb(leaf [32]byte, i, n int, proof [][32]byte) ([32]byte, bool) {
	if n == 1 {
		return leaf, len(proof) == 0
	}
	if len(proof) == 0 {
		return leaf, false
	}
	k, last := split(n), len(proof)-1
	if i < k {
		h, ok := climb(leaf, i, k, proof[:last])
		return node(h, proof[last]), ok
	}
	h, ok := climb(leaf, i-k, n-k, proof[:last])
	return node(proof[last], h), ok
}

// split is the largest power of two below n, n > 1.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func node(l, r [32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:33], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}
