package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

const protocolSync = "/mutuals/sync/1"

// Bounds of syncing.
const (
	// syncStep is how long one message of a sync stream may take: a segment of
	// 512 KiB on a line of 20 KiB/s.
	syncStep = 30 * time.Second
	// maxSyncStreams is how many sync streams one peer may hold open: for each
	// shared group one that asks and one that tells, and some ending.
	maxSyncStreams = 256
)

// pull fetches from one member what this device lacks: control chains to the
// end, then content (groups/sync.go has the messages).
func (r *room) pull(ctx context.Context, peer wire.PeerKey) error {
	s, err := r.n.mesh.Open(ctx, peer, protocolSync)
	if err != nil {
		return fmt.Errorf("opening a sync stream: %w", err)
	}
	defer s.Close()
	mine, err := r.vector(ctx)
	if err != nil {
		return err
	}
	records, given := r.records(peer)
	hello := &groups.SyncHello{V: groups.SyncVersion, Group: r.group, Digest: groups.Digest(mine), Records: records, Ms: r.n.nowMs()}
	owed, err := r.bodiesOwed(ctx, peer)
	if err != nil {
		return err
	}
	holes := false
	if err := r.step(ctx, func(*commit) error { holes = len(r.olders) > 0; return nil }); err != nil {
		return err
	}
	if len(owed) > 0 || holes {
		hello.Digest = [32]byte{} // equal to nobody's: there is something to ask for
	}
	asked := time.Now()
	if err := writeSync(s, hello); err != nil {
		return err
	}
	m, err := readSync(s)
	if err != nil {
		return err
	}
	if refused, ok := m.(*groups.SyncRefused); ok {
		return r.takeRefusals(ctx, s, peer, refused)
	}
	theirs, ok := m.(*groups.SyncHello)
	if !ok || theirs.Group != r.group {
		return fmt.Errorf("%w: no hello for this group", errStep)
	}
	given() // an answer shows that they were read
	r.n.hearClock(r, peer, theirs.Ms, asked)
	r.n.learnRecords(theirs.Records)
	if theirs.Digest == hello.Digest {
		r.noteHeld(ctx, peer, mine)
		return nil
	}
	vector, err := readVector(s)
	if err != nil {
		return err
	}
	r.noteHeld(ctx, peer, vector)
	if err := r.fetchAll(ctx, s, peer, vector); err != nil {
		return err
	}
	if len(owed) > 0 && r.n.crowded() {
		return r.pause(ctx)
	}
	return r.fetchBodies(ctx, s, peer)
}

// wants is what to ask for now: chains of one kind, in the order of Y4. Whether
// content counts is decided by the control operations its author knew, and a
// key for it is asked for by a KEM key that may be new.
func (r *room) wants(mine, theirs groups.Vector) []groups.Want {
	all := groups.Missing(mine, theirs) // control first
	if len(all) == 0 {
		return nil
	}
	if slices.ContainsFunc(theirs, func(e groups.VectorEntry) bool { return e.Floor > 1 }) {
		all = beforeGaps(all, mine, theirs)
	}
	if next := slices.IndexFunc(all, func(w groups.Want) bool { return w.Chain != all[0].Chain }); next > 0 {
		return all[:next]
	}
	return all
}

// beforeGaps leaves what can be judged: behind a gap, which a harbor makes where it
// is short of room, nothing can; somebody else has what is missing.
func beforeGaps(all []groups.Want, mine, theirs groups.Vector) []groups.Want {
	floors, seqs := map[chainOf]uint64{}, map[chainOf]uint64{}
	for _, e := range theirs {
		floors[chainOf{e.Inc, groups.ChainKind(e.Chain)}] = e.Floor
	}
	for _, e := range mine {
		seqs[chainOf{e.Inc, groups.ChainKind(e.Chain)}] = e.Seq
	}
	return slices.DeleteFunc(all, func(w groups.Want) bool {
		at := chainOf{w.Inc, groups.ChainKind(w.Chain)}
		return at.chain == groups.Content && floors[at] > seqs[at]+1
	})
}

const (
	// fetchAhead is how many segments are read and decoded while those before them
	// are taken in: with those that are, and one in the reader's hand, and with what was
	// found in their boxes, a bound of 6 MiB a peer.
	fetchAhead = 3
	// takenTogether is what the frames weigh that share a transaction: a message
	// weighs some times its frame on disk, and a transaction holds 2 MB.
	takenTogether = groups.MaxSegmentBytes
)

