package mesh

import (
	"cmp"
	"context"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// carryProtocol is spoken by who passes on what others say on lobby topics:
// harbors, relays, and devices that anybody can dial. Nothing is said on it.
const carryProtocol protocol.ID = "/mutuals/lobby-carry/1"

// role takes up carrying, or ends it, as others can come here or not.
func (l *lobby) role() {
	if l == nil {
		return
	}
	m := l.m
	m.relayingMu.Lock()
	relaying := m.unRelay != nil
	m.relayingMu.Unlock()
	reached, _ := m.Reachable()
	l.ops.Lock()
	defer l.ops.Unlock()
	on := m.cfg.Relay != RelayOnly && (m.cfg.DHTServe || relaying || reached)
	l.mu.Lock()
	was := l.carrier
	l.carrier = on
	l.mu.Unlock()
	switch {
	case on && !was:
		m.host.SetStreamHandler(carryProtocol, func(s network.Stream) { s.Reset() })
	case !on && was:
		m.host.RemoveStreamHandler(carryProtocol)
	}
	l.ring()
}

// tend looks, whenever something changed, what is to be carried and who is to be
// met, until the mesh closes.
func (l *lobby) tend() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-l.m.ctx.Done():
			return
		case <-l.bell:
		case <-timer.C:
		}
		next := l.carry(time.Now())
		for _, id := range l.m.host.Network().Peers() {
			l.meet(id)
		}
		timer.Reset(min(next, l.reach(time.Now())))
		select {
		case <-l.m.ctx.Done():
			return
		case <-time.After(tendPause):
		}
	}
}

// carry is on the topics that guests want carried, and leaves those that nobody has
// wanted for a while; it tells when to look again. Who carries too wants nothing by
// itself: what one guest asks for goes one carrier further, and no more.
func (l *lobby) carry(now time.Time) (next time.Duration) {
	next = time.Hour
	l.ops.Lock()
	defer l.ops.Unlock()
	var fresh []string
	names := l.wanted()
	l.mu.Lock()
	for _, name := range names {
		if c := l.corners[name]; c != nil && c.unrelay != nil {
			c.wanted = now
		} else {
			fresh = append(fresh, name)
		}
	}
	carried := 0
	var over, idle []*corner
	for _, c := range l.corners {
		if c.unrelay == nil {
			continue
		}
		carried++
		if c.wanted.Equal(now) {
			continue
		}
		if left := carryLinger - now.Sub(c.wanted); left > 0 && l.carrier {
			next = min(next, left)
			idle = append(idle, c)
		} else {
			over = append(over, c)
		}
	}
	l.mu.Unlock()
	if may := int(l.fresh.TokensAt(now)); may < len(fresh) {
		fresh, next = fresh[:may], carryPause
	}
	// Who waits comes before what nobody wants any more.
	slices.SortFunc(idle, func(a, b *corner) int { return a.wanted.Compare(b.wanted) })
	if more := carried - len(over) + len(fresh) - maxCarried; more > 0 {
		over = append(over, idle[:min(more, len(idle))]...)
	}
	for _, c := range over {
		c.unrelay()
		l.mu.Lock()
		c.unrelay = nil
		l.mu.Unlock()
		l.release(c)
	}
	for _, name := range fresh {
		l.fresh.AllowN(now, 1)
		c, err := l.take(name)
		if err != nil {
			l.m.log.Debug("mesh: carrying a lobby topic", "err", err)
			continue
		}
		c.wanted = now
	}
	return next
}

// take begins to carry a topic. l.ops is held.
func (l *lobby) take(name string) (*corner, error) {
	topic, _ := readLobbyName(name) // the filter has read it
	c, err := l.corner(topic)
	if err != nil {
		return nil, err
	}
	undo, err := c.topic.Relay()
	if err != nil {
		l.release(c)
		return nil, err
	}
	l.mu.Lock()
	c.unrelay = undo
	l.mu.Unlock()
	return c, nil
}

// wanted are the topics to carry, in turn: each guest's first before anybody's second,
// so that whoever names many, or others all the time, takes nobody's place.
func (l *lobby) wanted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.carrier {
		return nil
	}
	rank := map[string]int{}
	for id, g := range l.guests {
		if l.carries(id) {
			continue
		}
		for name, at := range g.topics {
			if old, has := rank[name]; !has || at < old {
				rank[name] = at
			}
		}
	}
	out := make([]string, 0, len(rank))
	for name := range rank {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(maphash.String(l.lot, a), maphash.String(l.lot, b)))
	})
	return out[:min(len(out), maxCarried)]
}

// linkedCarriers are those linked, not by a relay's limited link, who carry.
func (l *lobby) linkedCarriers() []peer.ID {
	return slices.DeleteFunc(l.m.host.Network().Peers(), func(id peer.ID) bool {
		return l.m.host.Network().Connectedness(id) != network.Connected || !l.carries(id)
	})
}

// reach dials who may carry the topics that were entered here, if too few are
// linked who do, and tells when to look again.
func (l *lobby) reach(now time.Time) time.Duration {
	l.mu.Lock()
	entered := 0
	for _, c := range l.corners {
		entered += c.mine
	}
	l.mu.Unlock()
	if entered == 0 {
		l.rest, l.rested = 0, time.Time{}
		return time.Hour
	}
	if len(l.linkedCarriers()) >= lobbyCarriers {
		l.rest = 0
		return time.Hour
	}
	if left := l.rested.Sub(now); left > 0 {
		return left
	}
	l.rest = min(max(2*l.rest, lobbyRest), lobbyRestMost)
	l.rested = now.Add(l.rest*3/4 + rand.N(l.rest/2))
	ways := slices.DeleteFunc(l.m.entries(), func(ai peer.AddrInfo) bool { return l.m.linked(ai.ID) })
	rand.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	for _, w := range ways[:min(len(ways), maxCarriers)] {
		l.m.wg.Go(func() {
			ctx, cancel := context.WithTimeout(l.m.ctx, dialTimeout)
			defer cancel()
			if err := l.m.host.Connect(ctx, w); err != nil {
				l.m.log.Debug("mesh: who may carry the lobby was not there", "err", err)
			}
		})
	}
	return l.rested.Sub(now)
}
