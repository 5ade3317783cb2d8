package mesh

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// inbound is a stream GossipSub reads packets from, into which we can put
// packets of our own between two of the peer's. That is how a subscription
// which came too early is announced once more without the peer doing
// anything: GossipSub has no call for it, and asking the peer by resetting
// its stream works only four times in ten minutes (pubsub's backoff.go).
type inbound struct {
	network.Stream
	r *bufio.Reader
	// huge is told of a packet that is longer than any may be.
	huge func()
	// pace is waited for before each of the peer's packets; nil: they come as they do.
	pace func() error

	// left is how many bytes of the peer's current packet are unread; shift
	// and size are of the length that is being read in front of it.
	left  uint64
	shift uint
	size  uint64

	mu    sync.Mutex
	ours  []byte // whole packets, to be read next
	woken bool   // a deadline was set to wake the reader
}

func newInbound(s network.Stream, huge func()) *inbound {
	return &inbound{Stream: s, r: bufio.NewReaderSize(s, 4<<10), huge: huge}
}

// inject queues a whole packet and wakes the reader.
func (in *inbound) inject(packet []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ours = append(in.ours, packet...)
	in.woken = true
	_ = in.Stream.SetReadDeadline(time.Unix(1, 0))
}

// Read gives the peer's bytes, and ours where a packet ends.
func (in *inbound) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if in.left == 0 && in.shift == 0 {
			if n := in.readOurs(p); n > 0 {
				return n, nil
			}
		}
		n, err := in.readTheirs(p)
		if n > 0 || err == nil || !in.rouse(err) {
			return n, err
		}
	}
}

// rouse tells whether err is only our own wake-up; a link that has died of
// silence reports a timeout as well.
func (in *inbound) rouse(err error) bool {
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return false
	}
	// Under the lock, or a packet injected right now would lose its wake-up.
	in.mu.Lock()
	defer in.mu.Unlock()
	was := in.woken
	in.woken = false
	_ = in.Stream.SetReadDeadline(time.Time{})
	return was
}

func (in *inbound) readOurs(p []byte) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := copy(p, in.ours)
	in.ours = in.ours[n:]
	return n
}

// readTheirs never reads past the end of a packet, and a length byte by byte.
func (in *inbound) readTheirs(p []byte) (int, error) {
	if in.left > 0 {
		n, err := in.r.Read(p[:min(uint64(len(p)), in.left)])
		in.left -= uint64(n)
		return n, err
	}
	if in.pace != nil && in.shift == 0 {
		if err := in.pace(); err != nil {
			return 0, err
		}
	}
	c, err := in.r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	// A length beyond 64 bits is GossipSub's to refuse, on this very byte.
	in.size |= uint64(c&0x7f) << in.shift
	in.shift += 7
	if c < 0x80 {
		if in.size > maxRPC {
			in.huge() // GossipSub resets the stream when it has read the length
		}
		in.left, in.size, in.shift = in.size, 0, 0
	}
	return 1, nil
}
