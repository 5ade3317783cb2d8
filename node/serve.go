package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

// serveSync answers one sync stream.
func (n *Node) serveSync(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	m, err := readSyncOf(s, groups.MaxOpening)
	if err != nil {
		n.blameStream(s.Peer(), err)
		return
	}
	switch m := m.(type) {
	case *groups.SyncHello:
		err = n.serveAsker(ctx, s, m)
	case *groups.SyncHave:
		err = n.hearTeller(ctx, s, m)
	default:
		err = fmt.Errorf("%w: a sync stream begins with hello or have", errStep)
	}
	if err != nil {
		n.blameStream(s.Peer(), err)
	}
}

func (n *Node) serveAsker(ctx context.Context, s *mesh.Stream, hello *groups.SyncHello) error {
	r := n.room(hello.Group)
	if r == nil || !r.view.Load().knows(s.Peer()) {
		return n.refuseSync(s, r, hello.Group)
	}
	n.learnRecords(hello.Records)
	mine, err := r.vector(ctx)
	if err != nil {
		return err
	}
	records, given := r.records(s.Peer())
	answer := &groups.SyncHello{V: groups.SyncVersion, Group: r.group, Digest: groups.Digest(mine), Records: records, Ms: r.n.nowMs()}
	if err := writeSync(s, answer); err != nil {
		return err
	}
	given()
	if answer.Digest == hello.Digest {
		r.noteHeld(ctx, s.Peer(), mine)
	} else {
		for _, page := range groups.Pages(mine) {
			if err := writeSync(s, page); err != nil {
				return err
			}
		}
	}
	r.answered(s.Peer(), mine)
	for {
		m, err := readSync(s)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !r.view.Load().knows(s.Peer()) {
			return nil // removed meanwhile
		}
		switch m := m.(type) {
		case *groups.SyncWant:
			err = r.serveWant(s, m)
		case *groups.SyncWrapWant:
			err = r.serveWrap(s, m)
		default:
			err = fmt.Errorf("%w: an asker asks", errStep)
		}
		if err != nil {
			return err
		}
	}
}

// serveWant sends the operations of some ranges as they lie on disk.
func (r *room) serveWant(s *mesh.Stream, want *groups.SyncWant) error {
	sent := false
	me := r.view.Load().me
	for _, w := range want.Wants {
		serve := r.serveUp
		if want.NewestFirst && groups.ChainKind(w.Chain) == groups.Content {
			serve = r.serveDown
		}
		last, err := serve(s, w)
		if err != nil {
			return err
		}
		sent = sent || last > 0
		if w.Inc == me && groups.ChainKind(w.Chain) == groups.Content && last > 0 {
			r.noteSent(me, last)
		}
	}
	status := groups.SyncComplete
	if !sent {
		status = groups.SyncNotHeld
	}
	return writeSync(s, &groups.SyncDone{Status: status})
}

// serveUp sends a range oldest first; it returns the seq of the last operation
// that was sent, 0 for none.
func (r *room) serveUp(s *mesh.Stream, w groups.Want) (last uint64, err error) {
	for from := w.From; ; {
		part, err := r.read(w, from, w.To, groups.MaxSegmentOps-groups.SignedEvery)
		if err != nil {
			return last, err
		}
		for i := range part.segments {
			if err := writeSync(s, &part.segments[i]); err != nil {
				return last, err
			}
			last = part.last
		}
		if part.last == 0 || part.last >= w.To {
			return last, nil
		}
		from = part.last + 1
	}
}

// serveDown sends a range from its end: segments that each begin where the one
// before it on the wire is to be continued below.
func (r *room) serveDown(s *mesh.Stream, w groups.Want) (last uint64, err error) {
	each := uint64(groups.MaxSegmentOps - groups.SignedEvery)
	for to := w.To; to >= w.From; {
		from := max(w.From, signedBelow(to-min(to, each))+1)
		part, err := r.read(w, from, to, 0)
		if err != nil {
			return last, err
		}
		if part.bytes > 2*groups.MaxSegmentBytes && each > groups.SignedEvery {
			each /= 2 // of long ones fewer are held in memory at once
			continue
		}
		for i := range slices.Backward(part.segments) {
			if err := writeSync(s, &part.segments[i]); err != nil {
				return last, err
			}
			last = max(last, part.last)
		}
		if from == 0 {
			break
		}
		to = from - 1
	}
	return last, nil
}

