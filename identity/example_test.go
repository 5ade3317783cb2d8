package identity_test

import (
	"fmt"
	"math/rand/v2"

	"mutuals/identity"
	"mutuals/identity/wire"
)

// someone sets up an account with one device, as a program does with
// crypto/rand.Reader and the clock.
func someone(seed byte) (identity.DeviceKeys, identity.Chain) {
	rand := rand.NewChaCha8([32]byte{seed})
	entropy, err := identity.NewEntropy(rand)
	if err != nil {
		panic(err)
	}
	keys, err := identity.NewDeviceKeys(rand)
	if err != nil {
		panic(err)
	}
	return keys, identity.NewChain(entropy.Root(), keys, 1, identity.CapAddDevices, 1_800_000_000_000)
}

// Two people follow each other: each signs an edge, hands it over, and judges
// the other's.
func Example() {
	const now = 1_800_000_000_000
	adaKeys, ada := someone(1)
	benKeys, ben := someone(2)

	follow := func(k identity.DeviceKeys, from, to identity.Chain) []byte {
		return wire.Marshal(identity.SignEdge(k, from, to.Leaf().Account, identity.NextN(0, now), identity.EdgeFollow, now))
	}
	receive := func(frame []byte) *identity.SignedEdge {
		e, err := identity.DecodeEdge(frame)
		if err == nil {
			err = e.Verify()
		}
		if err != nil {
			fmt.Println("refused:", err)
			return nil
		}
		return &e
	}

	out, in := receive(follow(adaKeys, ada, ben)), receive(follow(benKeys, ben, ada))
	fmt.Println("only Ada follows:", identity.Mutual(out, nil))
	fmt.Println("both follow:", identity.Mutual(out, in))
	// Output:
	// only Ada follows: false
	// both follow: true
}

func ExampleParseWords() {
	words := identity.Entropy{31: 1}.Words()
	typed := "  Abandon ABANDON\n" + words[len("abandon abandon "):]
	entropy, err := identity.ParseWords(typed)
	fmt.Println(entropy == identity.Entropy{31: 1}, err)

	_, err = identity.ParseWords("correct horse battery staple")
	fmt.Println(err)
	// Output:
	// true <nil>
	// word 3 is not in the list
}

func ExampleParseCard() {
	keys, chain := someone(1)
	card, err := identity.SignCard(keys, chain, "Ada", nil, 1_800_000_000_000)
	if err != nil {
		panic(err)
	}
	pasted := "加我吧：\n" + card.Link() + "\n😀"

	read, err := identity.ParseCard(pasted)
	if err != nil {
		panic(err)
	}
	fmt.Println(read.Card.Name, read.Card.Account == chain.Leaf().Account)
	// Output: Ada true
}

func ExampleChain_Extend() {
	laptop, chain := someone(1)
	phone, err := identity.NewDeviceKeys(rand.NewChaCha8([32]byte{3}))
	if err != nil {
		panic(err)
	}
	cert := identity.NewCertificate(chain.Leaf().Account, phone, 2, 0, 1_800_000_000_000)
	longer, err := chain.Extend(laptop, cert)
	if err != nil {
		panic(err)
	}

	// The phone shows the chain and proves both its keys; anyone checks both.
	leaf, err := longer.Verify()
	fmt.Println(leaf.OpKey == phone.ID(), err, phone.Prove(cert).Verify(leaf))
	// Output: true <nil> <nil>
}

func ExampleSafetyNumber() {
	_, ada := someone(1)
	_, ben := someone(2)
	a, b := ada.Leaf().Account, ben.Leaf().Account
	fmt.Println(identity.SafetyNumber(a, b) == identity.SafetyNumber(b, a))
	fmt.Println(identity.SafetyNumber(wire.AccountID{}, wire.AccountID{1}))
	// Output:
	// true
	// 71608 05104 26318 13670 47644 07513 46221 18976 09484 82237 41290 53415
}
