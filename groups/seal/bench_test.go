package seal

import (
	"crypto/hpke"
	"crypto/rand"
	"testing"

	"mutuals/identity/wire"
)

func recipients(b *testing.B, n int) ([]Recipient, [][32]byte) {
	b.Helper()
	to, seeds := make([]Recipient, n), make([][32]byte, n)
	for i := range to {
		seed, pk, err := GenerateKEM(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		to[i], seeds[i] = Recipient{ID: wire.OpID{byte(i)}, KemPk: pk}, seed
	}
	return to, seeds
}

// BenchmarkRekey100 is all a rekey costs its author besides the signature.
func BenchmarkRekey100(b *testing.B) {
	to, _ := recipients(b, 100)
	for b.Loop() {
		e, _ := NewSecret(rand.Reader)
		Derive(wire.GroupID{}, [32]byte{}, e)
		Root(Hashes(WrapAll(wire.GroupID{}, [32]byte{}, e, to)))
	}
}

// BenchmarkRawHPKE100 is the part of it the library takes.
func BenchmarkRawHPKE100(b *testing.B) {
	to, _ := recipients(b, 100)
	for b.Loop() {
		for _, r := range to {
			pk, err := hpke.MLKEM768X25519().NewPublicKey(r.KemPk)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := hpke.Seal(pk, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, make([]byte, 32)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkUnwrap(b *testing.B) {
	to, seeds := recipients(b, 1)
	w, _ := Wrap(to[0].KemPk, wire.GroupID{}, [32]byte{}, to[0].ID, 0, Secret{1})
	for b.Loop() {
		if _, err := Unwrap(seeds[0], wire.GroupID{}, [32]byte{}, to[0].ID, 0, w); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawUnwrap is the part of it the library takes.
func BenchmarkRawUnwrap(b *testing.B) {
	to, seeds := recipients(b, 1)
	kem := hpke.MLKEM768X25519()
	pk, err := kem.NewPublicKey(to[0].KemPk)
	if err != nil {
		b.Fatal(err)
	}
	box, err := hpke.Seal(pk, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sk, err := kem.NewPrivateKey(seeds[0][:])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := hpke.Open(sk, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, box); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyLeafOf1000(b *testing.B) {
	leaves := make([][32]byte, 1000)
	root, proof := Root(leaves), Proof(leaves, 567)
	for b.Loop() {
		if !VerifyProof(root, leaves[567], 567, 1000, proof) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCheckKEM(b *testing.B) {
	to, _ := recipients(b, 1)
	for b.Loop() {
		if err := CheckKEM(to[0].KemPk); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMessage seals and opens a short text, with the sender key kept.
func BenchmarkMessage(b *testing.B) {
	s := Derive(wire.GroupID{}, [32]byte{}, Secret{}).Sender(wire.OpID{})
	plain, aad := make([]byte, 120), make([]byte, 300)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			s.Message(1, [16]byte{}).Seal(aad, plain)
		}
	})
	box := s.Message(1, [16]byte{}).Seal(aad, plain)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Message(1, [16]byte{}).Open(aad, box); err != nil {
				b.Fatal(err)
			}
		}
	})
}
