package node

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Send says something in a group. It returns once the message is synced to
// this disk.
func (n *Node) Send(ctx context.Context, g wire.GroupID, in api.MessageCreate) (api.Message, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Message{}, err
	}
	if r, err = r.speaker(); err != nil {
		return api.Message{}, err
	}
	text := groups.Text{Text: in.Text, Mentions: in.Mentions}
	if !in.ReplyTo.IsZero() {
		text.ReplyTo = wire.SomeID(in.ReplyTo)
	}
	if len(in.Files) > 0 {
		return api.Message{}, api.NewProblem(api.UpdateNeeded).Explain("this version sends no files")
	}
	if len(in.Text) > groups.MaxText {
		return api.Message{}, api.NewProblem(api.TooLarge)
	}
	if err := text.Check(); err != nil {
		return api.Message{}, api.NewProblem(api.BadRequest).Explain("%v", err)
	}
	n.awaitClock(ctx)
	r.awaitKey(ctx)
	var op *groups.Op
	var said *timeline.Entry
	err = r.speak(ctx, func(c *commit) error {
		// A name before the first word: nobody hears from an account they
		// cannot call anything.
		if err := r.sayProfile(c); err != nil {
			return err
		}
		op, err = r.say(c, groups.ContentText, text.Encode())
		said = r.latest // what was said last stands last
		return err
	})
	if err != nil {
		return api.Message{}, err
	}
	if said != nil && said.ID == op.ID {
		return n.messageOf(r, *said), nil
	}
	return n.Message(ctx, r.group, op.ID.String())
}

// keyWait is how long a message of somebody just let in waits for the keys of
// the group; then it makes new ones.
const keyWait = 3 * time.Second

// awaitKey waits a little for an epoch to write under, if this device is
// seated and has none.
func (r *room) awaitKey(ctx context.Context) {
	writes := func() bool { v := r.view.Load(); return v.epoch.Gen > 0 || !v.seated() }
	if writes() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keyWait)
	defer cancel()
	for {
		changed := r.changed.wait()
		if writes() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Message returns one message; problem not_found if it is not on this disk.
func (n *Node) Message(_ context.Context, g wire.GroupID, id string) (api.Message, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Message{}, err
	}
	r, e, err := r.entry(id)
	if err != nil {
		return api.Message{}, err
	}
	return n.messageOf(r, e), nil
}

// entry finds what a message id names, and the room it was said in: r, or one
// that is shown as one with it.
func (r *room) entry(id string) (*room, timeline.Entry, error) {
	var e timeline.Entry
	missing := api.NewProblem(api.NotFound).Explain("no message %q in this group", id)
	op, err := wire.ParseOpID(id)
	if err != nil {
		return r, e, missing
	}
	err = r.n.store.View(func(tx *store.Tx) error {
		for _, part := range r.roomsOf() {
			row, ok, err := tx.Entry(part.group, op)
			if err != nil {
				return err
			}
			if ok {
				r = part
				e, err = entryOf(row)
				return err
			}
		}
		return missing
	})
	return r, e, err
}

// spokenIn tells whether an entry is something a person said to be read: not
// folded, and not the reason of an act, which nobody has to catch up on.
func spokenIn(e timeline.Entry) bool {
	return e.Folded == timeline.Shown && e.Kind != groups.ContentModeration
}

// Messages returns a window of a group's timeline, oldest first.
func (n *Node) Messages(_ context.Context, g wire.GroupID, p api.Page) (api.MessagePage, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.MessagePage{}, err
	}
	if p.Limit <= 0 {
		p.Limit = api.DefaultPage
	}
	p.Limit = min(p.Limit, api.MaxPage)
	said := spoken{n, r.roomsOf()}
	var out api.MessagePage
	err = n.store.View(func(tx *store.Tx) error {
		switch {
		case p.After != "":
			at, err := said.cursor(tx, p.After)
			if err != nil {
				return err
			}
			items, more, err := said.page(tx, at, store.After, p.Limit)
			if err != nil {
				return err
			}
			out = said.window(items)
			if len(items) > 0 {
				out.Before = cursorText(items[0].Key())
			}
			if more {
				out.After = cursorText(items[len(items)-1].Key())
			}
		case p.Around != "":
			at, err := said.cursor(tx, p.Around)
			if err != nil {
				return err
			}
			older, moreOld, err := said.page(tx, at, store.Before, p.Limit/2)
			if err != nil {
				return err
			}
			newer, moreNew, err := said.page(tx, justBefore(at), store.After, p.Limit-len(older))
			if err != nil {
				return err
			}
			// Near the newest message the other side fills the page.
			if spare := p.Limit - len(older) - len(newer); spare > 0 && moreOld {
				if older, moreOld, err = said.page(tx, at, store.Before, len(older)+spare); err != nil {
					return err
				}
			}
			items := append(older, newer...)
			out = said.window(items)
			if moreOld {
				out.Before = cursorText(items[0].Key())
			}
			if moreNew {
				out.After = cursorText(items[len(items)-1].Key())
			}
		default:
			at := store.Cursor{OrderMs: wire.MaxMs}
			if p.Before != "" {
				if at, err = said.cursor(tx, p.Before); err != nil {
					return err
				}
			}
			items, more, err := said.page(tx, at, store.Before, p.Limit)
			if err != nil {
				return err
			}
			out = said.window(items)
			if more {
				out.Before = cursorText(items[0].Key())
			}
			if p.Before != "" && len(items) > 0 {
				out.After = cursorText(items[len(items)-1].Key())
			}
		}
		return nil
	})
	if out.Before == "" && p.After == "" {
		out.PrunedTo = said.prunedTo()
	}
	return out, err
}

