package node

import (
	"context"
	"time"

	"mutuals/groups"
	"mutuals/node/mesh"
)

const (
	// telling bounds one unasked message on its way.
	telling = 10 * time.Second
	// tellMost is the longest wait before a member that ends the stream on which
	// it is told is told anew: it doubles from nothing by tellFirst. Who does not
	// know this device, and may never, ends it each time.
	tellFirst, tellMost = time.Second, time.Minute
)

// keepTelling writes what is queued. A stream that breaks, or that the other
// side ends, is opened anew, and all there is is told again: a write that went
// through may still have been read by nobody. The other side may not have
// opened the group yet, or be another start of the same device, behind a
// connection that only it knows to be dead.
func (r *room) keepTelling(ctx context.Context, l *link) {
	t := teller{r: r, l: l}
	defer close(l.ended)
	defer t.close()
	var wait time.Duration
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-l.out:
			t.tell(ctx, o)
			continue
		case <-t.gone:
			if time.Since(t.opened) > tellMost {
				wait = 0
			}
			t.drop()
			again = time.After(wait)
			wait = min(2*max(wait, tellFirst/2), tellMost)
			continue
		case <-again:
			again = nil
			r.tellAgain(ctx, l)
			continue
		case <-l.last:
		}
		// The node is about to end: what waits is the last.
		for {
			select {
			case o := <-l.out:
				t.tell(ctx, o)
				continue
			default:
			}
			t.finish()
			return
		}
	}
}

// teller is the stream on which a member is told unasked.
type teller struct {
	r      *room
	l      *link
	s      *mesh.Stream    // nil while there is none
	opened time.Time       // when it was
	gone   <-chan struct{} // closed when the other side has ended it, or it broke
}

func (t *teller) tell(ctx context.Context, o *outgoing) {
	var err error
	if o.have {
		err = t.r.n.store.Sync(ctx)
	}
	if err == nil {
		err = t.write(ctx, o.b)
	}
	if err != nil {
		t.drop()
		t.r.tellAgain(ctx, t.l)
		return
	}
	if o.seq > 0 {
		t.r.noteSent(o.inc, o.seq)
	}
}

func (t *teller) write(ctx context.Context, b []byte) error {
	if t.s == nil {
		s, err := t.r.n.mesh.Open(ctx, t.l.peer, protocolSync)
		if err != nil {
			return err
		}
		s.SetDeadline(time.Now().Add(telling))
		if err := s.WriteFrame(groups.EncodeSync(&groups.SyncHave{Group: t.r.group})); err != nil {
			s.Reset()
			return err
		}
		gone := make(chan struct{})
		t.s, t.opened, t.gone = s, time.Now(), gone
		t.r.n.wg.Go(func() {
			defer close(gone)
			s.ReadFrame(1) // its end is all there is to read; ends with the stream
		})
	}
	t.s.SetDeadline(time.Now().Add(telling))
	err := t.s.WriteFrame(b)
	t.s.SetDeadline(time.Time{}) // a group may be silent for days
	return err
}

// drop lets go of a stream that is of no use any more.
func (t *teller) drop() {
	if t.s != nil {
		t.s.Reset()
	}
	t.s, t.gone = nil, nil
}

// finish waits until the member has read all: it closes its side then.
func (t *teller) finish() {
	if t.s == nil || t.s.CloseWrite() != nil {
		return
	}
	select {
	case <-t.gone:
	case <-time.After(lastWords):
	}
}

// close ends the stream and what waits for its end.
func (t *teller) close() {
	if t.s == nil {
		return
	}
	t.s.Close()
	t.s.SetDeadline(time.Now())
	<-t.gone
}

// tellAgain forgets what a member was told: with the next tick it is told all
// there is.
func (r *room) tellAgain(ctx context.Context, l *link) {
	if ctx.Err() != nil {
		return
	}
	r.tell(func(*commit) error {
		l.told, l.greetBy, r.haveDue = nil, time.Time{}, true
		return nil
	})
}
