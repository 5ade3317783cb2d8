package identity

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

func drawMs(t *rapid.T, label string) uint64 {
	return rapid.Uint64Range(0, wire.MaxMs-1).Draw(t, label)
}

// drawName draws a legal name.
func drawName(t *rapid.T, label string) string {
	legal := rapid.Rune().Filter(func(r rune) bool { return !deceptive(r) })
	return rapid.StringOfN(legal, 0, MaxNameRunes, MaxNameBytes).Draw(t, label)
}

// drawPerson draws an account with a device at depth one to three.
func drawPerson(t *rapid.T) person {
	p := newPerson(rapid.Byte().Draw(t, "person"))
	for depth := rapid.IntRange(1, MaxChain).Draw(t, "depth"); len(p.chain) < depth; {
		k, err := NewDeviceKeys(rand.NewChaCha8([32]byte{0xff, byte(len(p.chain))}))
		if err != nil {
			t.Fatal(err)
		}
		longer, err := p.chain.Extend(p.keys, NewCertificate(p.root.Account(), k, uint64(len(p.chain)), CapAddDevices, drawMs(t, "issued")))
		if err != nil {
			t.Fatal(err)
		}
		p.keys, p.chain = k, longer
	}
	return p
}

// roundTrip: what is signed verifies, is read back as it was, and no flipped
// bit of it is accepted.
func roundTrip[T any](t *rapid.T, v T, decode func([]byte) (T, error), verify func(T) error) {
	t.Helper()
	frame := wire.Marshal(v)
	got, err := decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(got); err != nil {
		t.Fatal(err)
	}
	if again := wire.Marshal(got); !bytes.Equal(again, frame) {
		t.Fatalf("%x came back as %x", frame, again)
	}
	bit := rapid.IntRange(0, 8*len(frame)-1).Draw(t, "bit")
	spoilt := bytes.Clone(frame)
	spoilt[bit/8] ^= 1 << (bit % 8)
	if got, err := decode(spoilt); err == nil && verify(got) == nil {
		t.Fatalf("accepted with bit %d flipped", bit)
	}
}

func TestWhatIsSignedComesBackAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPerson(t)
		to := wire.AccountID(newKeys(200).ID())
		switch rapid.IntRange(0, 4).Draw(t, "format") {
		case 0:
			roundTrip(t, SignEdge(p.keys, p.chain, to, drawMs(t, "n"), rapid.Uint64Range(0, 1).Draw(t, "state"), drawMs(t, "ms")), DecodeEdge, SignedEdge.Verify)
		case 1:
			root := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root"))
			roundTrip(t, SignFollowList(p.keys, p.chain, drawMs(t, "n"), root), DecodeFollowList, SignedFollowList.Verify)
		case 2:
			s, err := SignProfile(p.keys, p.chain, drawMs(t, "n"), drawName(t, "name"), drawName(t, "bio"), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "avatar"))
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, s, DecodeProfile, SignedProfile.Verify)
		case 3:
			hints := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, MaxHintBytes), 0, MaxHints).Draw(t, "hints")
			s, err := SignCard(p.keys, p.chain, drawName(t, "name"), hints, drawMs(t, "ms"))
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, s, DecodeCard, SignedCard.Verify)
			if got, err := ParseCard(s.Link()); err != nil || !bytes.Equal(wire.Marshal(got), wire.Marshal(s)) {
				t.Fatalf("the link does not come back: %v", err)
			}
		case 4:
			var keep []wire.DeviceID
			for range rapid.IntRange(0, MaxKeep).Draw(t, "kept") {
				keep = append(keep, newKeys(rapid.Byte().Draw(t, "kept device")).ID())
			}
			roundTrip(t, SignRevocation(p.keys, p.chain, wire.DeviceID(to), rapid.Uint64Range(0, MaxReason).Draw(t, "reason"), drawMs(t, "ms"), keep...), DecodeRevocation, SignedRevocation.Verify)
		}
	})
}

// A revocation never reaches more by keeping more; what hangs below a kept
// device stays with it, and the one that ends is not kept (I15).
func TestKeepingSavesWholeBranchesAndNeverTheOneThatEnds(t *testing.T) {
	whole := forge(MaxChain, -1, nil)
	root := newPerson(1).root
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, MaxChain-1).Draw(t, "ends")
		var keep []wire.DeviceID
		kept := map[int]bool{}
		for i := range whole {
			if rapid.Bool().Draw(t, "keep") {
				keep, kept[i] = append(keep, whole[i].Cert.OpKey), true
			}
		}
		r := root.Revoke(whole[at].Cert.OpKey, ReasonLost, testMs, keep...)
		if err := r.Verify(); err != nil {
			t.Fatal(err)
		}
		gone := false // down the chain, from the root
		for leaf := range whole {
			gone = leaf == at || gone && !kept[leaf]
			if got := r.Revocation.Reaches(whole[:leaf+1]); got != gone {
				t.Fatalf("device %d when %d ends and %v stay: ends %v", leaf, at, kept, got)
			}
			if r.Voids(whole[:leaf+1], testMs) || r.Voids(whole[:leaf+1], testMs+1) != gone {
				t.Fatalf("device %d: the time does not decide", leaf)
			}
		}
	})
}

func TestWordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entropy(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "entropy"))
		got, err := ParseWords(e.Words())
		if err != nil || got != e {
			t.Fatal(got, err)
		}
	})
}

func TestKeysComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Secrets{Master: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "master"))}
		if rapid.Bool().Draw(t, "root") {
			s.RootEraseKey = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "erase key")
		}
		p := rapid.SampledFrom([]Protection{Unprotected(), Keychain([32]byte{7}),
			{Method: MethodPassphrase, Passphrase: []byte("x"), cost: &quick}}).Draw(t, "protection")
		file, err := SealKeys(testRand(rapid.Byte().Draw(t, "rand")), s, p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenKeys(file, func(Method) (Protection, error) { return p, nil })
		if len(got.RootEraseKey) == 0 {
			got.RootEraseKey = nil
		}
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("did not come back: %v", err)
		}
		bit := rapid.IntRange(0, 8*len(file)-1).Draw(t, "bit")
		file[bit/8] ^= 1 << (bit % 8)
		_, err = OpenKeys(file, func(m Method) (Protection, error) {
			if m != p.Method {
				return Protection{}, ErrWrongKey
			}
			f, err := readKeyfile(file)
			if err != nil || f.MKiB > 1<<12 || f.T > 4 { // legal, but not worth the test's time
				return Protection{}, ErrWrongPassphrase
			}
			return p, nil
		})
		if err == nil {
			t.Fatalf("opened with bit %d flipped", bit)
		}
	})
}

// drawEdges draws edges of one pair that often agree in n and state.
func drawEdges(t *rapid.T, min, max int) []SignedEdge {
	p, to := newPerson(1), wire.AccountID(newKeys(200).ID())
	edges := make([]SignedEdge, rapid.IntRange(min, max).Draw(t, "edges"))
	for i := range edges {
		draw := func(what string, max uint64) uint64 { return rapid.Uint64Range(0, max).Draw(t, what) }
		edges[i] = SignEdge(p.keys, p.chain, to, draw("n", 2), draw("state", 1), draw("ms", 2))
	}
	return edges
}

func TestNewerEdgeIsATotalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEdges(t, 3, 3)
		a, b, c := e[0], e[1], e[2]
		if NewerEdge(a, a) {
			t.Fatal("an edge is newer than itself")
		}
		if a.Edge.ID() != b.Edge.ID() && NewerEdge(a, b) == NewerEdge(b, a) {
			t.Fatal("two edges, and neither or both are newer")
		}
		if NewerEdge(a, b) && NewerEdge(b, c) && !NewerEdge(a, c) {
			t.Fatal("not transitive")
		}
	})
}

func TestMergingEdgesKnowsNoOrder(t *testing.T) {
	merge := func(edges []SignedEdge) [32]byte {
		best := edges[0]
		for _, e := range edges[1:] {
			if NewerEdge(e, best) {
				best = e
			}
		}
		return best.Edge.ID()
	}
	rapid.Check(t, func(t *rapid.T) {
		edges := drawEdges(t, 1, 8)
		other := rapid.Permutation(edges).Draw(t, "other order")
		other = append(other, rapid.SampledFrom(edges).Draw(t, "again"))
		if merge(edges) != merge(other) {
			t.Fatal("another order, another edge")
		}
	})
}

func TestEdgeRootIsOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := make([][32]byte, rapid.IntRange(0, 20).Draw(t, "ids"))
		for i := range ids {
			ids[i] = wire.Hash([]byte{byte(i)})
		}
		root := EdgeRoot(ids)
		shuffled := rapid.Permutation(ids).Draw(t, "other order")
		if EdgeRoot(shuffled) != root {
			t.Fatal("the order of the ids matters")
		}
		if len(ids) > 0 && EdgeRoot(ids[1:]) == root {
			t.Fatal("a missing edge does not show")
		}
	})
}

func TestSafetyNumberIsOfThePair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := wire.AccountID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "a"))
		b := wire.AccountID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "b"))
		s := SafetyNumber(a, b)
		if s != SafetyNumber(b, a) || len(s) != 12*5+11 {
			t.Fatal(s)
		}
	})
}

func TestNextNIsAboveTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last, now := drawMs(t, "last"), drawMs(t, "now")
		n := NextN(last, now)
		if n <= last || n < now || (n != now && n != last+1) {
			t.Fatal(last, now, n)
		}
	})
}

func TestExtendRefusesWhatWouldNotVerify(t *testing.T) {
	p := newPerson(1)
	leaf := newKeys(2)
	cert := NewCertificate(p.root.Account(), leaf, 2, 0, testMs)
	chain, err := p.chain.Extend(p.keys, cert)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.Extend(leaf, NewCertificate(p.root.Account(), newKeys(3), 3, 0, testMs)); !errors.Is(err, ErrBadChain) {
		t.Errorf("a device without the right added one: %v", err)
	}
	if _, err := p.chain.Extend(p.keys, NewCertificate(newPerson(9).root.Account(), leaf, 2, 0, testMs)); !errors.Is(err, ErrBadChain) {
		t.Errorf("a device of another account was added: %v", err)
	}
	if len(p.chain) != 1 {
		t.Error("Extend changed the chain it was called on")
	}
}
