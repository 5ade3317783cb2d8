package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

const (
	// receiptPace is how long each seat of a group makes a device wait between
	// two receipts, and before one, at random: so all readers together say about
	// one a second, however many they are.
	receiptPace = time.Second
	// receiptSibling is how much longer a device waits with what was read on
	// another one of the account, which says it itself if it can.
	receiptSibling = 30 * time.Second
	// receiptAsk is how often some linked peer is asked for what gossip lost: the
	// next receipt of a device makes up for the last.
	receiptAsk = 10 * time.Minute
	// receiptAgain is when a linked peer that did not take receipts is told
	// again: it may be of a version that knows none.
	receiptAgain = time.Minute
	// receiptLook is how far behind the read marker is looked for a message of
	// somebody who takes receipts, and how many own messages are told anew when
	// somebody has read on: what a window shows.
	receiptLook = 200
)

// reading is what a room knows of how far its members have read (PROTOCOLS.md
// N20); owned by run.
type reading struct {
	by      map[wire.OpID]*reader // by incarnation, this device's too
	changed bool                  // the view is to show another state
	askedAt time.Time             // when somebody was asked for what is missing
	dueAt   time.Time             // when this device looks whether it has something to say; zero: nothing happened
	saidAt  time.Time             // when it said something last
}

// reader is the newest receipt of one device.
type reader struct {
	frame []byte
	receipt
	opened bool
	body   receiptBody // once opened
}

// readTo is how far an account has read, as its devices say.
type readTo struct {
	takes bool
	to    timeline.Key // zero: not known
	at    uint64       // when that was said, ms
}

// loadReceipts reads what was said before a restart.
func (r *room) loadReceipts(tx *store.Tx) error {
	rows, err := tx.Receipts(r.group)
	if err != nil {
		return err
	}
	r.reading.by = map[wire.OpID]*reader{}
	for _, row := range rows {
		rec, _, err := readReceipt(row.Data)
		if err != nil || rec.Inc != row.Reader {
			return fmt.Errorf("%w: a receipt of %s: %v", store.ErrDamaged, row.Reader.Short(), err)
		}
		r.reading.by[row.Reader] = &reader{frame: row.Data, receipt: rec}
	}
	r.reading.changed = true
	return nil
}

// openReceipts opens what can be opened, if the person takes receipts: whose
// does not is handed on unread.
func (r *room) openReceipts(c *commit) error {
	was := r.readers(r.g.State())
	for _, rd := range r.reading.by {
		if !rd.opened {
			r.openReceipt(rd)
		}
	}
	for a, now := range r.readers(r.g.State()) {
		r.readOn(c, a, was[a], now)
	}
	return nil
}

func (r *room) openReceipt(rd *reader) {
	if !r.n.receipts.Load() || r.office != nil {
		return
	}
	e := r.keys.epochs[rd.EID]
	if e == nil {
		return
	}
	body, err := rd.open(e.keys)
	if err != nil {
		r.log.Debug("a receipt does not open", "of", rd.Inc.Short(), "err", err)
		return
	}
	rd.body, rd.opened, r.reading.changed = body, true, true
}

// readers is how far each seated account has read. Whether an account takes
// receipts its newest one says; its place is the furthest of its devices.
func (r *room) readers(s *groups.State) map[wire.AccountID]readTo {
	out := map[wire.AccountID]readTo{}
	newest := map[wire.AccountID]uint64{}
	for id, rd := range r.reading.by {
		inc, ok := s.Inc(id)
		if !ok || !inc.Seated || !rd.opened {
			continue
		}
		to := out[inc.Account]
		if rd.N > newest[inc.Account] {
			newest[inc.Account], to.takes = rd.N, rd.body.Takes
		}
		if k := rd.place(); k.Compare(to.to) > 0 {
			to.to, to.at = k, rd.N
		}
		out[inc.Account] = to
	}
	return out
}

// reads is what the view shows of it: what the last one showed, if nothing
// changed.
func (r *room) reads(old *view, same bool) (map[wire.AccountID]readTo, map[wire.OpID]uint64) {
	if same && !r.reading.changed {
		return old.reads, old.receiptN
	}
	ns := make(map[wire.OpID]uint64, len(r.reading.by))
	for id, rd := range r.reading.by {
		ns[id] = rd.N
	}
	r.reading.changed = false
	return r.readers(r.g.State()), ns
}

