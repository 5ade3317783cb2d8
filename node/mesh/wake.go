package mesh

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// wake looks whether the machine is elsewhere than before, or slept: its links
// may then be dead, which libp2p would find out after half a minute of silence.
func (m *Mesh) wake() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last, at := time.Now(), ownIPs()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		now, ips := time.Now(), ownIPs()
		if slept(passed(last, now)) || !slices.Equal(at, ips) {
			m.log.Info("mesh: another network, or the machine slept: looking which links live")
			m.checkLinks()
			m.RedialAll()
		}
		last, at = now, ips
	}
}

// passed gives how much time passed between two moments by the day, and by the
// clock that stands still while a machine sleeps.
func passed(last, now time.Time) (day, ran time.Duration) {
	return now.Round(0).Sub(last.Round(0)), now.Sub(last)
}

// slept tells whether a machine slept, by both.
func slept(day, ran time.Duration) bool { return day-ran > sleptFor }

// ownIPs lists the addresses of the machine's interfaces, sorted.
func ownIPs() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	slices.Sort(out)
	return out
}

// checkLinks asks every linked peer for a sign of life, and closes the links of
// those that give none in three seconds: kept ones are dialled again.
func (m *Mesh) checkLinks() {
	for _, id := range m.host.Network().Peers() {
		links := m.links(id)
		m.wg.Go(func() {
			if m.lives(id) || m.ctx.Err() != nil {
				return
			}
			for _, c := range links { // those from before only
				_ = c.Close()
			}
		})
	}
}

func (m *Mesh) lives(id peer.ID) bool {
	ctx, cancel := context.WithTimeout(m.ctx, echoTime)
	defer cancel()
	ctx = network.WithNoDial(ctx, "a sign of life")
	select {
	case r := <-ping.Ping(ctx, m.host, id):
		return r.Error == nil
	case <-ctx.Done():
		return false
	}
}
