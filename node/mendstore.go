package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// MendStore makes the store of a stopped home one again that a node can go on with, after
// damage (store/SPEC.md D6, D7): what cannot be read of its tables is cut out, and each group is
// brought back to operations that hang together. What is missing then, members send again;
// what can be opened of what is there gets its entry again. It is what
// `mutualsd store repair` does. The store then counts as one that was not closed: the node
// asks members for what it said before it speaks.
func MendStore(ctx context.Context, dir string) (out []api.Finding, err error) {
	h, log := home{dir: dir}, slog.New(slog.DiscardHandler)
	lock, err := lockHome(h)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	dev, err := (&Node{home: h, log: log}).readDevice()
	if errors.Is(err, fs.ErrNotExist) {
		return []api.Finding{{Check: "store", Level: "ok", Title: "there is no identity in this home yet, and so no store"}}, nil
	}
	if err != nil {
		return nil, err
	}
	path, opts := h.path(dirStore), store.Options{Log: log}
	cut, err := store.Mend(path, dev.storeKey(), opts)
	if err != nil {
		return nil, err
	}
	for _, t := range cut {
		if t.Bad == t.Blocks {
			out = append(out, api.Finding{Check: "store", Level: "warning", Title: fmt.Sprintf("table %s: nothing of it can be read, and it was taken out; the file is kept in store/damaged", t.Name),
				Detail: "whole groups, and whom you follow, may be missing without a word: look whether all are there"})
			continue
		}
		out = append(out, api.Finding{Check: "store", Level: "warning", Title: fmt.Sprintf("table %s: %d of %d blocks cannot be read and were cut out; the file is kept in store/damaged", t.Name, t.Bad, t.Blocks)})
	}
	s, err := store.Open(path, dev.storeKey(), opts)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Close(), store.Doubt(path)) }()
	m := mending{s: s}
	found, err := m.all(ctx)
	return append(out, found...), err
}

// mending brings the groups of a store back to what hangs together.
type mending struct{ s *store.Store }