// fetch takes in what comes of one window that was asked for; it returns how
// many operations were new. What comes is read and decoded ahead, beside the
// room.
func (r *room) fetch(ctx context.Context, s *mesh.Stream, peer wire.PeerKey, w *window) (got int, err error) {
	runs := make(chan run, fetchAhead)
	var readErr error
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(runs)
		readErr = r.readRuns(s, peer, runs)
	})
	for first := range runs {
		batch := gather(first, runs)
		var n int
		n, err = r.takeRuns(ctx, peer, batch, w.want.NewestFirst)
		if got += n; err != nil {
			s.Reset() // ends the reader
			for range runs {
			}
			break
		}
	}
	reader.Wait()
	if err == nil {
		err = readErr
	}
	return got, err
}

// run is a decoded segment.
type run struct {
	ops   []*groups.Op
	ahead ahead
	bytes int
	told  bool // it came straight, unasked
}

// readRuns reads segments until the peer says done.
func (r *room) readRuns(s *mesh.Stream, peer wire.PeerKey, to chan<- run) error {
	for {
		m, err := readSync(s)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *groups.SyncDone:
			return nil
		case *groups.Segment:
			run, err := r.decodeRun(peer, m)
			if err != nil {
				return err
			}
			run.ahead = r.lookAhead(run.ops)
			to <- run
		default:
			return fmt.Errorf("%w: neither segment nor done", errStep)
		}
	}
}

func (r *room) decodeRun(peer wire.PeerKey, seg *groups.Segment) (run, error) {
	out := run{ops: make([]*groups.Op, 0, len(seg.Frames))}
	for _, frame := range seg.Frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			r.n.blame(peer, refusal)
			return run{}, refusal
		}
		out.ops = append(out.ops, op)
		out.bytes += len(frame)
	}
	r.n.stats.fetched.Add(uint64(len(out.ops)))
	return out, nil
}

// gather adds to a run those that are here already, as long as together they
// weigh no more than takenTogether: they share a transaction.
func gather(first run, more <-chan run) []run {
	batch := []run{first}
	for bytes := first.bytes; bytes < takenTogether; {
		select {
		case next, ok := <-more:
			if !ok {
				return batch
			}
			batch = append(batch, next)
			bytes += next.bytes
		default:
			return batch
		}
	}
	return batch
}

// takeSegment takes in a segment that was told; it returns how many operations
// were new.
func (r *room) takeSegment(ctx context.Context, peer wire.PeerKey, seg *groups.Segment) (int, error) {
	one, err := r.decodeRun(peer, seg)
	if err != nil {
		return 0, err
	}
	one.told = true
	return r.takeRuns(ctx, peer, []run{one}, false)
}

// takeRuns takes in runs of operations, up to the first that is refused; it
// returns how many operations were new. What is too much for one transaction
// is taken in two: a message may weigh several times its frame on disk. newest
// tells that the end of a chain was asked for, whatever is here of it.
func (r *room) takeRuns(ctx context.Context, peer wire.PeerKey, runs []run, newest bool) (got int, err error) {
	if err := r.n.diskRefuses(); err != nil {
		return 0, err
	}
	var refusal *groups.Refusal
	err = r.step(ctx, func(c *commit) error {
		got, c.others = 0, true
		for _, run := range runs {
			if refusal = r.checkRun(run.ops); refusal != nil {
				r.n.blame(peer, refusal)
				break
			}
			if newest && r.takesTail(run.ops) && r.takeTail(c, peer, run.ops[0]) {
				got++
			}
			before := len(c.taken)
			r.ahead = run.ahead
			got += r.ingest(c, peer, run.ops, false)
			r.ahead = nil
			// Only what was verified: else anybody could fill what is remembered.
			switch _, known := r.g.State().Inc(run.ops[0].IncID()); {
			case run.told && known && run.ops[0].Chain == groups.Content:
				r.seen.came(run.ops)
			case run.told:
				r.seen.came(c.taken[before:])
			}
		}
		r.windows.moved(peer, r.n.now())
		if !runs[0].told && c.content <= fewWords {
			r.passed.by(c.taken, r.n.now())
		}
		c.then(func() { r.historyCame(c.content) })
		return nil
	})
	if errors.Is(err, store.ErrTooLarge) {
		if a, b := halves(runs); b != nil {
			if ops := runs[0].ops; len(runs) == 1 && newest && r.leads(ctx, ops) {
				a, b = b, a // into a hole, from its end
			}
			some, err := r.takeRuns(ctx, peer, a, newest)
			if err != nil {
				return some, err
			}
			rest, err := r.takeRuns(ctx, peer, b, newest)
			return some + rest, err
		}
	}
	if err == nil && refusal != nil {
		err = refusal
	}
	return got, err
}

