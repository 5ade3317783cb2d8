package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mutuals/identity/wire"
)

// seeds adds the frames of a file of vectors.
func seeds(f *testing.F, name string) {
	f.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".json"))
	if err != nil {
		f.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		f.Fatal(err)
	}
	for _, v := range vs {
		frame, err := hex.DecodeString(v.Frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
}

// fuzzFrame: any bytes are refused for a known reason, or are the one encoding
// of what was read; and what was read can be judged.
func fuzzFrame[T any](f *testing.F, name string, decode func([]byte) (T, error), verify func(T) error) {
	seeds(f, name)
	f.Fuzz(func(t *testing.T, frame []byte) {
		v, err := decode(frame)
		if err != nil {
			reasonOf(t, err)
			return
		}
		if again := wire.Marshal(v); !bytes.Equal(again, frame) {
			t.Errorf("%x was read as %x", frame, again)
		}
		reasonOf(t, verify(v))
	})
}

func FuzzDecodeEdge(f *testing.F) { fuzzFrame(f, "edge", DecodeEdge, SignedEdge.Verify) }

func FuzzDecodeFollowList(f *testing.F) {
	fuzzFrame(f, "follow-list", DecodeFollowList, SignedFollowList.Verify)
}

func FuzzDecodeProfile(f *testing.F) { fuzzFrame(f, "profile", DecodeProfile, SignedProfile.Verify) }

func FuzzDecodeCard(f *testing.F) { fuzzFrame(f, "card", DecodeCard, SignedCard.Verify) }

func FuzzDecodeRevocation(f *testing.F) {
	fuzzFrame(f, "revocation", DecodeRevocation, SignedRevocation.Verify)
}

// FuzzCertificate: chain and proof as requests and links carry them.
func FuzzCertificate(f *testing.F) {
	decode := func(b []byte) (c certFrame, err error) { return c, wire.Unmarshal(b, &c) }
	fuzzFrame(f, "certificate", decode, func(c certFrame) error {
		leaf, err := c.Chain.Verify()
		if err != nil {
			return err
		}
		return c.Pop.Verify(leaf)
	})
}

// FuzzParseCard: any pasted text.
func FuzzParseCard(f *testing.F) {
	f.Add("")
	for _, v := range cardVectors() {
		f.Add(v.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		card, err := ParseCard(text)
		if reasonOf(t, err) != "" {
			return
		}
		if again, err := ParseCard(card.Text()); err != nil || !bytes.Equal(wire.Marshal(again), wire.Marshal(card)) {
			t.Errorf("%q: read a card that does not come back: %v", text, err)
		}
	})
}

func FuzzDecodeLinkHello(f *testing.F) {
	code := linkCode(newPerson(1), nil)
	fuzzFrame(f, "link-hello", DecodeLinkHello, func(h LinkHello) error {
		return h.Verify(code.Secret, code.Peer, newKeys(2).PeerKey())
	})
}

func FuzzDecodeRestoreHello(f *testing.F) {
	ada, m := newPerson(1), newKeys(2).PeerKey()
	fuzzFrame(f, "restore-hello", DecodeRestoreHello, func(h RestoreHello) error {
		_, _, _, err := h.Open(ada.root.Account(), ada.keys.PeerKey(), m)
		return err
	})
}

func FuzzDecodeLinkCode(f *testing.F) {
	fuzzFrame(f, "link-code", DecodeLinkCode, func(LinkCode) error { return nil })
}

// FuzzParseLinkCode: any pasted text.
func FuzzParseLinkCode(f *testing.F) {
	f.Add("")
	for _, v := range linkCodeVectors() {
		f.Add(v.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, err := ParseLinkCode(text)
		if reasonOf(t, err) != "" {
			return
		}
		if again, err := ParseLinkCode(code.Text()); err != nil || !bytes.Equal(wire.Marshal(again), wire.Marshal(code)) {
			t.Errorf("%q: read a code that does not come back: %v", text, err)
		}
	})
}

// FuzzReadNumber: whatever is typed gives six digits, which read as themselves,
// or nothing.
func FuzzReadNumber(f *testing.F) {
	for _, s := range []string{"", "123456", "123 456", "１２３-４５６\n", "12345", "1234567", "12345a", "٣٤٥٦٧٨"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		digits, ok := ReadNumber(typed)
		if !ok {
			return
		}
		if again, ok := ReadNumber(digits); len(digits) != NumberDigits || !ok || again != digits {
			t.Errorf("%q was read as %q", typed, digits)
		}
	})
}

// FuzzParseWords: any typed text gives words that give it back, or an error
// that holds none of them.
func FuzzParseWords(f *testing.F) {
	for _, v := range wordsVectors() {
		f.Add(v.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseWords(text)
		if reasonOf(t, err) != "" {
			return
		}
		if again, err := ParseWords(e.Words()); err != nil || again != e {
			t.Errorf("%q: words do not come back: %v", text, err)
		}
	})
}

// FuzzOpenKeys: no file makes us work before its bounds were checked, nor
// opens under a key it was not sealed with.
func FuzzOpenKeys(f *testing.F) {
	seeds(f, "keys-sealed")
	seeds(f, "root-sealed")
	stop := errors.New("would work now")
	f.Fuzz(func(t *testing.T, file []byte) {
		_, err := OpenKeys(file, func(m Method) (Protection, error) {
			k, err := readKeyfile(file)
			if err != nil || k.MKiB > maxCostKiB || k.T > maxCostTime || k.P > maxCostThreads {
				t.Errorf("asked to unlock %x", file)
			}
			if m == MethodKeychain {
				return Keychain([32]byte{1}), nil
			}
			return Protection{}, stop
		})
		if !errors.Is(err, stop) {
			reasonOf(t, err)
		}
		if _, err := OpenRoot(make([]byte, 32), file); err == nil {
			t.Errorf("%x opened under a key of zeros", file)
		} else {
			reasonOf(t, err)
		}
	})
}
