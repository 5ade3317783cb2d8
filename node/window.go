package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

const (
	// stealAfter is how long a peer that was asked for a chain may bring nothing
	// before somebody else is asked for it: a few round trips of a slow line, and
	// what a burst of commits may take.
	stealAfter = 3 * time.Second
	// elsewhereWait is how long a pull waits for what others are being asked for:
	// less than the peer waits for the next want.
	elsewhereWait = syncStep / 2
	// elsewhereLook is how often it looks whether that goes on.
	elsewhereLook = stealAfter / 3
)

// window is a part of what a device lacks that one peer is asked for.
type window struct {
	want   *groups.SyncWant
	peer   wire.PeerKey
	at     time.Time           // when it was asked for, or something of it came
	chains map[chainOf]reached // and how far they were here
}

// reached is how far a chain is here, up and down.
type reached struct{ head, floor uint64 }

// windows are those on their way to a room, each chain with one peer: what
// several have is fetched once. The room's goroutine owns them.
type windows struct {
	list  []*window
	freed signal
}

// taken tells whether a chain is being fetched, from whom but a peer that brings
// nothing any more.
func (ws *windows) taken(at chainOf, peer wire.PeerKey, now time.Time) bool {
	return slices.ContainsFunc(ws.list, func(w *window) bool {
		_, is := w.chains[at]
		return is && (w.peer == peer || now.Sub(w.at) < stealAfter)
	})
}

// moved notes that a peer brought something.
func (ws *windows) moved(peer wire.PeerKey, now time.Time) {
	for _, w := range ws.list {
		if w.peer == peer {
			w.at = now
		}
	}
}

func (ws *windows) free(w *window) {
	if i := slices.Index(ws.list, w); i >= 0 {
		ws.list = slices.Delete(ws.list, i, i+1)
		ws.freed.tell()
	}
}

func (r *room) reached(at chainOf) reached {
	e := r.heads[at]
	return reached{e.Seq, e.Floor}
}

// puller is one pull: what its peer has, and of which chains it brought nothing.
type puller struct {
	r      *room
	s      *mesh.Stream
	peer   wire.PeerKey
	theirs groups.Vector
	spent  map[chainOf]bool
	// crowded is set once something was left out for want of room on the disk.
	crowded bool
}

// afforded is what of these the disk has room for.
func (p *puller) afforded(wants []groups.Want) []groups.Want {
	had := len(wants)
	wants = p.r.affordable(wants)
	p.crowded = p.crowded || len(wants) < had
	return wants
}

// next takes what to ask for now, in the order of Y4; on the room's goroutine.
// nil if nothing is left to ask this peer for, or, elsewhere, all of it is being
// fetched.
func (p *puller) next() (w *window, elsewhere bool) {
	r := p.r
	kind := groups.ChainKind(0)
	wants := p.afforded(r.wants(r.lackingNow(), p.theirs))
	lacks := uint64(0)
	for _, want := range wants {
		kind = groups.ChainKind(want.Chain)
		lacks += want.To - want.From + 1 // below 2^48 each, of 2^14 at most
	}
	if kind == groups.Content || len(wants) == 0 {
		older, _ := r.olderMissing()
		r.historyLacks(lacks + older)
	}
	wants, elsewhere = p.left(wants)
	newest := false
	if kind == groups.Content && lacks >= tailFrom {
		ends := slices.DeleteFunc(slices.Clone(wants), func(w groups.Want) bool { return !r.mayTail(chainOf{w.Inc, groups.Content}) })
		if newest = len(ends) > 0; newest {
			wants = tails(ends)
		}
	}
	if len(wants) == 0 && (kind == groups.Content || !elsewhere) {
		var others bool
		wants, others = p.left(p.afforded(r.olderWants(p.theirs)))
		wants, newest, elsewhere = upTo(wants, olderWindow), true, elsewhere || others
	}
	m, _ := groups.Window(wants, newest)
	if m == nil {
		return nil, elsewhere
	}
	w = &window{want: m, peer: p.peer, at: r.n.now(), chains: map[chainOf]reached{}}
	for _, want := range m.Wants {
		at := chainOf{want.Inc, groups.ChainKind(want.Chain)}
		w.chains[at] = r.reached(at)
	}
	r.windows.list = append(r.windows.list, w)
	return w, false
}

