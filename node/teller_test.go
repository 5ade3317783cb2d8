package node

import (
	"context"
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// A member that ends the stream on which it is told, before it has read
// anything of it, is told again: so does a device that has just been started
// and has not opened the group yet.
func TestToldAgain(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	r := s.newRogue(t)
	inRoom(t, s.ann, s.group, func(here *room) { here.setLink(r.mesh.Self(), false) })
	haves := r.hearHaves(1)
	inRoom(t, s.ann, s.group, func(here *room) { here.setLink(r.mesh.Self(), true) })
	select {
	case got := <-haves:
		var want groups.Vector
		inRoom(t, s.ann, s.group, func(here *room) { want = here.vectorNow() })
		if !slices.Equal(got, want) {
			t.Errorf("told %v, want all of %v", got, want)
		}
	case <-time.After(patience):
		t.Fatal("what was told to nobody is not told again")
	}
}

// Who has asked is told only what changed since: it knows the rest from the answer.
func TestAskedIsTold(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	r := s.newRogue(t)
	haves := r.hearHaves(0)
	inRoom(t, s.ann, s.group, func(here *room) {
		here.setLink(r.mesh.Self(), false)
		here.setLink(r.mesh.Self(), true)
	})
	st := must[*mesh.Stream](t)(r.mesh.Open(t.Context(), s.ann.mesh.Self(), protocolSync))
	defer st.Close()
	if err := writeSync(st, &groups.SyncHello{V: groups.SyncVersion, Group: s.group}); err != nil {
		t.Fatal(err)
	}
	must[groups.SyncMessage](t)(readSync(st)) // its hello
	all := must[groups.Vector](t)(readVector(st))
	say(t, s.ann, s.group, "news")
	select {
	case got := <-haves:
		for _, e := range got { // all three chains may have moved on
			if slices.Contains(all, e) {
				t.Errorf("told %v again, which the answer said; want what changed", e)
			}
		}
	case <-time.After(patience):
		t.Fatal("not told what changed")
	}
}

// hearHaves passes on what a rogue is told that it holds, but for the first streams,
// which it ends when their first frame has come.
func (r *rogue) hearHaves(drop int) <-chan groups.Vector {
	haves := make(chan groups.Vector, 16)
	first := make(chan struct{}, drop)
	for range drop {
		first <- struct{}{}
	}
	r.mesh.Handle(protocolSync, 64, func(_ context.Context, st *mesh.Stream) {
		defer st.Close()
		for {
			st.SetDeadline(time.Now().Add(patience))
			b, err := st.ReadFrame(groups.MaxSyncFrame)
			if err != nil {
				return
			}
			m, err := groups.DecodeSync(b)
			if _, asks := m.(*groups.SyncHello); err != nil || asks {
				return
			}
			select {
			case <-first:
				return // what follows goes unread
			default:
			}
			if have, ok := m.(*groups.SyncHave); ok && len(have.Entries) > 0 {
				haves <- have.Entries
			}
		}
	})
	return haves
}

// A group that is silent is compared ever more seldom, one that talks every
// minute, and no two devices keep step.
func TestResyncWait(t *testing.T) {
	ann := testNode(t, "Ann")
	r := ann.room(newGroup(t, ann, api.GroupCreate{}))
	now := ann.now()
	for _, c := range []struct{ linked, took, want time.Duration }{
		{0, time.Hour, resync}, {5 * time.Minute, time.Hour, 5 * time.Minute},
		{time.Hour, 3 * time.Minute, 3 * time.Minute}, {time.Hour, 2 * time.Hour, resyncMost},
	} {
		r.tookAt.Store(now.Add(-c.took).UnixMilli())
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 200 {
			wait := r.resyncWait(now.Add(-c.linked))
			least, most = min(least, wait), max(most, wait)
		}
		slack := time.Minute / 6 // the clock goes on
		if least < c.want*3/4 || most > c.want*5/4+slack || most-least < c.want/4 {
			t.Errorf("linked for %v, silent for %v: waits of %v to %v, want about %v", c.linked, c.took, least, most, c.want)
		}
	}
}
