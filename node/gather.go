package node

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"mutuals/store"
)

const (
	// wordBatch is how many messages of this device share a transaction and a
	// message of gossip: past this only the wait grows.
	wordBatch = 64
	// wordsEnough is how many do not wait for more: in a run of so many what they
	// share costs little, and who says them has the processor to itself.
	wordsEnough = 16
	// arrivalBatch is how many operations of others share a transaction, and
	// arrivalBatchBytes what their frames weigh: a message weighs some times its
	// frame on disk, and a transaction holds 2 MB.
	arrivalBatch      = 512
	arrivalBatchBytes = 512 << 10
	// restTimes, restLeast and restMost say how long a room lets things gather
	// after it took several in at once: in a burst a transaction, a sync, a message
	// of gossip to every member and telling readers cost more than what is in them,
	// and of half as many each brings twice as much. What comes alone never waits.
	restTimes = 2
	restLeast = 20 * time.Millisecond
	restMost  = 50 * time.Millisecond
)

// gathering is what a room takes in with its next transaction, besides what is
// in its queue of arrivals.
type gathering struct {
	words []word           // of this device
	rest  <-chan time.Time // until when more may come; nil: nothing waits
	// atOnce is how many words are likely to be said together: who imports or lets a
	// program speak says the next few once the last were answered. It is as many, at
	// most a batch, as there were when any of them began, and falls by one a time.
	atOnce int
}

// speaking counts those who say something.
type speaking struct {
	now  atomic.Int32
	most atomic.Int32 // of them at one moment since words were taken in last
}

func (s *speaking) begin() {
	n := s.now.Add(1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); {
		most = s.most.Load()
	}
}

func (s *speaking) end() { s.now.Add(-1) }

// hear takes a word, and those that wait behind it.
func (r *room) hear(first word) {
	g := &r.gathering
	g.words = append(g.words, first)
	for more := true; more && len(g.words) < wordBatch; {
		select {
		case w := <-r.words:
			g.words = append(g.words, w)
		default:
			more = false
		}
	}
	if g.rest == nil || len(g.words) >= min(g.atOnce, wordsEnough) {
		r.takeIn(nil)
	}
}

// rested takes in the words that have gathered; arrivals are looked at again.
func (r *room) rested() {
	r.gathering.rest = nil
	if len(r.gathering.words) > 0 {
		r.takeIn(nil)
	}
}

// takeIn takes in the words and arrivals that wait, in one transaction. If they
// were several, more may gather before the next.
func (r *room) takeIn(first *arrival) {
	g, began := &r.gathering, time.Now()
	words := g.words
	g.words, g.rest = nil, nil
	if len(words) > 0 {
		most := min(int(r.speaking.most.Swap(0)), wordBatch) // a thousand once would be waited for a thousand times
		g.atOnce = max(len(words), most, g.atOnce-1)
	}
	arrivals, ops := r.arrived(first)
	if len(words) == 0 || len(arrivals) == 0 || r.takeBoth(words, arrivals) != nil {
		r.takeArrivals(arrivals)
		r.takeWords(words)
	}
	if len(words)+ops > 1 {
		g.rest = time.After(min(max(restTimes*time.Since(began), restLeast), restMost))
	}
}

// arrived takes what waits out of the queue of arrivals, as much as fits into one
// transaction; first, unless nil, is out of it already.
func (r *room) arrived(first *arrival) (batch []*arrival, ops int) {
	bytes := 0
	take := func(a *arrival) { batch, ops, bytes = append(batch, a), ops+len(a.ops), bytes+a.bytes }
	if first != nil {
		take(first)
	}
	for more := true; more && ops < arrivalBatch && bytes < arrivalBatchBytes; {
		select {
		case a := <-r.arrivals:
			take(a)
		default:
			more = false
		}
	}
	r.arriving.Add(-int64(bytes))
	if len(batch) > 0 && r.n.diskRefuses() != nil {
		return nil, 0 // sync brings them once there is room
	}
	return batch, ops
}

// takeBoth writes some arrivals and some words, or nothing.
func (r *room) takeBoth(words []word, arrivals []*arrival) error {
	return r.commit(func(c *commit) error {
		c.others = len(words) == 0
		c.shown = func() { // nobody waits for it to be published
			for _, w := range words {
				w.answer <- nil
			}
			if len(r.links) == 0 {
				runtime.Gosched() // who waits goes first where there is nobody to hurry for
			}
		}
		for _, a := range arrivals {
			r.ingest(c, a.from, a.ops, true)
		}
		for _, w := range words {
			if err := w.say(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *room) takeArrivals(batch []*arrival) {
	if len(batch) == 0 {
		return
	}
	err := r.takeBoth(nil, batch)
	if errors.Is(err, store.ErrTooLarge) {
		for _, a := range batch {
			if err = r.takeBoth(nil, []*arrival{a}); err != nil {
				break
			}
		}
	}
	if err != nil {
		r.log.Warn("storing what arrived failed", "arrivals", len(batch), "err", err)
	}
}

func (r *room) takeWords(batch []word) {
	if len(batch) == 0 {
		return
	}
	err := r.takeBoth(batch, nil)
	switch {
	case err == nil:
	case len(batch) == 1:
		batch[0].answer <- err
	default:
		for _, w := range batch {
			w.answer <- r.commit(w.say) // each alone tells whose fault it was
		}
	}
}
