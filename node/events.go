package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// change is a row of the change log with an object of the API in it.
func (n *Node) change(kind store.ChangeKind, typ string, group wire.GroupID, object any) store.Change {
	return store.Change{Kind: kind, Type: typ, Group: group, Ms: n.nowMs(), Data: jsonOf(object)}
}

// messageChange is a row of the change log that names a message: what it says
// is in the timeline already, and its readers are shown it as it is when they
// are told (render).
func (r *room) messageChange(kind store.ChangeKind, typ string, id wire.OpID) store.Change {
	return store.Change{Kind: kind, Type: typ, Group: r.group, Object: id, Ms: r.n.nowMs()}
}

// eventID names a change: the store's epoch tells a store that was rebuilt
// from the one a reader knew.
func (n *Node) eventID(number uint64) string {
	return n.store.Epoch() + "-" + strconv.FormatUint(number, 10)
}

// LastEventID names the newest event; following from it misses nothing.
func (n *Node) LastEventID(context.Context) string { return n.eventID(n.store.LastChange()) }

// NextEvents returns durable events after the one named, at most max, and
// waits until there is one. An empty id means from now. api.ErrResync means
// that the events from there are gone.
func (n *Node) NextEvents(ctx context.Context, after string, max int) ([]api.Event, error) {
	number := n.store.LastChange()
	if after != "" {
		epoch, digits, ok := cutLast(after, "-")
		at, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil || epoch != n.store.Epoch() || at > number {
			return nil, api.ErrResync
		}
		number = at
	}
	changes, err := n.store.Tail(ctx, number, max)
	if errors.Is(err, store.ErrPruned) {
		return nil, api.ErrResync
	}
	if err != nil {
		return nil, err
	}
	if err := n.shown(ctx, changes); err != nil {
		return nil, err
	}
	return n.render(changes)
}

// render makes an event of each change. One that names a message has the message
// as it is now, which is what a reader who follows all of them ends with anyway;
// of a message that has been let go since it says that.
func (n *Node) render(changes []store.NumberedChange) ([]api.Event, error) {
	out := make([]api.Event, len(changes))
	err := n.store.View(func(tx *store.Tx) error {
		for i, c := range changes {
			e := api.Event{ID: n.eventID(c.N), Type: c.Type, At: msTime(c.Ms), Group: c.Group, Object: c.Data}
			if !c.Object.IsZero() {
				m, ok, err := n.messageNow(tx, c.Group, c.Object)
				if err != nil {
					return err
				}
				if ok {
					e.Object = jsonOf(m)
				} else {
					e.Type, e.Object = api.EventMessageRetracted, jsonOf(api.Retracted{ID: c.Object, Group: c.Group})
				}
			}
			out[i] = e
		}
		return nil
	})
	return out, err
}

// messageNow is a message of a room, if it is there.
func (n *Node) messageNow(tx *store.Tx, group wire.GroupID, id wire.OpID) (api.Message, bool, error) {
	r := n.room(group)
	if r == nil {
		return api.Message{}, false, nil
	}
	if e, ok := r.recent.take(id); ok {
		return n.messageOf(r, e), true, nil
	}
	row, ok, err := tx.Entry(group, id)
	if err != nil || !ok {
		return api.Message{}, false, err
	}
	e, err := entryOf(row)
	if err != nil {
		return api.Message{}, false, err
	}
	return n.messageOf(r, e), true, nil
}

// shown waits until the rooms of some changes show them. A commit wakes readers
// a moment before its room swaps its view, and who is told and asks at once is
// not to be shown what was before.
func (n *Node) shown(ctx context.Context, changes []store.NumberedChange) error {
	waited := map[wire.GroupID]bool{}
	for _, c := range changes {
		if c.Group.IsZero() || waited[c.Group] {
			continue
		}
		waited[c.Group] = true
		r := n.room(c.Group)
		if r == nil {
			continue // forgotten, or an offer of a group that is not here
		}
		if err := r.awaitShown(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitShown waits until memory shows what is on the disk by now. It asks nothing
// of the room's goroutine, which has the next message to see to.
func (r *room) awaitShown(ctx context.Context) error {
	for begun := r.begun.Load(); ; {
		settled := r.settled.wait()
		if r.over.Load() >= begun {
			return nil
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			return nil
		}
	}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Snapshot returns everything a front end shows before its first event. The
// event id is taken first: what happens meanwhile is seen twice, never missed.
func (n *Node) Snapshot(ctx context.Context) (api.Snapshot, error) {
	s := api.Snapshot{EventID: n.LastEventID(ctx), State: api.State{Status: n.Status(ctx)}}
	id, err := n.Identity(ctx)
	if err != nil {
		return s, err
	}
	s.State.Identity = &id
	if s.State.People, err = arr(n.People(ctx)); err != nil {
		return s, err
	}
	if s.State.Requests, err = arr(n.Requests(ctx)); err != nil {
		return s, err
	}
	if s.State.Groups, err = arr(n.Groups(ctx)); err != nil {
		return s, err
	}
	for _, g := range s.State.Groups {
		members, err := n.Members(ctx, g.ID)
		if err != nil {
			return s, err
		}
		s.State.Members = append(s.State.Members, api.GroupMembers{Group: g.ID, Items: members})
	}
	s.State.Tasks, err = arr(n.Tasks(ctx))
	return s, err
}

func arr[T any](list []T, err error) (api.Array[T], error) { return list, err }

// Idempotent looks an Idempotency-Key up. stored is the answer it got before;
// else save keeps the answer it gets now. Problem idempotency_conflict if the
// key came with another request.
func (n *Node) Idempotent(ctx context.Context, key string, request [32]byte) (stored *api.StoredResponse, save func(status int, body []byte) error, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		a, ok, err := tx.Answer(key, n.nowMs())
		if err != nil || !ok {
			return err
		}
		if a.RequestHash != request {
			return api.NewProblem(api.IdempotencyConflict)
		}
		stored = &api.StoredResponse{Status: int(a.Status), Body: a.Body}
		return nil
	})
	if err != nil || stored != nil {
		return stored, nil, err
	}
	return nil, func(status int, body []byte) error {
		err := n.store.Update(ctx, func(tx *store.Tx) error {
			return tx.PutAnswer(key, store.Answer{AtMs: n.nowMs(), RequestHash: request, Status: uint32(status), Body: body})
		})
		if err != nil {
			return fmt.Errorf("keeping an answer: %w", err)
		}
		return nil
	}, nil
}
