package mesh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mutuals/identity/wire"
)

// B restarts on its port; A, who keeps it, comes back without being told.
func TestKeep(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	addrs, listen, key := b.Addrs(), b.Bound(), b.cfg.Key
	var mu sync.Mutex
	asked := 0
	a.Keep(b.Self(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return addrs
	})
	a.presence.wait(t, b.Self(), true) // at once
	a.ClosePeer(b.Self())
	a.presence.wait(t, b.Self(), false)
	a.presence.wait(t, b.Self(), true) // a lost link is dialled again
	b.Close()
	a.presence.wait(t, b.Self(), false)
	b = start(t, func(c *Config) { c.Key, c.Listen = key, listen })
	a.presence.wait(t, b.Self(), true)
	a.Forget(b.Self())
	before := a.Stats().Redials
	a.ClosePeer(b.Self())
	a.presence.wait(t, b.Self(), false)
	a.RedialAll()
	if n := a.Stats().Redials; n != before {
		t.Errorf("a forgotten peer was dialled %d times", n-before)
	}
	mu.Lock()
	defer mu.Unlock()
	if asked < 3 {
		t.Errorf("asked for addresses %d times", asked)
	}
}

// A loss that is mended before the watcher looks is told all the same: who is
// told nothing would go on with streams that are gone.
func TestShortLossIsTold(t *testing.T) {
	looking := make(chan struct{})
	look := sync.OnceFunc(func() { close(looking) })
	a, b := start(t, func(c *Config) {
		on := c.OnPeer
		c.OnPeer = func(k wire.PeerKey, up bool) {
			on(k, up)
			<-looking
		}
	}), start(t, nil)
	t.Cleanup(look) // before a's Close, which waits for OnPeer
	connect := func() {
		t.Helper()
		if err := a.Connect(within(t), b.Self(), b.Addrs()); err != nil {
			t.Fatal(err)
		}
	}
	connect()
	a.presence.wait(t, b.Self(), true)
	a.ClosePeer(b.Self())
	connect()
	look()
	a.presence.wait(t, b.Self(), false)
	a.presence.wait(t, b.Self(), true)
}

// An address learnt later, here from the local network, is tried at once.
func TestKeepLearnsAddress(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	a.Keep(b.Self(), nil)
	found{a.Mesh}.HandlePeerFound(addrInfo(b.Self(), b.Addrs()))
	a.presence.wait(t, b.Self(), true)
}

func TestBlock(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	link2(t, a, b)
	a.Block(b.Self(), true)
	a.presence.wait(t, b.Self(), false)
	b.presence.wait(t, a.Self(), false)
	if err := a.Connect(within(t), b.Self(), b.Addrs()); err == nil {
		t.Error("dialled a blocked peer")
	}
	// B may think for a moment that it is linked; A never does.
	_ = b.Connect(within(t), a.Self(), a.Addrs())
	if a.Connected(b.Self()) {
		t.Error("a blocked peer is linked")
	}
	a.Block(b.Self(), false)
	link2(t, a, b)
}

func TestConfig(t *testing.T) {
	if _, err := New(t.Context(), Config{}); err == nil {
		t.Error("no key is accepted")
	}
	a := start(t, nil)
	if err := (Config{Key: a.cfg.Key, Listen: []string{"nowhere"}}).Validate(); err == nil {
		t.Error("listening nowhere is accepted")
	}
	if _, err := a.Join("x", Gate{}); err == nil {
		t.Error("a gate without functions is accepted")
	}
	if err := a.Connect(within(t), start(t, nil).Self(), nil); err == nil || errors.Is(err, ErrClosed) {
		t.Errorf("dialling without an address: %v", err)
	}
}

// MDNS may have no interface to speak on; the mesh starts all the same.
func TestMDNSIsNotNeeded(t *testing.T) {
	a := start(t, func(c *Config) { c.MDNS = true })
	if len(a.Addrs()) == 0 {
		t.Error("no addresses")
	}
}

// Who asks for it waits until everybody was tried, and sees why it failed; a
// peer that came meanwhile needs no try.
func TestTryAll(t *testing.T) {
	a, here, gone := start(t, nil), start(t, nil), start(t, nil)
	// A closed port of TCP refuses at once; of QUIC's nobody tells.
	dead := slices.DeleteFunc(gone.Addrs(), func(a string) bool { return !strings.Contains(a, "/tcp/") })
	gone.Close()
	a.Keep(here.Self(), here.Addrs)
	a.Keep(gone.Self(), func() []string { return dead })
	began := time.Now()
	a.TryAll(t.Context())
	if !a.Connected(here.Self()) {
		t.Error("who is here is not linked")
	}
	tries := a.Tries()
	if len(tries) != 1 || tries[0].Peer != gone.Self() || tries[0].At.Before(began) || tries[0].Why == "" {
		t.Errorf("%+v", tries)
	}
	a.Forget(gone.Self())
	a.TryAll(t.Context()) // nobody to wait for

	ended, end := context.WithCancel(t.Context())
	end()
	a.Keep(gone.Self(), func() []string { <-t.Context().Done(); return nil }) // a try without end
	a.TryAll(ended)
}