// spoken is the timeline of a group: of a conversation, of all groups that are
// shown as one.
type spoken struct {
	n     *Node
	rooms []*room
}

// page reads entries on one side of a cursor, oldest first, and tells whether
// there are more. Those that are folded are among them: what was hidden is said
// to be there.
func (s spoken) page(tx *store.Tx, at store.Cursor, d store.Direction, limit int) (out []timeline.Entry, more bool, err error) {
	for _, r := range s.rooms {
		rows, err := tx.PageEntries(r.group, at, d, limit+1)
		if err != nil {
			return nil, false, err
		}
		for _, row := range rows {
			e, err := entryOf(row)
			if err != nil {
				return nil, false, err
			}
			out = append(out, e)
		}
	}
	if len(s.rooms) > 1 {
		slices.SortFunc(out, func(a, b timeline.Entry) int { return a.Key().Compare(b.Key()) })
	}
	if more = len(out) > limit; more && d == store.Before {
		out = out[len(out)-limit:]
	} else if more {
		out = out[:limit]
	}
	return out, more, nil
}

// prunedTo is when the newest message was written that is not here any more.
func (s spoken) prunedTo() time.Time {
	newest := uint64(0)
	for _, r := range s.rooms {
		newest = max(newest, r.view.Load().bareTo)
	}
	return prunedTo(newest)
}

func (s spoken) window(items []timeline.Entry) api.MessagePage {
	page := api.MessagePage{}
	for _, e := range items {
		i := slices.IndexFunc(s.rooms, func(r *room) bool { return r.group == e.Group })
		page.Items = append(page.Items, s.n.messageOf(s.rooms[max(i, 0)], e))
	}
	return page
}

// justBefore is the cursor that has at itself behind it. The store tells the
// entries of one millisecond apart by the first half of their ids.
func justBefore(at store.Cursor) store.Cursor {
	for i := len(at.ID)/2 - 1; i >= 0; i-- {
		at.ID[i]--
		if at.ID[i] != 0xff {
			return at
		}
	}
	at.OrderMs--
	return at
}

func cursorText(k timeline.Key) string {
	return base64.RawURLEncoding.EncodeToString(wire.Marshal(cursorMsg{OrderMs: k.OrderMs, ID: k.ID}))
}

type cursorMsg struct {
	_       struct{} `cbor:",toarray"`
	OrderMs uint64
	ID      wire.OpID
}

// cursor reads a cursor, a message's id, or a moment (RFC 3339).
func (s spoken) cursor(tx *store.Tx, text string) (store.Cursor, error) {
	if id, err := wire.ParseOpID(text); err == nil {
		for _, r := range s.rooms {
			row, ok, err := tx.Entry(r.group, id)
			if err != nil {
				return store.Cursor{}, err
			}
			if ok {
				return row.Cursor, nil
			}
		}
		return store.Cursor{}, api.NewProblem(api.CursorInvalid)
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return store.Cursor{OrderMs: uint64(min(max(at.UnixMilli(), 1), wire.MaxMs))}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return store.Cursor{}, api.NewProblem(api.CursorInvalid)
	}
	var c cursorMsg
	if err := wire.Unmarshal(b, &c); err != nil || c.OrderMs > wire.MaxMs {
		return store.Cursor{}, api.NewProblem(api.CursorInvalid)
	}
	return store.Cursor{OrderMs: c.OrderMs, ID: c.ID}, nil
}