func (m *mending) all(ctx context.Context) (out []api.Finding, err error) {
	if err := m.s.Update(ctx, func(tx *store.Tx) error {
		lost, err := tx.GroupsLost()
		if err != nil {
			return err
		}
		for _, g := range lost { // what it is called comes with its messages
			if err := tx.PutGroup(store.GroupRow{ID: g, Meta: wire.Marshal(groupMeta{V: 1})}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := m.s.MendChanges(ctx); err != nil {
		return nil, err
	}
	var rows []store.GroupRow
	if err := m.s.View(func(tx *store.Tx) error {
		return tx.EachGroup(func(g store.GroupRow) error { rows = append(rows, g); return nil })
	}); err != nil {
		return nil, err
	}
	for _, row := range rows {
		f, err := m.group(ctx, row)
		if err != nil {
			return out, fmt.Errorf("group %s: %w", row.ID.Short(), err)
		}
		out = append(out, f)
	}
	return out, nil
}

// group mends one.
func (m *mending) group(ctx context.Context, row store.GroupRow) (api.Finding, error) {
	g, name := row.ID, row.ID.Short()
	var meta groupMeta
	if wire.Unmarshal(row.Meta, &meta) == nil && meta.Name != "" {
		name = meta.Name
	}
	office := false
	if err := m.s.View(func(tx *store.Tx) (err error) {
		_, office, err = tx.Setting(officeKey(g))
		return err
	}); err != nil {
		return api.Finding{}, err
	}
	var founded bool
	missing := 0
	if err := m.s.Update(ctx, func(tx *store.Tx) (err error) {
		founded, missing, err = mendControl(tx, g)
		return err
	}); err != nil {
		return api.Finding{}, err
	}
	if !founded {
		return api.Finding{Check: "store", Level: "error", Title: fmt.Sprintf("group %s: the operation that founded it is gone", name),
			Hint: "a backup or the 24 words bring it back in a new home"}, nil
	}
	left, err := m.s.MendPlaces(ctx, g)
	if err != nil {
		return api.Finding{}, err
	}
	lacks, err := m.content(ctx, g, office)
	if err != nil {
		return api.Finding{}, err
	}
	missing += lacks
	if !office {
		if err := m.s.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(reopensKey(g), []byte{1}) }); err != nil {
			return api.Finding{}, err
		}
	}
	if missing == 0 && left == (store.Left{}) {
		return api.Finding{Check: "store", Level: "ok", Title: fmt.Sprintf("group %s: nothing known to be missing", name)}, nil
	}
	return api.Finding{Check: "store", Level: "warning",
		Title: fmt.Sprintf("group %s: %d operations are to be fetched again, %d entries to be made again", name, missing, left.Entries),
		Hint:  "start the daemon: members send what they have"}, nil
}

// leftOp is an operation that can be read.
type leftOp struct {
	op     *groups.Op
	stored store.StoredOp
}

// mendControl leaves those control and KEM operations that hang together from the one that
// founded the group on, in an order in which they can be applied; others are forgotten,
// and counted. founded is false if that one is gone.
func mendControl(tx *store.Tx, g wire.GroupID) (founded bool, forgotten int, err error) {
	chains, err := tx.ChainsLeft(g)
	if err != nil {
		return false, 0, err
	}
	var control, kem []leftOp
	all := 0
	for _, at := range chains {
		if groups.ChainKind(at.Chain) == groups.Content {
			continue
		}
		if err := tx.OpsLeft(g, at, func(o store.StoredOp) error {
			all++
			op, refusal := groups.Reread(o.Frame)
			switch {
			case refusal != nil || op.ID != o.ID:
			case op.Chain == groups.Control:
				control = append(control, leftOp{op, o})
			default:
				kem = append(kem, leftOp{op, o})
			}
			return nil
		}); err != nil {
			return false, 0, err
		}
	}
	i := slices.IndexFunc(control, func(o leftOp) bool { return o.op.ID == wire.OpID(g) })
	if i < 0 {
		first, err := genesisKept(tx, g)
		if first == nil || err != nil {
			return false, 0, err
		}
		if err := tx.PutOp(g, first.stored.Inc, first.stored.Chain, first.stored.Seq, first.op.ID, first.stored.Frame); err != nil {
			return false, 0, err
		}
		i, control, all = len(control), append(control, *first), all+1
	}
	log, refusal := groups.Found(control[i].op)
	if refusal != nil {
		return false, 0, nil
	}
	kept := []store.StoredOp{control[i].stored}
	control = slices.Delete(control, i, i+1)
	byAge(control)
	for progress := true; progress; {
		progress = false
		control = slices.DeleteFunc(control, func(o leftOp) bool {
			if slices.ContainsFunc(o.op.Heads, func(id wire.OpID) bool { return !log.Has(id) }) {
				return false
			}
			log.Apply(o.op)
			kept = append(kept, o.stored)
			progress = true
			return true
		})
	}
	next := map[wire.OpID]uint64{}
	for _, o := range kem { // of each incarnation in order
		if inc := o.op.IncID(); log.Has(inc) && o.op.Seq == max(next[inc], 1) {
			next[inc] = o.op.Seq + 1
			kept = append(kept, o.stored)
		}
	}
	if len(kept) == all && arrivedWhole(tx, g, all) {
		return true, 0, nil
	}
	if err := tx.Rearrive(g, kept); err != nil {
		return false, 0, err
	}
	return true, all - len(kept), mendControlHeads(tx, g, kept)
}

// genesisKept is the operation that founded a group, of which each store keeps a second
// copy: without it nothing of a group can be read, nor fetched again.
func genesisKept(tx *store.Tx, g wire.GroupID) (*leftOp, error) {
	frame, ok, err := tx.Setting(genesisKey(g))
	if !ok || err != nil && !errors.Is(err, store.ErrDamaged) {
		return nil, err
	}
	op, refusal := groups.Decode(frame)
	if refusal != nil || op.ID != wire.OpID(g) {
		return nil, nil
	}
	return &leftOp{op, store.StoredOp{ID: op.ID, Inc: op.ID, Chain: uint8(groups.Control), Frame: frame}}, nil
}

func genesisKey(g wire.GroupID) string { return "genesis/" + g.String() }

// arrivedWhole tells whether the list of what arrived holds as many operations, all there.
func arrivedWhole(tx *store.Tx, g wire.GroupID, want int) bool {
	n := 0
	err := tx.EachControl(g, func(store.StoredOp) error { n++; return nil })
	return err == nil && n == want
}

// mendControlHeads writes the heads of the control and KEM chains as they are now.
func mendControlHeads(tx *store.Tx, g wire.GroupID, kept []store.StoredOp) error {
	heads := map[store.ChainLeft]store.Head{}
	for _, o := range kept {
		at := store.ChainLeft{Inc: o.Inc, Chain: o.Chain}
		if h, ok := heads[at]; !ok || o.Seq >= h.Seq {
			heads[at] = store.Head{Seq: o.Seq, ID: o.ID}
		}
	}
	before, err := tx.Heads(g)
	if err != nil {
		return err
	}
	for _, h := range before {
		at := store.ChainLeft{Inc: h.Inc, Chain: h.Chain}
		if _, ok := heads[at]; !ok && groups.ChainKind(h.Chain) != groups.Content {
			if err := tx.DeleteHead(g, h.Inc, h.Chain); err != nil {
				return err
			}
		}
	}
	for at, h := range heads {
		if err := tx.PutHead(g, at.Inc, at.Chain, h); err != nil {
			return err
		}
	}
	return nil
}

// content brings the heads of all content chains of a group back to what is there, and
// returns how many operations are missing by them.
func (m *mending) content(ctx context.Context, g wire.GroupID, office bool) (missing int, err error) {
	chains := map[wire.OpID]bool{}
	if err := m.s.View(func(tx *store.Tx) error {
		left, err := tx.ChainsLeft(g)
		if err != nil {
			return err
		}
		heads, err := tx.Heads(g)
		if err != nil {
			return err
		}
		for _, at := range left {
			if groups.ChainKind(at.Chain) == groups.Content {
				chains[at.Inc] = true
			}
		}
		for _, h := range heads {
			if groups.ChainKind(h.Chain) == groups.Content {
				chains[h.Inc] = true
			}
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for inc := range chains {
		n, err := m.chain(ctx, g, inc, office)
		if err != nil {
			return missing, err
		}
		missing += int(n)
	}
	return missing, nil
}

// stretch is a part of a chain without a hole.
type stretch struct {
	from, to uint64
	last     wire.OpID
}

// chain makes of what is there of a content chain what a room can load: its newest part,
// and what goes up from its beginning, with one hole between, which fills as that of
// a catch-up does (groups/SYNC.md Y12). Parts between are forgotten, and so is what lies
// above a hole up to where the part below ends on a signature.
func (m *mending) chain(ctx context.Context, g wire.GroupID, inc wire.OpID, office bool) (missing uint64, err error) {
	var parts []stretch
	var head store.Head
	at := store.ChainLeft{Inc: inc, Chain: uint8(groups.Content)}
	if err := m.s.View(func(tx *store.Tx) (err error) {
		if head, _, err = tx.HeadOf(g, inc, at.Chain); err != nil && !errors.Is(err, store.ErrDamaged) {
			return err
		}
		return tx.OpsLeft(g, at, func(o store.StoredOp) error {
			if op, refusal := groups.Reread(o.Frame); refusal != nil || op.ID != o.ID {
				return nil
			}
			switch n := len(parts); {
			case n > 0 && o.Seq == parts[n-1].to: // a fork: the head says which
				if o.ID == head.ID {
					parts[n-1].last = o.ID
				}
			case n > 0 && o.Seq == parts[n-1].to+1:
				parts[n-1].to, parts[n-1].last = o.Seq, o.ID
			default:
				parts = append(parts, stretch{o.Seq, o.Seq, o.ID})
			}
			return nil
		})
	}); err != nil {
		return 0, err
	}
	now := headOf(parts, office)
	if now == head || now.Seq == head.Seq && now.ID == head.ID && max(now.Floor, 1) == max(head.Floor, 1) && now.Base == head.Base {
		return 0, nil
	}
	err = m.s.Update(ctx, func(tx *store.Tx) error {
		var gone []store.StoredOp
		if err := tx.OpsLeft(g, at, func(o store.StoredOp) error {
			if o.Seq > now.Base && o.Seq < now.Floor || o.Seq > now.Seq {
				o.Frame = nil
				gone = append(gone, o)
			}
			return nil
		}); err != nil {
			return err
		}
		if err := tx.ForgetLeft(g, gone); err != nil {
			return err
		}
		if now.Seq == 0 {
			return tx.DeleteHead(g, inc, at.Chain)
		}
		return tx.PutHead(g, inc, at.Chain, now)
	})
	missing = max(head.Seq, now.Seq) - now.Seq
	if now.Floor > now.Base+1 {
		missing += now.Floor - 1 - now.Base
	}
	return missing, err
}

// headOf is the head of a chain of which these parts are there.
func headOf(parts []stretch, office bool) store.Head {
	for len(parts) > 0 {
		top := parts[len(parts)-1]
		if len(parts) == 1 && top.from <= 1 || office {
			return store.Head{Seq: top.to, ID: top.last, Floor: top.from}
		}
		above := signedBelow(top.from-1+groups.SignedEvery-1) + 1 // the first one behind a signature
		if above <= top.to {
			h := store.Head{Seq: top.to, ID: top.last, Floor: above}
			if low := parts[0]; len(parts) > 1 && low.from <= 1 {
				h.Base = low.to
			}
			return h
		}
		parts = parts[:len(parts)-1]
	}
	return store.Head{}
}