// olderWindow is how many operations of older history a window asks for, about:
// half a second's work, so that several peers find something to do, and what is
// fetched in vain when one is cut off is little.
const olderWindow = groups.MaxWantOps / 4

// upTo is the first of some wants, until they come to count operations.
func upTo(wants []groups.Want, count uint64) []groups.Want {
	for i, w := range wants {
		n := w.To - w.From + 1
		if n >= count {
			return wants[:i+1]
		}
		count -= n
	}
	return wants
}

// left drops what is being fetched, and what this peer was asked for in vain.
func (p *puller) left(wants []groups.Want) (left []groups.Want, elsewhere bool) {
	now := p.r.n.now()
	for _, w := range wants {
		at := chainOf{w.Inc, groups.ChainKind(w.Chain)}
		switch {
		case p.spent[at]:
		case p.r.windows.taken(at, p.peer, now):
			elsewhere = true
		default:
			left = append(left, w)
		}
	}
	return left, elsewhere
}

// over gives a window back. Of what it brought nothing of this peer is asked no
// more: it was here meanwhile, waits for something, or the peer has not what it
// says.
func (p *puller) over(w *window, got int) {
	for at, was := range w.chains {
		if p.r.reached(at) == was && (at.chain == groups.Content || got == 0) {
			p.spent[at] = true
		}
	}
	p.r.windows.free(w)
}

// errElsewhere ends a pull when what it would ask for is on its way from others.
var errElsewhere = errors.New("what is missing is being fetched from somebody else")

// fetchAll asks a peer for what it has and this device lacks until nothing is
// left, a window ahead of what is being taken in.
func (r *room) fetchAll(ctx context.Context, s *mesh.Stream, peer wire.PeerKey, theirs groups.Vector) (err error) {
	p := &puller{r: r, s: s, peer: peer, theirs: theirs, spent: map[chainOf]bool{}}
	var asked []*window
	defer func() {
		for _, w := range asked { // those that were cut off
			r.tell(func(*commit) error { r.windows.free(w); return nil })
		}
	}()
	keyed, barren, waited := false, 0, time.Duration(0)
	for {
		freed := r.windows.freed.wait()
		var w *window
		var elsewhere bool
		if len(asked) < windowsAhead && barren < maxBarren {
			if err := r.step(ctx, func(*commit) error { w, elsewhere = p.next(); return nil }); err != nil {
				return err
			}
		}
		if w != nil {
			asked = append(asked, w)
			if !keyed && !r.view.Load().blind && groups.ChainKind(w.want.Wants[0].Chain) == groups.Content {
				// The keys first: else content is stored shut, read back and opened.
				keyed = true
				if err := r.fetchKeys(ctx, peer); err != nil {
					r.log.Debug("fetching keys failed", "peer", peer.Short(), "err", err)
				}
			}
			if err := writeSync(s, w.want); err != nil {
				return err
			}
			if len(asked) < windowsAhead {
				continue
			}
		}
		switch {
		case len(asked) > 0:
			first := asked[0]
			got, err := r.fetch(ctx, s, peer, first)
			if err != nil {
				return err
			}
			asked = asked[1:]
			if err := r.step(ctx, func(*commit) error { p.over(first, got); return nil }); err != nil {
				return err
			}
			if barren++; got > 0 {
				barren, waited = 0, 0
			}
		case !elsewhere && p.crowded:
			return r.pause(ctx)
		case !elsewhere:
			return r.step(ctx, func(*commit) error {
				// What is left waits for something this peer lacks, or it has not
				// what it says.
				r.unclaim(peer, r.wants(r.lackingNow(), theirs))
				return nil
			})
		case waited >= elsewhereWait:
			return errElsewhere
		default:
			began := time.Now()
			select {
			case <-freed:
			case <-time.After(elsewhereLook):
			case <-ctx.Done():
				return ctx.Err()
			}
			waited += time.Since(began)
		}
	}
}

// maxBarren is how many windows in a row may bring nothing before a peer is asked
// no more in this pull: a vector may name thousands of chains that are nowhere,
// and an honest peer has what it names.
const maxBarren = 6

// windowsAhead is how many windows a peer is asked for at once: one that comes
// and the next.
const windowsAhead = 2