func (rd *reader) place() timeline.Key {
	id, ok := rd.body.ID.Get()
	if !ok {
		return timeline.Key{}
	}
	return timeline.Key{OrderMs: rd.body.Ms, ID: id}
}

// readBy counts who has read a message of this account: of those who take
// receipts, if this person does; by lists them.
func (r *room) readBy(v *view, e timeline.Entry) (by []wire.AccountID, of int) {
	self := r.n.dev.account()
	if e.Author != self || !r.n.receipts.Load() {
		return nil, 0
	}
	for a, to := range v.reads {
		if a == self || !to.takes {
			continue
		}
		of++
		if to.to.Compare(e.Key()) >= 0 {
			by = append(by, a)
		}
	}
	slices.SortFunc(by, func(a, b wire.AccountID) int { return slices.Compare(a[:], b[:]) })
	return by, of
}

// Receipts tells who has read an own message. Problem receipts_off if the person
// does not take receipts, not_allowed of others' messages: only who wrote a
// message is told who read it.
func (n *Node) Receipts(_ context.Context, g wire.GroupID, id string) (api.Receipts, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Receipts{}, err
	}
	r, e, err := r.entry(id)
	if err != nil {
		return api.Receipts{}, err
	}
	switch {
	case !n.receipts.Load():
		return api.Receipts{}, api.NewProblem(api.ReceiptsOff)
	case e.Author != n.dev.account():
		return api.Receipts{}, api.NewProblem(api.NotAllowed).Explain("who has read a message is told to who wrote it")
	}
	v := r.view.Load()
	by, of := r.readBy(v, e)
	out := api.Receipts{Of: of}
	for _, a := range by {
		out.Items = append(out.Items, api.Receipt{Account: a, Name: n.nameOf(a), At: msTime(v.reads[a].at)})
	}
	return out, nil
}

// receiptDue has this device look, after a while, whether it has something to
// say of what its person read.
func (r *room) receiptDue(extra time.Duration) {
	seats := time.Duration(max(r.g.State().SeatCount(), 1)) * receiptPace
	at := r.n.now().Add(rand.N(seats) + extra)
	if next := r.reading.saidAt.Add(seats); at.Before(next) {
		at = next
	}
	if r.reading.dueAt.IsZero() || at.Before(r.reading.dueAt) {
		r.reading.dueAt = at
	}
}

// tickReceipts says what is due, opens what a key came for, and asks now and
// then for what gossip lost.
func (r *room) tickReceipts() {
	now := r.n.now()
	if len(r.reading.by) > 0 && now.Sub(r.reading.askedAt) >= receiptAsk {
		r.reading.askedAt = now
		for _, l := range r.links { // any of them
			r.tellReceipts(l, nil, true)
			break
		}
	}
	if r.office != nil {
		return
	}
	if d := r.reading.dueAt; !d.IsZero() && !now.Before(d) {
		r.reading.dueAt = time.Time{}
		if err := r.commit(r.sayReceipt); err != nil {
			r.log.Debug("saying how far was read failed", "err", err)
			r.reading.dueAt = now.Add(receiptAgain)
		}
	}
	if r.n.receipts.Load() && slices.ContainsFunc(slices.Collect(maps.Values(r.reading.by)), func(rd *reader) bool { return !rd.opened && r.keys.has(rd.EID) }) {
		if err := r.commit(r.openReceipts); err != nil {
			r.log.Debug("opening receipts failed", "err", err)
		}
	}
}

