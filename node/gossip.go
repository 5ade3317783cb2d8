package node

import (
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

const (
	// meshForms is how long after joining a topic what decides also goes straight
	// to linked members: GossipSub's mesh is empty until its next heartbeat, a
	// second, and a second more for the other side. Words go straight only to whom
	// the topic does not reach: a burst that moves to a new epoch would else be told
	// twice.
	meshForms = 3 * time.Second
	// topicGathers is how long after joining a topic haves repair what gossip
	// missed: the others join it some seconds sooner or later.
	topicGathers = 10 * time.Second
	// topicKept is how long a room listens on a topic after members moved on from
	// it: those who come back meanwhile speak there until they have heard.
	topicKept = 7 * 24 * time.Hour
	// maxTopics bounds that: each topic is a mesh of its own, and a group whose
	// history begins with joining moves with every newcomer.
	maxTopics = 8
)

// topic is one epoch's gossip topic this room listens on.
type topic struct {
	t      *mesh.Topic
	joined time.Time
}

// listenTo lists the topics this room listens on, by epoch: the one it writes
// on, the newest, and those that were left in the last days (PROTOCOLS.md N5); a
// harbor those it was told.
func (r *room) listenTo() map[[32]byte][32]byte {
	want := map[[32]byte][32]byte{}
	switch v := r.view.Load(); {
	case v.office.Appointed:
		for _, t := range r.office.row.Topics {
			want[r.g.Op(t.Rekey).Body.(*groups.RekeyBody).EID] = t.Topic
		}
		return want
	case !v.seated():
		return want
	}
	if e, ok := r.sendEpoch(); ok {
		want[e.EID] = r.keys.epochs[e.EID].keys.Topic
	}
	for _, e := range r.aged() {
		if e.leftMs+uint64(topicKept.Milliseconds()) < r.n.nowMs() || len(want) == maxTopics {
			break
		}
		if r.keys.has(e.EID) {
			want[e.EID] = r.keys.epochs[e.EID].keys.Topic
		}
	}
	return want
}

// tuneTopics joins the topics that are to be listened on and leaves the others;
// on the room's goroutine.
func (r *room) tuneTopics() {
	want := r.listenTo()
	for eid, t := range r.topics {
		if name, ok := want[eid]; !ok || t.t.Name() != groups.TopicName(name) {
			t.t.Leave()
			delete(r.topics, eid)
		}
	}
	for eid, name := range want {
		if r.topics[eid] != nil {
			continue
		}
		t, err := r.n.mesh.Join(groups.TopicName(name), mesh.Gate{
			Allow:   func(p wire.PeerKey) bool { return r.view.Load().gossips(p) },
			Judge:   r.judgeGossip,
			Deliver: func(from wire.PeerKey, _ []byte, checked any) { r.deliver(from, checked) },
		})
		if err != nil {
			r.log.Warn("joining a topic failed", "err", err)
			continue
		}
		r.topics[eid] = &topic{t: t, joined: r.n.now()}
	}
}

func (r *room) closeTopics() {
	for eid, t := range r.topics {
		t.t.Leave()
		delete(r.topics, eid)
	}
}

// publish sends own operations on their way: on the topic, and straight to
// linked members whom that does not reach.
func (r *room) publish(ops []*groups.Op) {
	if len(ops) == 0 {
		return
	}
	r.tuneTopics()
	var t *topic
	before := r.topics[r.wroteOn]
	if e, ok := r.sendEpoch(); ok {
		t = r.topics[e.EID]
		r.wroteOn = e.EID
	}
	onTopic := map[wire.PeerKey]bool{}
	decides := slices.ContainsFunc(ops, func(op *groups.Op) bool { return op.Chain != groups.Content })
	if t != nil {
		peers := t.t.Reached()
		for _, run := range groups.SplitRuns(ops) {
			last, on := run[len(run)-1], t
			if last.Chain == groups.Control && before != nil {
				on = before // the others are still there: this is what moves them
			}
			if err := on.t.Publish(r.n.ctx, groups.EncodeGossip(run)); err != nil {
				r.log.Debug("publishing failed", "err", err)
			} else if last.Chain == groups.Content && len(peers) > 0 {
				r.noteSent(last.IncID(), last.Seq)
			}
		}
		if !decides || t == before && r.n.now().Sub(t.joined) > meshForms {
			for _, p := range peers {
				onTopic[p] = true
			}
		}
	}
	straight, v := sync.OnceValue(func() []*outgoing { return outgoingOf(ops) }), r.view.Load()
	for peer, l := range r.links {
		var tell []*outgoing
		switch {
		case !onTopic[peer]:
			tell = straight()
		case decides && v.harbor(peer):
			// A harbor is to have what wraps belong to before the wraps come.
			tell = outgoingOf(controlOf(ops))
		}
		for _, o := range tell {
			l.tellOut(o)
		}
	}
}

// outgoingOf encodes own operations for links, once for all.
func outgoingOf(ops []*groups.Op) []*outgoing {
	var out []*outgoing
	last := 0
	for _, seg := range segmentsOf(ops) {
		last += len(seg.Frames)
		o := &outgoing{b: groups.EncodeSync(seg)}
		if groups.ChainKind(seg.Chain) == groups.Content {
			o.inc, o.seq = seg.Inc, ops[last-1].Seq
		}
		out = append(out, o)
	}
	return out
}

func controlOf(ops []*groups.Op) []*groups.Op {
	return slices.DeleteFunc(slices.Clone(ops), func(op *groups.Op) bool { return op.Chain != groups.Control })
}

// segmentsOf puts operations into segments, one for each run of a chain.
func segmentsOf(ops []*groups.Op) []*groups.Segment {
	var out []*groups.Segment
	for _, op := range ops {
		inc, chain := op.IncID(), uint64(op.Chain)
		if n := len(out); n > 0 && out[n-1].Inc == inc && out[n-1].Chain == chain && len(out[n-1].Frames) < 16 {
			out[n-1].Frames = append(out[n-1].Frames, op.Frame())
			continue
		}
		out = append(out, &groups.Segment{Inc: inc, Chain: chain, Frames: [][]byte{op.Frame()}})
	}
	return out
}
