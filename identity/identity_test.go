package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"mutuals/identity/wire"
)

func TestMutualIsTwoOppositeFollows(t *testing.T) {
	ada, ben, eve := newPerson(1), newPerson(8), newPerson(9)
	edge := func(from, to person, state uint64) *SignedEdge {
		e := SignEdge(from.keys, from.chain, to.root.Account(), testMs, state, testMs)
		return &e
	}
	out, in := edge(ada, ben, EdgeFollow), edge(ben, ada, EdgeFollow)
	newer := *in
	newer.Edge.V = 2
	for _, c := range []struct {
		name    string
		out, in *SignedEdge
		want    bool
	}{
		{"both", out, in, true},
		{"seen from the other side", in, out, true},
		{"no edge back", out, nil, false},
		{"no edge out", nil, in, false},
		{"none", nil, nil, false},
		{"one edge twice", out, out, false},
		{"unfollowed", edge(ada, ben, EdgeUnfollow), in, false},
		{"unfollowed by the other", out, edge(ben, ada, EdgeUnfollow), false},
		{"a third one's edge", out, edge(eve, ada, EdgeFollow), false},
		{"to a third one", out, edge(ben, eve, EdgeFollow), false},
		{"of a newer version", out, &newer, false},
		{"empty edges", &SignedEdge{}, &SignedEdge{}, false},
	} {
		if got := Mutual(c.out, c.in); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAnEdgeAheadOfTheClockIsHeld(t *testing.T) {
	for n, want := range map[uint64]bool{0: false, testMs: false, testMs + MaxAheadMs: false, testMs + MaxAheadMs + 1: true} {
		if got := (Edge{N: n}).Ahead(testMs); got != want {
			t.Errorf("%d ms ahead: %v", int64(n)-testMs, got)
		}
	}
}

func TestRevocationVoidsOnlyWhatCameAfter(t *testing.T) {
	ada, eve := newPerson(1), newPerson(9)
	two := ada.extend(newKeys(2), CapAddDevices)
	three := two.extend(newKeys(3), 0)
	r := SignRevocation(ada.keys, ada.chain, two.keys.ID(), ReasonStolen, testMs)
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		of   person
		n    uint64
		want bool
	}{
		{"the device, later", two, testMs + 1, true},
		{"the device, at that time", two, testMs, false},
		{"one it added, later", three, testMs + 1, true},
		{"the device that added it", ada, testMs + 1, false},
		{"a stranger", eve, testMs + 1, false},
	} {
		if got := r.Voids(c.of.chain, c.n); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	foreign := SignRevocation(eve.keys, eve.chain, two.keys.ID(), ReasonStolen, testMs)
	if foreign.Verify() != nil || foreign.Voids(two.chain, testMs+1) {
		t.Error("a stranger ended a device that is not theirs")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	p := newPerson(1)
	for _, secret := range []any{p.entropy, p.root, p.keys, testSecrets(), Passphrase([]byte("hunter2"))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, secret); got != secretText {
				t.Errorf("%T under %s: %s", secret, verb, got)
			}
		}
		if b, err := json.Marshal(secret); err != nil || string(b) != `"`+secretText+`"` {
			t.Errorf("%T in JSON: %s %v", secret, b, err)
		}
	}
}

func TestWordsErrorNamesThePlaceAndNotTheWord(t *testing.T) {
	words := strings.Fields(newPerson(1).entropy.Words())
	words[6] = "hunter"
	words[9] = "zoooo"
	_, err := ParseWords(strings.Join(words, " "))
	if err == nil {
		_, err = ParseWords(strings.Replace(strings.Join(words, " "), "hunter", "huntr", 1))
	}
	var w *WordsError
	if !errors.As(err, &w) || w.Reason != WordsUnknown || (w.Position != 7 && w.Position != 10) || w.Found != 24 {
		t.Fatalf("%#v", err)
	}
	if w.Word != words[w.Position-1] || strings.Contains(err.Error(), w.Word) {
		t.Errorf("word %q, error %q", w.Word, err)
	}
	if _, err := ParseWords(strings.Repeat("zoo ", 2000)); !errors.As(err, &w) || w.Reason != WordsCount {
		t.Errorf("2000 words: %v", err)
	}
}

// The cost of a new file is the protocol's; tests turn it down by a field that
// no other package can reach.
func TestPassphraseCostIsTheProtocols(t *testing.T) {
	if got := Passphrase([]byte("x")).argon(); got != (argonCost{t: 3, mKiB: 256 * 1024, p: 4}) {
		t.Errorf("%+v", got)
	}
	small := Passphrase([]byte("x"))
	small.LowMemory = true
	if got := small.argon(); got != (argonCost{t: 3, mKiB: 64 * 1024, p: 4}) {
		t.Errorf("low memory: %+v", got)
	}
}

func TestUnlockWithAnotherMethodFails(t *testing.T) {
	file, err := SealKeys(testRand(1), testSecrets(), Keychain([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Protection{Unprotected(), {Method: MethodPassphrase, Passphrase: []byte("x"), cost: &quick}} {
		if _, err := OpenKeys(file, func(Method) (Protection, error) { return p, nil }); !errors.Is(err, ErrWrongKey) {
			t.Errorf("%d: %v", p.Method, err)
		}
	}
	asked := errors.New("keychain is locked")
	if _, err := OpenKeys(file, func(Method) (Protection, error) { return Protection{}, asked }); !errors.Is(err, asked) {
		t.Errorf("unlock's own error was lost: %v", err)
	}
}

func TestSealingRefusesBadPassphrases(t *testing.T) {
	for _, p := range [][]byte{nil, make([]byte, MaxPassphrase+1)} {
		if _, err := SealKeys(testRand(1), testSecrets(), Protection{Method: MethodPassphrase, Passphrase: p, cost: &quick}); !errors.Is(err, ErrBadPassphrase) {
			t.Errorf("%d bytes: %v", len(p), err)
		}
	}
	if _, err := SealKeys(testRand(1), testSecrets(), Protection{Method: 3}); !errors.Is(err, ErrNewer) {
		t.Errorf("method 3: %v", err)
	}
}

func TestRandomnessThatEndsIsAnError(t *testing.T) {
	short := func() io.Reader { return io.LimitReader(testRand(1), 20) }
	_, e1 := NewEntropy(short())
	_, e2 := NewDeviceKeys(short())
	_, e3 := NewSecrets(short(), newKeys(1))
	_, e4 := SealKeys(short(), testSecrets(), Unprotected())
	_, _, e5 := SealRoot(short(), Entropy{})
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
}

func TestSigningRefusesTextNobodyWouldRead(t *testing.T) {
	p := newPerson(1)
	var f *FieldError
	if _, err := SignProfile(p.keys, p.chain, 1, "a\nb", "", nil); !errors.As(err, &f) || f.Field != "name" {
		t.Errorf("name of two lines: %v", err)
	}
	if _, err := SignProfile(p.keys, p.chain, 1, "a", "\xff", nil); !errors.As(err, &f) || f.Field != "bio" || f.Reason != "not UTF-8" {
		t.Errorf("bio that is no text: %v", err)
	}
	if _, err := SignCard(p.keys, p.chain, strings.Repeat("长", 65), nil, 1); !errors.As(err, &f) || f.Reason != "too long" {
		t.Errorf("long name: %v", err)
	}
	if _, err := SignCard(p.keys, p.chain, "a", make([][]byte, 4), 1); !errors.Is(err, ErrBounds) {
		t.Errorf("four hints: %v", err)
	}
}

func TestNewerProfile(t *testing.T) {
	p := newPerson(1)
	sign := func(n uint64, name string) SignedProfile {
		s, err := SignProfile(p.keys, p.chain, n, name, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, c := sign(1, "a"), sign(2, "b"), sign(2, "c")
	if !NewerProfile(b, a) || NewerProfile(a, b) || NewerProfile(b, c) == NewerProfile(c, b) || NewerProfile(a, a) {
		t.Error("not an order")
	}
}

func TestFramesStayWithinTheirBounds(t *testing.T) {
	p := newPerson(1).extend(newKeys(2), CapAddDevices).extend(newKeys(3), 0)
	far := uint64(wire.MaxMs - 1)
	name := strings.Repeat("😀", MaxNameRunes)
	profile, err := SignProfile(p.keys, p.chain, far, name, strings.Repeat("b", MaxBioBytes), make([]byte, MaxAvatarBytes))
	if err != nil {
		t.Fatal(err)
	}
	hint := make([]byte, MaxHintBytes)
	card, err := SignCard(p.keys, p.chain, name, [][]byte{hint, hint, hint}, far)
	if err != nil {
		t.Fatal(err)
	}
	to := wire.AccountID(newKeys(200).ID())
	for _, err := range []error{
		second(DecodeProfile(wire.Marshal(profile))), second(DecodeCard(wire.Marshal(card))), second(ParseCard(card.Text())),
		second(DecodeEdge(wire.Marshal(SignEdge(p.keys, p.chain, to, far, 1, far)))),
		second(DecodeFollowList(wire.Marshal(SignFollowList(p.keys, p.chain, far, [32]byte{})))),
		second(DecodeRevocation(wire.Marshal(SignRevocation(p.keys, p.chain, wire.DeviceID(to), MaxReason, far, newKeys(201).ID(), newKeys(202).ID(), newKeys(203).ID(), newKeys(204).ID())))),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestEdgeRootLeavesItsArgument(t *testing.T) {
	ids := [][32]byte{{2}, {1}, {2}}
	before := slices.Clone(ids)
	EdgeRoot(ids)
	if !slices.Equal(ids, before) {
		t.Error("the ids were sorted in place")
	}
}

func BenchmarkVerifyEdge(b *testing.B) {
	p := newPerson(1)
	e := SignEdge(p.keys, p.chain, wire.AccountID(newKeys(200).ID()), 1, 1, 1)
	for b.Loop() {
		if err := e.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyChainOfThree(b *testing.B) {
	p := newPerson(1).extend(newKeys(2), CapAddDevices).extend(newKeys(3), 0)
	for b.Loop() {
		if _, err := p.chain.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}