// sayReceipt says that the person takes receipts and how far was read of whom
// takes them too, unless a device of the account said so under this epoch; and
// once that the person takes none any more.
func (r *room) sayReceipt(c *commit) error {
	v, takes, mine := r.view.Load(), r.n.receipts.Load(), r.reading.by[r.me]
	if !takes && (mine == nil || mine.opened && !mine.body.Takes) {
		return nil
	}
	e, ok := r.sendEpoch()
	if !v.seated() || r.n.ended() || r.mayWrite() != nil {
		return nil
	}
	if !ok || r.g.Stale(e, r.n.nowMs()) {
		r.reading.dueAt = r.n.now().Add(receiptPace) // another epoch is about to be made
		return nil
	}
	body := receiptBody{Takes: takes}
	if takes {
		at, err := r.readPlace(v)
		if err != nil {
			return err
		}
		if at != (timeline.Key{}) {
			body.Ms, body.ID = at.OrderMs, wire.SomeID(at.ID)
		}
		if r.saidAlready(v, e.EID, at) {
			return nil
		}
	}
	rec := receipt{Inc: r.me, N: r.n.nowMs()}
	if mine != nil {
		rec.N = identity.NextN(mine.N, rec.N)
	}
	if _, err := io.ReadFull(r.n.cfg.Rand, rec.Salt[:]); err != nil {
		return fmt.Errorf("drawing a salt: %w", err)
	}
	frame := body.seal(r.n.dev.keys.Op, r.group, rec, r.keys.epochs[e.EID].keys)
	rec, _, err := readReceipt(frame)
	if err != nil {
		return err
	}
	r.reading.saidAt = r.n.now()
	r.keepReceipt(c, &reader{frame: frame, receipt: rec, opened: true, body: body})
	c.then(func() { r.publishReceipt(e.EID, frame) })
	return nil
}

// publishReceipt sends an own receipt on its way: on the topic, and straight to
// linked members whom that does not reach.
func (r *room) publishReceipt(eid [32]byte, frame []byte) {
	reached := map[wire.PeerKey]bool{}
	if t := r.topics[eid]; t != nil {
		if err := t.t.Publish(r.n.ctx, onTopic(frame)); err != nil {
			r.log.Debug("publishing failed", "err", err)
		} else if r.n.now().Sub(t.joined) > meshForms {
			for _, p := range t.t.Peers() {
				reached[p] = true
			}
		}
	}
	for peer, l := range r.links {
		if !reached[peer] {
			r.tellReceipts(l, [][]byte{frame}, false)
		}
	}
}

// saidAlready tells whether the account's devices said under an epoch that was
// read to a place, or further.
func (r *room) saidAlready(v *view, eid [32]byte, at timeline.Key) bool {
	to := v.reads[r.n.dev.account()]
	if !to.takes || to.to.Compare(at) < 0 {
		return false
	}
	for id, rd := range r.reading.by {
		inc, ok := v.state.Inc(id)
		if ok && inc.Seated && inc.Account == r.n.dev.account() && rd.opened && rd.body.Takes && rd.EID == eid && rd.place() == to.to {
			return true
		}
	}
	return false
}

// readPlace is where the newest message stands that was read here of somebody
// else who takes receipts: nobody is told anything of what others said. The
// account's own word before, if it is further, stays.
func (r *room) readPlace(v *view) (timeline.Key, error) {
	var at timeline.Key
	takes := func(a wire.AccountID) bool {
		return a != r.n.dev.account() && v.reads[a].takes && !r.n.people.blocked(a)
	}
	err := r.n.store.View(func(tx *store.Tx) error {
		rows, err := r.entriesTo(tx, r.readMark(), receiptLook)
		for _, row := range slices.Backward(rows) {
			if e, err := entryOf(row); err == nil && spokenIn(e) && takes(e.Author) {
				at = e.Key()
				return nil
			}
		}
		return err
	})
	if said := v.reads[r.n.dev.account()].to; said.Compare(at) > 0 {
		at = said
	}
	return at, err
}

// entriesTo reads the last entries up to a place, which is among them.
func (r *room) entriesTo(tx *store.Tx, to timeline.Key, limit int) ([]store.EntryRow, error) {
	if to == (timeline.Key{}) {
		return nil, nil
	}
	rows, err := tx.PageEntries(r.group, store.Cursor(to), store.Before, limit)
	if err != nil {
		return nil, err
	}
	last, ok, err := tx.Entry(r.group, to.ID)
	if ok {
		rows = append(rows, last)
	}
	return rows, err
}

// keepReceipt keeps a receipt that was judged, and tells readers which own
// messages more people have read.
func (r *room) keepReceipt(c *commit, rd *reader) {
	inc, _ := r.g.State().Inc(rd.Inc)
	was := r.readers(r.g.State())[inc.Account]
	r.reading.by[rd.Inc] = rd
	c.dirty, r.reading.changed = true, true
	c.row(func(tx *store.Tx) error {
		return tx.PutReceipt(r.group, store.ReceiptRow{Reader: rd.Inc, Data: rd.frame})
	})
	r.readOn(c, inc.Account, was, r.readers(r.g.State())[inc.Account])
}

