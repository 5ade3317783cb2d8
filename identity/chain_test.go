package identity

import (
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

// breaks are the ways one link of a chain is broken; what stands after it is
// signed anew by the right keys, so that nothing else is wrong (I7).
var breaks = map[string]func(l *link){
	"signed by a stranger": func(l *link) { l.signer = newPerson(9).keys },
	"signed by the device itself": func(l *link) {
		l.signer = l.keys
	},
	"of another account": func(l *link) { l.cert.Account = newPerson(9).root.Account() },
	"issued at 2^48":     func(l *link) { l.cert.IssuedMs = wire.MaxMs },
	"of no version":      func(l *link) { l.cert.V = 0 },
	"of version 2":       func(l *link) { l.cert.V = 2 },
	"with a right we do not know": func(l *link) {
		l.cert.Caps |= 1 << 63
	},
	"with one key for both":     func(l *link) { l.cert.PeerKey = wire.PeerKey(l.cert.OpKey) },
	"with the account's op key": func(l *link) { l.cert.OpKey = wire.DeviceID(l.cert.Account) },
	"with a weak peer key":      func(l *link) { l.cert.PeerKey = smallOrder },
	"with a weak op key":        func(l *link) { l.cert.OpKey = smallOrder },
	"signed in another domain":  func(l *link) { l.domain = wire.DomainDevicePop },
	"signed in a group":         func(l *link) { l.ctx = wire.Context{1} },
	"with a signature changed":  func(l *link) { l.spoil = true },
}

type link struct {
	cert   Certificate
	keys   DeviceKeys
	signer DeviceKeys
	domain wire.Domain
	ctx    wire.Context
	spoil  bool
}

// forge builds a chain of n, and breaks link at as told.
func forge(n, at int, how func(*link)) Chain {
	p := newPerson(1)
	signer := DeviceKeys{Op: p.root.key}
	var c Chain
	for i := range n {
		k := newKeys(byte(10 + i))
		l := link{cert: NewCertificate(p.root.Account(), k, uint64(i), CapAddDevices, testMs), keys: k, signer: signer, domain: wire.DomainDeviceCert}
		if i == at {
			how(&l)
		}
		sig := wire.Sign(l.domain, l.signer.Op, l.ctx, wire.Marshal(l.cert))
		if l.spoil {
			sig[40] ^= 1
		}
		c, signer = append(c, SignedCert{Cert: l.cert, Sig: sig}), k
	}
	return c
}

func TestEveryBrokenLinkIsRefused(t *testing.T) {
	for n := 1; n <= MaxChain; n++ {
		if _, err := forge(n, -1, nil).Verify(); err != nil {
			t.Fatalf("a whole chain of %d: %v", n, err)
		}
		for name, how := range breaks {
			for at := range n {
				_, err := forge(n, at, how).Verify()
				if reasonOf(t, err) == "" {
					t.Errorf("link %d of %d %s: holds", at+1, n, name)
				}
			}
		}
	}
}

// No part of a chain in other places is a chain, but its beginnings.
func TestNoOtherOrderOfCertificatesIsAChain(t *testing.T) {
	whole := forge(MaxChain, -1, nil)
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.SliceOfN(rapid.IntRange(0, MaxChain-1), 1, MaxChain+1).Draw(t, "places")
		var c Chain
		beginning := len(places) <= MaxChain
		for i, at := range places {
			c = append(c, whole[at])
			beginning = beginning && at == i
		}
		if _, err := c.Verify(); (err == nil) != beginning {
			t.Fatalf("certificates %v: %v", places, err)
		}
	})
}