// halves parts what was found to be authentic; b is nil if it is one operation.
func halves(runs []run) (a, b []run) {
	if n := len(runs); n > 1 {
		return runs[:n/2], runs[n/2:]
	}
	ops := runs[0].ops
	if n := len(ops); n > 1 {
		a, b := runs[0], runs[0]
		a.ops, b.ops = ops[:n/2], ops[n/2:]
		return []run{a}, []run{b}
	}
	return runs, nil
}

// checkRun verifies a segment of content by its last signature (SYNC.md Y7).
// Operations of the other chains are few and each verified by itself; so are
// those of an inc that is not known yet, which wait for it.
func (r *room) checkRun(ops []*groups.Op) *groups.Refusal {
	if ops[0].Chain != groups.Content {
		return nil
	}
	refusal := r.g.CheckServed(ops)
	if refusal != nil && refusal.Reason.Class() == groups.ClassPark {
		return nil
	}
	return refusal
}

// maxRefusals bounds the pages of one refusal: 16 384 operations, more than a
// group's control chains come to in years.
const maxRefusals = 64

// takeRefusals reads a refusal to its end, page by page: what unseated this
// device comes last.
func (r *room) takeRefusals(ctx context.Context, s *mesh.Stream, peer wire.PeerKey, page *groups.SyncRefused) error {
	for range maxRefusals {
		if err := r.takeRefusal(ctx, peer, page); err != nil {
			return err
		}
		m, err := readSync(s)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		next, ok := m.(*groups.SyncRefused)
		if !ok {
			return fmt.Errorf("%w: more than a refusal", errStep)
		}
		page = next
	}
	return nil
}

// takeRefusal reads one page of the operations that unseated this device.
func (r *room) takeRefusal(ctx context.Context, peer wire.PeerKey, refused *groups.SyncRefused) error {
	if refused.Group != r.group {
		return fmt.Errorf("%w: a refusal for another group", errStep)
	}
	var ops []*groups.Op
	for _, frame := range refused.Frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			return refusal
		}
		ops = append(ops, op)
	}
	if len(ops) == 0 {
		return errNotYet
	}
	return r.step(ctx, func(c *commit) error {
		r.ingest(c, peer, ops, false)
		return nil
	})
}

// errNotYet means that a member does not know this device: it may not have
// heard of the admission yet.
var errNotYet = errors.New("a member does not know this device yet")

// vector is what this device holds, as of now, and on its disk: whoever is told
// counts on it.
func (r *room) vector(ctx context.Context) (v groups.Vector, err error) {
	err = r.step(ctx, func(*commit) error {
		v = r.vectorNow()
		return nil
	})
	if err == nil {
		err = r.n.store.Sync(ctx)
	}
	return v, err
}

// lackingNow is what this device holds, as far as it asks by it: a chain that
// came on another branch is asked for again from where the two part.
func (r *room) lackingNow() groups.Vector {
	v := slices.Clone(r.vectorNow())
	for i, e := range v {
		if seq := r.below[chainOf{e.Inc, groups.ChainKind(e.Chain)}]; seq > 0 && seq <= e.Seq {
			v[i].Seq, v[i].Head = seq-1, [16]byte{}
		}
	}
	return v
}

func writeSync(s *mesh.Stream, m groups.SyncMessage) error {
	s.SetDeadline(time.Now().Add(syncStep))
	return s.WriteFrame(groups.EncodeSync(m))
}

func readSync(s *mesh.Stream) (groups.SyncMessage, error) { return readSyncOf(s, groups.MaxSyncFrame) }

func readSyncOf(s *mesh.Stream, most int) (groups.SyncMessage, error) {
	s.SetDeadline(time.Now().Add(syncStep))
	b, err := s.ReadFrame(most)
	if err != nil {
		return nil, err
	}
	return groups.DecodeSync(b)
}

func readVector(s *mesh.Stream) (groups.Vector, error) {
	var v groups.Vector
	for {
		m, err := readSync(s)
		if err != nil {
			return nil, err
		}
		page, ok := m.(*groups.SyncVector)
		if !ok {
			return nil, fmt.Errorf("%w: no vector", errStep)
		}
		v = append(v, page.Entries...)
		if err := v.Check(); err != nil {
			return nil, err
		}
		if !page.More {
			return v, nil
		}
	}
}
