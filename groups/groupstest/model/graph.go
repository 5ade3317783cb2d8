package model

import (
	"slices"
	"strings"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// Group is everything that was taken in of one group.
type Group struct {
	ops     []*node // each after what it builds on
	byID    map[wire.OpID]*node
	content map[wire.OpID]*groups.Op // the newest of each inc's content chain
	pasts   map[string]*View         // Resolve of the past of some heads
	all     *View
}

// node is one control operation and what follows from its past alone.
type node struct {
	*groups.Op
	past  map[*node]bool // R1, words: everything it builds on, without it
	depth uint64
	inc   *node // that wrote it; a genesis its own
	// Of an operation that lets somebody in:
	isInc bool
	who   wire.AccountID // whom; a harbor has no account
	chain identity.Chain // of the device
	key   wire.DeviceID  // of the device or harbor
	base  *node          // R20
}

// New begins with a genesis.
func New(genesis *groups.Op) *Group {
	g := &Group{byID: map[wire.OpID]*node{}, content: map[wire.OpID]*groups.Op{}, pasts: map[string]*View{}}
	g.Take(genesis)
	return g
}

// Take adds what Judge accepted.
func (g *Group) Take(o *groups.Op) {
	switch o.Chain {
	case groups.Control:
		n := g.place(o)
		g.ops = append(g.ops, n)
		g.byID[n.ID] = n
		g.all = nil
	case groups.Content:
		g.content[o.IncID()] = o
	}
}

// place finds what o's past says of it.
func (g *Group) place(o *groups.Op) *node {
	n := &node{Op: o, depth: 1, past: g.upTo(o.Heads)}
	for p := range n.past {
		n.depth = max(n.depth, p.depth+1)
	}
	n.inc = n
	if id, ok := o.Inc.Get(); ok {
		n.inc = g.byID[id]
	}
	n.base = n
	switch b := o.Body.(type) {
	case *groups.GenesisBody:
		n.isInc, n.who, n.chain = true, b.Owner, b.Chain
	case *groups.AdmitBody:
		n.isInc, n.who, n.chain = true, b.Request.Newcomer, b.Request.Chain
	case *groups.DevAddBody:
		n.isInc, n.who, n.chain = true, b.Account, b.Chain
		n.base = n.inc.base
		if n.inc.who != n.who { // R20: written by another account
			n.base = nil
			for p := range n.past {
				if (p.Kind == groups.KindGenesis || p.Kind == groups.KindAdmit) && p.who == n.who && (n.base == nil || n.base.less(p)) {
					n.base = p
				}
			}
		}
	case *groups.HarborBody:
		n.isInc, n.key = !b.Change, b.OpKey
	}
	if len(n.chain) > 0 {
		n.key = n.chain.Leaf().OpKey
	}
	return n
}

// upTo is some heads and everything before them; all must be known.
func (g *Group) upTo(heads []wire.OpID) map[*node]bool {
	set := map[*node]bool{}
	for _, id := range heads {
		h := g.byID[id]
		set[h] = true
		for p := range h.past {
			set[p] = true
		}
	}
	return set
}

func (n *node) isHarbor() bool { return n.isInc && n.Kind == groups.KindHarbor }

// author is the account that wrote n; none of a harbor's operations.
func (n *node) author() (wire.AccountID, bool) { return n.inc.who, !n.inc.isHarbor() }

func (n *node) by(a wire.AccountID) bool { return !n.inc.isHarbor() && n.inc.who == a }

// before, of n by o: the word of the rules.
func (n *node) before(o *node) bool { return o.past[n] }

func (n *node) after(o *node) bool { return n.past[o] }

func (n *node) concurrent(o *node) bool { return n != o && !n.before(o) && !o.before(n) }

// less is the order key (R12).
func (n *node) less(o *node) bool {
	switch {
	case n.HLC != o.HLC:
		return n.HLC < o.HLC
	case n.depth != o.depth:
		return n.depth < o.depth
	}
	return slices.Compare(n.ID[:], o.ID[:]) < 0
}

// View is Resolve(S): what a set that is closed under parents means.
type View struct {
	g      *Group
	ops    []*node
	in     map[*node]bool
	owners []ownership
	cutsOf map[*node][]*node
	valid  map[*node]bool
	incOK  map[*node]bool
	seen   map[*node]*node
	acks   []*node
	seats  []seat
}

// Resolve is of everything taken so far.
func (g *Group) Resolve() *View {
	if g.all == nil {
		in := map[*node]bool{}
		for _, n := range g.ops {
			in[n] = true
		}
		g.all = g.resolve(in)
	}
	return g.all
}

// At is Resolve(past), the heads included.
func (g *Group) At(heads []wire.OpID) *View {
	var key strings.Builder
	for _, h := range heads {
		key.Write(h[:])
	}
	v := g.pasts[key.String()]
	if v == nil {
		v = g.resolve(g.upTo(heads))
		g.pasts[key.String()] = v
	}
	return v
}

func (g *Group) resolve(in map[*node]bool) *View {
	v := &View{g: g, in: in, cutsOf: map[*node][]*node{}, valid: map[*node]bool{}, incOK: map[*node]bool{}, seen: map[*node]*node{}}
	for _, n := range g.ops {
		if in[n] {
			v.ops = append(v.ops, n)
		}
	}
	v.findCuts()
	v.findOwners()
	v.findAcks()
	v.findSeats()
	return v
}
