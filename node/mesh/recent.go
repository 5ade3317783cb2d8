package mesh

import (
	"sync"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/proto"
)

// recent holds what this device published on a topic in the last seconds, for
// members whose subscription arrives only now: in the moment after a join or
// a change of epoch both sides have announced and neither has heard, and
// GossipSub would send to nobody (five of five messages were lost when
// tried). What does not fit is left to sync.
type recent struct {
	mu    sync.Mutex
	own   []ownFrame
	bytes int
}

type ownFrame struct {
	data []byte
	at   time.Time
}

func (r *recent) add(frame []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = append(r.own, ownFrame{frame, now})
	r.bytes += len(frame)
	for len(r.own) > 0 && (r.bytes > recentBytes || len(r.own) > recentFrames || now.Sub(r.own[0].at) > recentFor) {
		r.bytes -= len(r.own[0].data)
		r.own[0].data = nil
		r.own = r.own[1:]
	}
}

// messages returns what is still recent, as GossipSub sends it.
func (r *recent) messages(topic string, now time.Time) (out []*pb.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.own {
		if now.Sub(f.at) <= recentFor {
			out = append(out, &pb.Message{Data: f.data, Topic: proto.String(topic)})
		}
	}
	return out
}
