package mesh

import (
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
)

// Traffic is what went over the streams of one protocol since the start: bytes
// of whole frames, without their lengths, whichever side opened the stream.
type Traffic struct{ In, Out uint64 }

// traffic counts, by protocol: those that this program opens or handles, so as
// many as there are in the code.
type traffic struct {
	mu sync.Mutex
	by map[string]*tally
}

type tally struct{ in, out atomic.Uint64 }

func (t *traffic) of(proto string) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]*tally{}
	}
	if t.by[proto] == nil {
		t.by[proto] = &tally{}
	}
	return t.by[proto]
}

// Traffic returns the counts so far.
func (m *Mesh) Traffic() map[string]Traffic {
	m.traffic.mu.Lock()
	defer m.traffic.mu.Unlock()
	out := make(map[string]Traffic, len(m.traffic.by))
	for proto, t := range m.traffic.by {
		out[proto] = Traffic{In: t.in.Load(), Out: t.out.Load()}
	}
	return out
}

// Relayed is what this device does as a relay.
type Relayed struct {
	Places, Circuits int64
	Bytes            uint64 // since the start
}

// Relayed returns the counts now.
func (m *Mesh) Relayed() Relayed {
	c := &m.carried
	return Relayed{Places: c.places.Load(), Circuits: c.circuits.Load(), Bytes: c.bytes.Load()}
}

// carried counts for the relay: libp2p tells it what happens.
type carried struct {
	places, circuits atomic.Int64
	bytes            atomic.Uint64
}

// RelayStatus is told when the relay begins and ends: nobody has a place then.
// Links that it carried are told one by one.
func (c *carried) RelayStatus(bool) { c.places.Store(0) }

func (c *carried) ConnectionOpened()              { c.circuits.Add(1) }
func (c *carried) ConnectionClosed(time.Duration) { c.circuits.Add(-1) }
func (c *carried) ReservationClosed(n int)        { c.places.Add(int64(-n)) }
func (c *carried) BytesTransferred(n int)         { c.bytes.Add(uint64(n)) }
func (c *carried) ReservationAllowed(again bool) {
	if !again {
		c.places.Add(1)
	}
}

func (*carried) ConnectionRequestHandled(pb.Status)  {}
func (*carried) ReservationRequestHandled(pb.Status) {}
