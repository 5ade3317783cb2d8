package mesh

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"mutuals/identity/wire"
)

// A link over which no sign of life comes is closed, one over which it does is
// left alone.
func TestDeadLinksAreClosed(t *testing.T) {
	a, dead, live := start(t, nil), start(t, nil), start(t, nil)
	dead.host.SetStreamHandler(ping.ID, func(s network.Stream) {}) // hears, and says nothing
	link2(t, a, dead)
	link2(t, a, live)
	before := a.links(idOf(live.Self()))
	a.checkLinks()
	a.presence.wait(t, dead.Self(), false)
	if !a.lives(idOf(live.Self())) || before[0].IsClosed() {
		t.Error("a link that lives was closed")
	}
}

// A machine that slept is told by its two clocks, of which one stood still.
func TestSlept(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		day, ran time.Duration
		want     bool
	}{
		{lookEvery, lookEvery, false},
		{time.Hour, time.Hour, false}, // a busy machine
		{time.Hour, lookEvery, true},
		{-time.Hour, lookEvery, false}, // the time of day was set
	} {
		if got := slept(c.day, c.ran); got != c.want {
			t.Errorf("%v by the day, %v by the other: %v", c.day, c.ran, got)
		}
	}
	if day, ran := passed(now, now.Add(time.Second)); day != time.Second || ran != time.Second {
		t.Errorf("passed %v and %v", day, ran)
	}
}

// Who lost every link looks for a way out every few seconds, and for a while;
// whoever has a link is in no hurry.
func TestAlone(t *testing.T) {
	r := &redial{kept: map[wire.PeerKey]*keeper{}}
	if p, d := r.pace(redialMost); p != redialMost || d != dialTimeout {
		t.Errorf("never linked: %v, %v", p, d)
	}
	r.lonely(true)
	if p, d := r.pace(redialMost); p != alonePause || d != aloneDial {
		t.Errorf("alone: %v, %v", p, d)
	}
	if p, _ := r.pace(redialFirst); p != redialFirst {
		t.Errorf("alone, at first: %v", p)
	}
	r.alone = r.alone.Add(-2 * aloneFor)
	if p, _ := r.pace(redialMost); p != redialMost {
		t.Errorf("alone for long: %v", p)
	}
	r.lonely(false)
	r.lonely(true)
	for i := range byte(10 * aloneFew) {
		r.kept[wire.PeerKey{i}] = nil
	}
	if p, _ := r.pace(redialMost); p != 10*alonePause {
		t.Errorf("alone among many: %v", p)
	}
}