// served is a part of a range, as it lies on disk.
type served struct {
	segments []groups.Segment
	last     uint64 // seq of the last operation, 0 for none
	bytes    int
}

// read gathers the operations of a range into segments: all of them, or, with
// most, about that many or what one segment may weigh. Nothing of the store is
// held when it returns: whoever reads slowly keeps no view of it open.
func (r *room) read(w groups.Want, from, to uint64, most int) (out served, err error) {
	fresh := groups.SegmentBuilder{Inc: w.Inc, Chain: w.Chain}
	b, ended, count := fresh, false, 0
	rest := func() {
		if seg, ok := b.Rest(); ok {
			out.segments = append(out.segments, seg)
		}
		b = fresh
	}
	err = r.n.store.View(func(tx *store.Tx) error {
		// A segment ends on a signed operation, which may lie behind the last one
		// asked for.
		return tx.EachOp(r.group, w.Inc, uint8(w.Chain), from, to+groups.SignedEvery, func(op store.StoredOp) error {
			if op.Seq > out.last || count == 0 {
				full := most > 0 && (count >= most || out.bytes >= groups.MaxSegmentBytes/2)
				gap := op.Seq > out.last+1
				if ended && full || op.Seq > to && (ended || gap) {
					return errEnough
				}
				if gap && count > 0 {
					rest() // what lies between is still to come here
				}
			}
			ended, out.last = groups.FrameSigned(op.Frame), op.Seq
			out.bytes, count = out.bytes+len(op.Frame), count+1
			seg, full, err := b.Add(op.Frame, ended)
			if full {
				out.segments = append(out.segments, seg)
			}
			return err
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if count == 0 {
		out.last = 0
	}
	rest()
	r.n.stats.served.Add(uint64(count))
	return out, err
}

// serveWrap sends one leaf of a wrap set to a device that may have it, or to a
// harbor (groups/SYNC.md Y9).
func (r *room) serveWrap(s *mesh.Stream, want *groups.SyncWrapWant) error {
	v := r.view.Load()
	if !v.harbor(s.Peer()) && !v.state.MayHaveLeaf(v.peers[s.Peer()], want.Recipient) {
		return writeSync(s, &groups.SyncDone{Status: groups.SyncNotHeld})
	}
	var m *groups.SyncWrap
	err := r.n.store.View(func(tx *store.Tx) (err error) {
		if v.blind {
			m, err = r.keptLeaf(tx, want.Rekey, want.Recipient)
			return err
		}
		leaves, hashes, err := r.wraps(tx, want.Rekey)
		for i, leaf := range leaves {
			if leaf.ID == want.Recipient && leaf.Hash() == hashes[i] { // not the own one, erased
				m = &groups.SyncWrap{Rekey: want.Rekey, Index: uint64(i), Count: uint64(len(leaves)), Leaf: leaf, Proof: seal.Proof(hashes, i)}
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if m == nil {
		return writeSync(s, &groups.SyncDone{Status: groups.SyncNotHeld})
	}
	return writeSync(s, m)
}

// refuseSync tells a device that may not sync what unseated it, so that it can
// see for itself, and a stranger nothing.
func (n *Node) refuseSync(s *mesh.Stream, r *room, group wire.GroupID) error {
	refused := &groups.SyncRefused{Group: group}
	if r != nil {
		sum := 0
		for _, op := range r.unseating(s.Peer()) {
			frame := op.Frame()
			if sum+len(frame) > groups.MaxRefusedBytes || len(refused.Frames) == groups.MaxRefusedFrames {
				if err := writeSync(s, refused); err != nil {
					return err
				}
				refused, sum = &groups.SyncRefused{Group: group}, 0
			}
			sum += len(frame)
			refused.Frames = append(refused.Frames, frame)
		}
	}
	return writeSync(s, refused)
}
