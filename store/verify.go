package store

import (
	"context"
	"fmt"

	W "mutuals/identity/wire"
)

// Report is what [Store.Check] found.
type Report struct {
	Groups, Ops, Entries, Changes int
	// Problems are at most maxProblems; Total counts them all.
	Problems []Problem
	Total    int
}

// maxProblems bounds a report: past it a person reads no further, and the
// store is to be fetched anew.
const maxProblems = 200

// Problem is one thing that is not as it must be. Operations From … To of a
// chain are to be fetched again from members; a zero Inc is no chain.
type Problem struct {
	Group    W.GroupID
	Inc      W.OpID
	Chain    uint8
	From, To uint64
	What     string
}

// String tells of it in a line.
func (p Problem) String() string {
	at := ""
	if p.Group != (W.GroupID{}) {
		at = "group " + p.Group.Short()
	}
	if p.Inc != (W.OpID{}) {
		at += fmt.Sprintf(", chain %d of %s", p.Chain, p.Inc.Short())
	}
	if p.To > 0 {
		at += fmt.Sprintf(", operations %d to %d", p.From, p.To)
	}
	if at == "" {
		return p.What
	}
	return at + ": " + p.What
}

// Check reads the whole store and compares what must agree (SPEC.md V1): every block of
// every table with its sum;
// every row with its sum; every operation with its id, which idOf computes
// from a frame; every chain, from its floor to its head, without a hole;
// every operation and entry with its place; the numbers of the change log.
// What is wrong is in the report; the error is ctx's, or says that reading
// could not go on.
func (s *Store) Check(ctx context.Context, idOf func(frame []byte) (W.OpID, error)) (Report, error) {
	var rep Report
	cut, err := s.Scrub(ctx)
	if err != nil {
		return rep, err
	}
	for _, d := range cut {
		rep.Total++
		rep.Problems = append(rep.Problems, Problem{What: d.String()}) // there are few tables
	}
	err = s.View(func(tx *Tx) error {
		c := &check{ctx: ctx, tx: tx, rep: &rep, idOf: idOf, ids: make(map[num][32]byte)}
		for _, part := range []func() error{c.names, c.ops, c.entries, c.changes, c.others} {
			if err := part(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("checking store: %w", err)
	}
	return rep, err
}

type check struct {
	ctx   context.Context
	tx    *Tx
	rep   *Report
	idOf  func([]byte) (W.OpID, error)
	ids   map[num][32]byte
	heads map[chainName]Head
}

type chainName struct {
	group, inc num
	chain      uint8
}

func (c *check) problem(at chainName, from, to uint64, what string, args ...any) {
	c.rep.Total++
	if len(c.rep.Problems) == maxProblems {
		return
	}
	c.rep.Problems = append(c.rep.Problems, Problem{
		Group: c.ids[at.group], Inc: c.ids[at.inc], Chain: at.chain,
		From: from, To: to, What: fmt.Sprintf(what, args...),
	})
}

// each scans a table; rows with a wrong sum are problems.
func (c *check) each(prefix byte, fn func(k row, v []byte) error) error {
	bad := func(row) { c.problem(chainName{}, 0, 0, "a row of table %q has a wrong sum", prefix) }
	return c.tx.scan(span{prefix: newKey(prefix), bad: bad}, func(k row, v []byte) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		return fn(k, v)
	})
}

func (c *check) names() error {
	return c.each(pIntern, func(k row, v []byte) error {
		r := row{b: v}
		c.ids[r.num()] = k.id()
		return nil
	})
}

// ops walks every chain and holds it against its head.
func (c *check) ops() error {
	if err := c.readHeads(); err != nil {
		return err
	}
	var at chainName
	var next, last uint64 // the number expected, the number seen
	var headSeen, begun bool
	end := func() {
		h, ok := c.heads[at]
		switch {
		case !begun:
		case !ok:
			c.problem(at, 0, last, "a chain has no head")
		case last < h.Seq:
			c.problem(at, last+1, h.Seq, "the end of a chain is missing")
		case last > h.Seq:
			c.problem(at, h.Seq+1, last, "operations beyond the head")
		case !headSeen:
			c.problem(at, h.Seq, h.Seq, "the head is another operation")
		}
		delete(c.heads, at)
	}
	err := c.each(pOp, func(k row, v []byte) error {
		in := chainName{k.num(), k.num(), k.u8()}
		op, err := readOp(k, v, in.chain)
		if err != nil {
			c.problem(in, 0, 0, "%v", err)
			return nil
		}
		if in != at || !begun {
			end()
			at, begun, headSeen = in, true, false
			// A chain begins at its floor; 0 is the genesis, 1 all others.
			next = max(c.heads[in].Floor, min(op.Seq, 1))
			if c.heads[in].Base > 0 {
				next = min(op.Seq, 1)
			}
			last = op.Seq
		}
		if h := c.heads[in]; h.Base > 0 && next == h.Base+1 {
			next = h.Floor // what lies between is still to come
		}
		if op.Seq > next {
			c.problem(at, next, op.Seq-1, "operations are missing")
		}
		next, last = op.Seq+1, op.Seq
		h := c.heads[at]
		headSeen = headSeen || h.Seq == op.Seq && h.ID == op.ID
		c.rep.Ops++
		return c.op(in, op)
	})
	end()
	return err
}

// op compares one operation with its id and its place.
func (c *check) op(in chainName, op StoredOp) error {
	if id, err := c.idOf(op.Frame); err != nil || id != op.ID {
		c.problem(in, op.Seq, op.Seq, "operation %s is damaged", op.ID.Short())
	}
	w, ok, err := c.tx.where(in.group, op.ID)
	if err != nil && !isDamaged(err) {
		return err
	}
	if err != nil || !ok || w.inc != in.inc || w.chain != in.chain || w.seq != op.Seq {
		c.problem(in, op.Seq, op.Seq, "operation %s has no place", op.ID.Short())
	}
	return nil
}

func (c *check) readHeads() error {
	c.heads = make(map[chainName]Head)
	groups := make(map[num]bool)
	err := c.each(pHead, func(k row, v []byte) error {
		g := k.num()
		peek := k
		at := chainName{group: g, inc: peek.num()}
		h, err := readHead(k, v)
		if err != nil {
			c.problem(at, 0, 0, "%v", err)
			return nil
		}
		at.chain = h.Chain
		c.heads[at] = h.Head
		groups[g] = true
		return nil
	})
	c.rep.Groups = len(groups)
	return err
}

// headsLeft are those of which ops met no operation.
func (c *check) headsLeft() {
	for at, h := range c.heads {
		c.problem(at, max(h.Floor, 1), h.Seq, "a whole chain is missing")
	}
}

func (c *check) entries() error {
	bylined := map[bylineKey]bool{} // by the disk: readers remember some
	if err := c.each(pByline, func(k row, _ []byte) error {
		bylined[bylineKey{k.num(), k.num()}] = true
		return nil
	}); err != nil {
		return err
	}
	return c.each(pEntry, func(k row, v []byte) error {
		g := k.num()
		e, inc, err := parseEntry(k, v)
		if err != nil {
			c.problem(chainName{group: g}, 0, 0, "%v", err)
			return nil
		}
		if inc != 0 && !bylined[bylineKey{g, inc}] {
			c.problem(chainName{group: g, inc: inc}, 0, 0, "entry %s has no byline", e.ID.Short())
		}
		c.rep.Entries++
		w, ok, err := c.tx.where(g, e.ID)
		if err != nil && !isDamaged(err) {
			return err
		}
		if err != nil || !ok || !w.entered || w.order != e.OrderMs {
			c.problem(chainName{group: g}, 0, 0, "entry %s has no place", e.ID.Short())
		}
		return nil
	})
}

func (c *check) changes() error {
	next := uint64(0)
	return c.each(pChange, func(k row, v []byte) error {
		last := k.u64()
		r := row{b: v}
		count := uint64(r.u32())
		var change Change
		for range count {
			var ok bool
			if change, ok = readChange(&r, change); !ok {
				c.problem(chainName{}, 0, 0, "changes up to %d are damaged", last)
				break
			}
			c.rep.Changes++
		}
		if next != 0 && last-count+1 != next {
			c.problem(chainName{}, 0, 0, "changes %d to %d are missing", next, last-count)
		}
		next = last + 1
		return nil
	})
}

// others reads the tables that have nothing to be compared with but their sums.
func (c *check) others() error {
	c.headsLeft()
	for _, p := range []byte{
		pMeta, pWhere, pArrived, pParked, pGroup, pCounts, pEpoch, pKEM, pInvite, pWraps, pMsgKey, pHeld, pReceipt,
		pEdge, pPerson, pRecord, pOut, pRequest, pTask, pAnswer, pSettings,
	} {
		if err := c.each(p, func(row, []byte) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