// readOn draws the consequences of an account that has read on, or takes
// receipts now, or no more.
func (r *room) readOn(c *commit, a wire.AccountID, was, now readTo) {
	if a == r.n.dev.account() {
		return
	}
	if now.takes && !was.takes {
		r.receiptDue(0) // somebody more to tell
	}
	switch {
	case now.takes == was.takes && now.to == was.to:
	case now.takes && was.takes:
		r.tellRead(c, was.to, now.to)
	default:
		r.tellRead(c, timeline.Key{}, now.to)
	}
}

// tellRead tells readers of the own messages between two places, the newest
// ones of many.
func (r *room) tellRead(c *commit, from, to timeline.Key) {
	err := r.n.store.View(func(tx *store.Tx) error {
		rows, err := r.entriesTo(tx, to, receiptLook)
		for _, row := range rows {
			e, err := entryOf(row)
			if err == nil && e.Author == r.n.dev.account() && e.Key().Compare(from) > 0 {
				c.changes = append(c.changes, r.messageChange(store.Update, api.EventMessageUpdated, e.ID))
			}
		}
		return err
	})
	if err != nil {
		r.log.Warn("reading own messages failed", "err", err)
	}
}

// greetReceipts asks a peer that was just linked for what this device lacks.
func (r *room) greetReceipts(l *link) { r.tellReceipts(l, nil, true) }

// tellReceipts sends receipts to a linked peer, or asks it for those it has
// beyond the ones here, beside the room.
func (r *room) tellReceipts(l *link, frames [][]byte, ask bool) {
	if len(frames) == 0 && !ask || r.n.now().Before(l.receiptsAt) {
		return
	}
	first := receiptsMsg{V: 1, Group: r.group}
	if ask {
		first.Ask = 1
		for id, rd := range r.reading.by {
			if len(first.Have) < wire.MaxElements {
				first.Have = append(first.Have, receiptHave{Inc: id, N: rd.N})
			}
		}
		slices.SortFunc(first.Have, func(a, b receiptHave) int { return slices.Compare(a.Inc[:], b.Inc[:]) })
	}
	r.n.wg.Go(func() {
		err := r.exchangeReceipts(l.ctx, l.peer, first, frames)
		if err == nil || l.ctx.Err() != nil {
			return
		}
		r.log.Debug("handing receipts on failed", "peer", l.peer.Short(), "err", err)
		r.tell(func(*commit) error {
			l.receiptsAt = r.n.now().Add(receiptAgain)
			return nil
		})
	})
}

func (r *room) exchangeReceipts(ctx context.Context, peer wire.PeerKey, m receiptsMsg, frames [][]byte) error {
	s, err := r.n.mesh.Open(ctx, peer, protocolReceipt)
	if err != nil {
		return fmt.Errorf("opening a receipt stream: %w", err)
	}
	defer s.Close()
	for first := true; first || len(frames) > 0; first = false {
		n := min(len(frames), maxReceipts)
		m.Receipts, frames = frames[:n], frames[n:]
		s.SetDeadline(time.Now().Add(syncStep))
		if err := s.WriteFrame(wire.Marshal(m)); err != nil {
			return err
		}
	}
	if m.Ask == 0 {
		return nil
	}
	return r.n.readReceipts(ctx, s, r)
}

// serveReceipts takes what a member or harbor tells, and answers what it asks.
func (n *Node) serveReceipts(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	if err := n.readReceipts(ctx, s, nil); err != nil {
		n.blameStream(s.Peer(), err)
	}
}

// readReceipts reads frames of receipts to the end of a stream: of r, or of the
// group that the first names.
func (n *Node) readReceipts(ctx context.Context, s *mesh.Stream, r *room) error {
	asked := r != nil
	for range maxReceiptFrames {
		s.SetDeadline(time.Now().Add(syncStep))
		b, err := s.ReadFrame(maxReceiptFrame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var m receiptsMsg
		if err := wire.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("reading receipts: %w", err)
		}
		if r == nil {
			r = n.room(m.Group)
		}
		switch {
		case m.V != 1 || len(m.Receipts) > maxReceipts || m.Ask > 1 || m.Ask == 1 && asked:
			return fmt.Errorf("reading receipts: %w: version %d, %d receipts", wire.ErrMalformed, m.V, len(m.Receipts))
		case r == nil || m.Group != r.group || !r.view.Load().gossips(s.Peer()):
			return nil // it may know of an admission that did not come here yet
		case !n.rates.receipt(s.Peer(), 1+len(m.Receipts)):
			return nil
		}
		if err := r.hearReceipts(ctx, m.Receipts); err != nil {
			return err
		}
		if m.Ask == 0 {
			continue
		}
		return r.answerReceipts(ctx, s, m.Have)
	}
	return nil
}