// messageOf is an entry as its readers see it.
func (n *Node) messageOf(r *room, e timeline.Entry) api.Message {
	s := r.view.Load().state
	m := api.Message{
		ID: e.ID, Group: e.Group, Author: e.Author, Device: e.Device, Seq: e.Seq, SentAt: msTime(e.HLC), Clock: e.OrderMs,
		Kind: api.MessageText, Text: e.Text, Mentions: e.Mentions, Late: e.Late, State: api.StateStored, Folded: string(e.Folded),
	}
	if id, ok := e.ReplyTo.Get(); ok {
		m.ReplyTo = id
	}
	switch {
	case e.Newer:
		m.Kind = api.MessageNewer
	case e.Kind == groups.ContentProfile:
		m.Kind = api.MessageProfile
	case e.Kind == groups.ContentGroupInfo:
		m.Kind = api.MessageGroupInfo
	case e.Kind == groups.ContentModeration:
		m.Kind = api.MessageModeration
		if why, ok := e.Moderation(); ok {
			m.Acts, m.ActsCount = n.actsOf(s.ActsOf(why.Ops, api.MaxActs)), len(why.Ops)
		}
	}
	members, harbors, of := r.holders(r.view.Load(), e.Inc, e.Seq, e.Author)
	m.HeldBy, m.HeldOf = members+harbors, of
	readers, _ := r.readBy(r.view.Load(), e)
	m.ReadBy = len(readers)
	switch own := e.Author == n.dev.account(); {
	case members > 0:
		m.State = api.StateDelivered
	case harbors > 0, !own, e.Inc != r.view.Load().me, r.wasSent(e.Inc, e.Seq):
		m.State = api.StateSent // of another device: it came from there
	}
	if p, ok := s.Member(e.Author); ok {
		m.Provisional = provisional(p)
	}
	return m
}

// MarkRead moves the read marker of a group to a message, never back.
func (n *Node) MarkRead(ctx context.Context, g wire.GroupID, id string) error {
	r, err := n.memberRoom(g)
	if err != nil {
		return err
	}
	_, e, err := r.entry(id)
	if err != nil {
		return err
	}
	for _, part := range r.roomsOf() {
		err := part.step(ctx, func(c *commit) error { return part.readTo(c, e.OrderMs, wire.SomeID(e.ID), 0) })
		if err != nil {
			return err
		}
	}
	n.ownChanged()
	return nil
}

// readTo moves the read marker on to a place in the timeline, or to where that
// would stand; never back. The device says so to others after a while, and wait.
func (r *room) readTo(c *commit, ms uint64, id wire.OptID, wait time.Duration) error {
	op, ok := id.Get()
	to := timeline.Key{OrderMs: ms, ID: op}
	if !ok || to.Compare(r.readMark()) <= 0 {
		return nil
	}
	r.meta.ReadMs, r.meta.ReadID = ms, id
	r.saveMeta(c)
	if err := r.countUnread(); err != nil {
		return err
	}
	c.then(func() { r.receiptDue(wait) })
	c.changes = append(c.changes, r.n.change(store.Update, api.EventReadChanged, r.group, api.ReadMarker{Message: op}))
	return nil
}

// readMark is where the newest message stands that was read.
func (r *room) readMark() timeline.Key {
	at := timeline.Key{OrderMs: r.meta.ReadMs}
	if op, ok := r.meta.ReadID.Get(); ok {
		at.ID = op
	}
	return at
}

// countAgain reads the newest shown entry and the unread ones from disk, after
// entries were folded or came back.
func (r *room) countAgain() error {
	r.latest = nil
	if err := r.n.store.View(r.loadLatest); err != nil {
		return err
	}
	return r.countUnread()
}

// maxUnread is where counting stops: "999+" says as much as the number.
const maxUnread = 1000

// countUnread counts shown entries by others behind the read marker.
func (r *room) countUnread() error {
	at := store.Cursor(r.readMark())
	self := r.n.dev.account()
	r.unread, r.mentions = 0, 0
	return r.n.store.View(func(tx *store.Tx) error {
		rows, err := tx.PageEntries(r.group, at, store.After, maxUnread)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if e, err := entryOf(row); err == nil && spokenIn(e) && e.Author != self {
				r.unread++
				if r.mentionsMe(e) {
					r.mentions++
				}
			}
		}
		return nil
	})
}

// mentionsMe tells whether a message calls this account by name.
func (r *room) mentionsMe(e timeline.Entry) bool {
	return slices.Contains(e.Mentions, r.n.dev.account())
}
