package mesh

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// However many topics some name, each guest's first is carried before anybody's
// second; and what somebody names who carries too is carried for nobody.
func TestCarryFair(t *testing.T) {
	n := start(t, func(c *Config) {
		c.DHTServe, c.Lobby = true, func([32]byte, []byte) Verdict { return Accept }
	})
	other := start(t, func(c *Config) {
		c.DHTServe, c.Lobby = true, func([32]byte, []byte) Verdict { return Accept }
	})
	link2(t, n, other)
	l := n.lobby
	l.ops.Lock() // nothing is carried meanwhile
	defer l.ops.Unlock()
	l.mu.Lock()
	for i := range 40 {
		g := &guest{topics: map[string]int{}}
		for j := range maxLobbyTopics {
			g.topics[fmt.Sprintf("%d of %d", j, i)] = j
		}
		l.guests[peer.ID(fmt.Sprint(i))] = g
	}
	l.guests["late"] = &guest{topics: map[string]int{"its only one": 0}}
	l.guests[idOf(other.Self())] = &guest{topics: map[string]int{"of who carries": 0}}
	l.mu.Unlock()
	got := l.wanted()
	if len(got) != maxCarried || !slices.Contains(got, "its only one") || !slices.Contains(got, "0 of 39") || slices.Contains(got, "of who carries") {
		t.Errorf("%d are carried, the latest guest's: %v", len(got), slices.Contains(got, "its only one"))
	}
	l.mu.Lock()
	clear(l.guests)
	l.mu.Unlock()
}

// A topic that nobody wants any more stays for a while, so that coming and going
// makes no noise, and then goes.
func TestCarryLinger(t *testing.T) {
	n := start(t, func(c *Config) {
		c.DHTServe, c.Lobby = true, func([32]byte, []byte) Verdict { return Accept }
	})
	l, now := n.lobby, time.Now()
	name := lobbyName([32]byte{0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
		0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a}) // RFC 8032, test 1
	l.mu.Lock()
	l.guests["somebody"] = &guest{topics: map[string]int{name: 0}}
	l.mu.Unlock()
	l.carry(now)
	if n.Lobby().Carried != 1 {
		t.Fatal("it is not carried")
	}
	l.mu.Lock()
	clear(l.guests)
	l.mu.Unlock()
	if l.carry(now.Add(carryLinger - time.Second)); n.Lobby().Carried != 1 {
		t.Error("it went at once")
	}
	if l.carry(now.Add(carryLinger)); n.Lobby().Carried != 0 {
		t.Error("it stays")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.corners) != 0 {
		t.Error("it is still joined")
	}
}