// answerReceipts gives an asker what it lacks.
func (r *room) answerReceipts(ctx context.Context, s *mesh.Stream, have []receiptHave) error {
	theirs := map[wire.OpID]uint64{}
	for _, h := range have {
		theirs[h.Inc] = h.N
	}
	var out [][]byte
	if err := r.step(ctx, func(*commit) error {
		for id, rd := range r.reading.by {
			if theirs[id] < rd.N {
				out = append(out, rd.frame)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for len(out) > 0 {
		n := min(len(out), maxReceipts)
		s.SetDeadline(time.Now().Add(syncStep))
		if err := s.WriteFrame(wire.Marshal(receiptsMsg{V: 1, Group: r.group, Receipts: out[:n]})); err != nil {
			return err
		}
		out = out[n:]
	}
	return nil
}

// judgeReceipt tells whether a receipt is one to keep, whoever brings it: of a
// seated device, signed by it, and newer than the last. The error is what no
// honest peer sends.
func (r *room) judgeReceipt(v *view, b []byte) (*reader, error) {
	rec, signed, err := readReceipt(b)
	if err != nil {
		return nil, err
	}
	inc, ok := v.state.Inc(rec.Inc)
	if !ok || !inc.Seated || rec.Inc == v.me || v.receiptN[rec.Inc] >= rec.N || rec.N > r.n.nowMs()+uint64(clockAhead.Milliseconds()) {
		return nil, nil
	}
	if !signed.by(inc.Device, r.group) {
		return nil, fmt.Errorf("%w: a receipt of %s", errForged, rec.Inc.Short())
	}
	return &reader{frame: b, receipt: rec}, nil
}

// onTopic is a receipt as a message of gossip: a byte string, which no
// operation and no run begins with.
func onTopic(receipt []byte) []byte { return wire.Marshal(receipt) }

func isReceipt(frame []byte) bool { return len(frame) > 0 && frame[0]>>5 == 2 }

// judgeGossiped is judgeReceipt for a message of gossip. A device that says
// more than an honest one is not passed on; nobody is blamed.
func (r *room) judgeGossiped(v *view, from wire.PeerKey, frame []byte, known bool) (mesh.Verdict, any) {
	var b []byte
	var rd *reader
	err := wire.Unmarshal(frame, &b)
	if err == nil {
		rd, err = r.judgeReceipt(v, b)
	}
	switch {
	case err != nil:
		r.n.blameStream(from, err)
		return mesh.Reject, nil
	case rd == nil || !r.n.rates.read(rd.Inc):
		return mesh.Ignore, nil
	}
	inc, _ := v.state.Inc(rd.Inc)
	return passOn(known && inc.Peer == from), rd
}

// takeReceipt keeps a receipt that came, and those that wait behind it.
func (r *room) takeReceipt(first *reader) {
	if r.n.diskRefuses() != nil {
		return
	}
	all := []*reader{first}
	for len(all) < maxReceipts && len(r.receipts) > 0 {
		all = append(all, <-r.receipts)
	}
	if err := r.commit(func(c *commit) error { c.others = true; return r.keepReceipts(c, all) }); err != nil {
		r.log.Debug("keeping receipts failed", "err", err)
	}
}

// keepReceipts keeps those that are newer.
func (r *room) keepReceipts(c *commit, all []*reader) error {
	for _, rd := range all {
		if old := r.reading.by[rd.Inc]; old == nil || old.N < rd.N {
			r.openReceipt(rd)
			r.keepReceipt(c, rd)
		}
	}
	return nil
}

// hearReceipts takes receipts that a peer gives.
func (r *room) hearReceipts(ctx context.Context, frames [][]byte) error {
	v := r.view.Load()
	var fresh []*reader
	for _, b := range frames {
		rd, err := r.judgeReceipt(v, b)
		if err != nil {
			return err
		}
		if rd != nil {
			fresh = append(fresh, rd)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return r.step(ctx, func(c *commit) error { c.others = true; return r.keepReceipts(c, fresh) })
}
