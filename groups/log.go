package groups

import (
	"bytes"
	"slices"

	"mutuals/identity/wire"
)

// A Log remembers at most maxPasts states of other pasts: members that write at
// the same time write on a handful of heads. Of a large group it remembers
// fewer, so that all of them resolve at most maxPastOps operations, each of
// which takes 60 bytes; one that goes on from another takes an eighth.
const (
	maxPasts   = 64
	maxPastOps = 1 << 15
)

type chainID struct {
	inc   wire.OpID
	chain ChainKind
}

// tip is the newest operation of a content or KEM chain.
type tip struct {
	seq, hlc uint64
	id       wire.OpID
	heads    []wire.OpID
}

// kemKey is the newest KEM key of an inc.
type kemKey struct {
	gen uint32
	pk  []byte
}

// Log is the operations of one group that this device accepted, and what
// follows from them. It belongs to one goroutine; the States it hands out may
// be read by any.
type Log struct {
	group   wire.GroupID
	g       *graph
	all     indexes
	heads   []wire.OpID // ascending
	tips    map[chainID]tip
	kem     map[wire.OpID]kemKey // replaced, never written, once a State has it
	state   *State               // of all; nil when it must be computed
	pasts   map[string]*State    // by heads
	order   []string             // keys of pasts, oldest first
	pastOps int                  // what they weigh
	next    judged
	// What epoch.go remembers.
	rekeys map[int]rekeyPast
	reads  map[readKey]bool
}

// judged is what Judge found out of the operation Apply is asked for next.
type judged struct {
	op    *Op
	node  *node
	past  *State // Resolve(past)
	state *State // with op, or nil
}

// Found begins a group's log with its genesis, checked (R16).
func Found(genesis *Op) (*Log, *Refusal) {
	if r := checkGenesis(genesis); r != nil {
		return nil, r
	}
	b := genesis.Body.(*GenesisBody)
	l := &Log{
		group: wire.GroupID(genesis.ID),
		g:     newGraph(),
		tips:  map[chainID]tip{},
		kem:   map[wire.OpID]kemKey{},
		pasts: map[string]*State{},

		rekeys: map[int]rekeyPast{},
		reads:  map[readKey]bool{},
	}
	l.grow(genesisNode(genesis, b))
	return l, nil
}

// Group is the group's id: its genesis's.
func (l *Log) Group() wire.GroupID { return l.group }

// State is what the accepted operations resolve to.
func (l *Log) State() *State {
	if l.state == nil {
		l.state = l.resolve(l.g.nodes, l.all)
	}
	return l.state
}

func (l *Log) resolve(nodes []*node, set indexes) *State { return newState(l.g, nodes, set, l.kem) }

// Heads are the control operations nobody has built on yet, ascending.
func (l *Log) Heads() []wire.OpID { return slices.Clone(l.heads) }

// Has tells whether a control operation was accepted.
func (l *Log) Has(id wire.OpID) bool { _, ok := l.g.find(id); return ok }

// Op gives an accepted control operation; nil if there is none.
func (l *Log) Op(id wire.OpID) *Op {
	if i, ok := l.g.find(id); ok {
		return l.g.nodes[i].op
	}
	return nil
}

// Ops lists the accepted control operations by order key, which never puts
// one before what it builds on.
func (l *Log) Ops() []*Op { return opsOf(l.g.nodes, l.all) }

func opsOf(nodes []*node, set indexes) []*Op {
	var picked []*node
	for i := range set.all() {
		picked = append(picked, nodes[i])
	}
	slices.SortFunc(picked, func(a, b *node) int { return a.key.Compare(b.key) })
	out := make([]*Op, len(picked))
	for i, n := range picked {
		out[i] = n.op
	}
	return out
}

// At is Resolve(past(heads)), the heads included; ok is false when one is
// unknown, or there is none.
func (l *Log) At(heads []wire.OpID) (s *State, ok bool) {
	s, missing := l.at(heads)
	return s, s != nil && len(missing) == 0
}

func (l *Log) at(heads []wire.OpID) (*State, []wire.OpID) {
	if slices.Equal(heads, l.heads) {
		return l.State(), nil
	}
	key := headsKey(heads)
	if s := l.pasts[key]; s != nil {
		return s, nil
	}
	set, missing := l.g.pastOf(heads)
	if len(missing) > 0 || len(set) == 0 {
		return nil, missing
	}
	if l.all.within(set) {
		return l.State(), nil
	}
	s := l.resolve(l.g.nodes, set)
	l.remember(key, s)
	return s, nil
}

func (l *Log) remember(key string, s *State) {
	if old := l.pasts[key]; old != nil {
		l.pastOps += s.weight() - old.weight()
		l.pasts[key] = s
		return
	}
	for len(l.order) > 0 && (len(l.order) == maxPasts || l.pastOps+s.weight() > maxPastOps) {
		oldest := l.order[0]
		l.pastOps -= l.pasts[oldest].weight()
		delete(l.pasts, oldest)
		l.order = append(l.order[:0], l.order[1:]...)
	}
	l.pasts[key], l.order = s, append(l.order, key)
	l.pastOps += s.weight()
}

// weight is what a state takes, in operations.
func (s *State) weight() int {
	if s.r.grown {
		return len(s.r.nodes) / 8
	}
	return len(s.r.nodes)
}

func headsKey(heads []wire.OpID) string {
	b := make([]byte, 0, 32*len(heads))
	for _, h := range heads {
		b = append(b, h[:]...)
	}
	return string(b)
}

// ChainHead is the newest operation of one chain of an inc; of a forked
// control chain the one of the lowest order key among the highest seq. ok is
// false when the chain is empty.
func (l *Log) ChainHead(inc wire.OpID, chain ChainKind) (seq uint64, id wire.OpID, ok bool) {
	if chain != Control {
		t, ok := l.tips[chainID{inc, chain}]
		return t.seq, t.id, ok
	}
	if n := l.controlTip(inc); n != nil {
		return n.op.Seq, n.op.ID, true
	}
	return 0, wire.OpID{}, false
}

func (l *Log) controlTip(inc wire.OpID) *node {
	var best *node
	for _, n := range l.g.nodes {
		if id, ok := n.op.Inc.Get(); !ok || id != inc {
			continue
		}
		if best == nil || n.op.Seq > best.op.Seq || n.op.Seq == best.op.Seq && n.key.Less(best.key) {
			best = n
		}
	}
	return best
}

// Apply takes in an operation that Judge said Accept or Void of, or that
// this device had accepted before and reads back from its own disk, oldest
// first: its signatures and its author's rights were judged then. It panics
// when an operation's parents are missing, which Judge would have said.
func (l *Log) Apply(o *Op) {
	switch o.Chain {
	case Content:
		l.tips[chainID{o.IncID(), Content}] = tip{seq: o.Seq, hlc: o.HLC, id: o.ID, heads: o.Heads}
	case KEM:
		l.tips[chainID{o.IncID(), KEM}] = tip{seq: o.Seq, hlc: o.HLC, id: o.ID}
		if len(o.Cipher) > 0 {
			l.learnKEM(o.IncID(), kemKey{uint32(o.Gen), o.Cipher})
		}
	default:
		l.applyControl(o)
	}
}

func (l *Log) applyControl(o *Op) {
	if l.Has(o.ID) {
		return
	}
	j := l.next
	if j.op != o {
		n, _, r := l.g.place(o)
		if r != nil {
			panic("internal error: applying an operation that was not accepted: " + r.Error())
		}
		j = judged{node: n}
	}
	l.next = judged{}
	before, knowsAll := l.state, l.all.within(j.node.past)
	if before != nil && len(l.heads) <= MaxParents {
		// What others write on the heads we leave is judged in this state.
		l.remember(headsKey(l.heads), before)
	}
	at := l.grow(j.node)
	switch {
	case knowsAll && before != nil:
		l.state = before.extend(l.g.nodes, at, l.kem)
	case j.state != nil:
		l.state = j.state
		l.state.kem = l.kem
	}
	if !knowsAll && j.past != nil {
		if s := j.past.extend(l.g.nodes, at, l.kem); s != nil {
			// What its author writes next is judged in this one.
			l.remember(headsKey([]wire.OpID{o.ID}), s)
		}
	}
}

// grow adds a placed node and moves the heads.
func (l *Log) grow(n *node) (at int) {
	at = l.g.add(n)
	l.all = l.all.with(at)
	heads := l.heads[:0:0]
	for _, h := range l.heads {
		if i, _ := l.g.find(h); !n.past.has(i) {
			heads = append(heads, h)
		}
	}
	place, _ := slices.BinarySearchFunc(heads, n.op.ID, func(a, b wire.OpID) int { return bytes.Compare(a[:], b[:]) })
	l.heads = slices.Insert(heads, place, n.op.ID)
	l.state = nil
	return at
}

func (l *Log) learnKEM(inc wire.OpID, k kemKey) {
	fresh := make(map[wire.OpID]kemKey, len(l.kem)+1)
	for i, old := range l.kem {
		fresh[i] = old
	}
	fresh[inc] = k
	l.kem = fresh
	if l.state != nil {
		s := *l.state
		s.kem = fresh
		l.state = &s
	}
}

// Resolve is the definition of a group's state: a function of the set of
// accepted control operations, closed under parents, in any order. It panics
// when the set is not closed or has no genesis.
func Resolve(ops []*Op) *State {
	g := newGraph()
	waiting := slices.Clone(ops)
	for len(waiting) > 0 {
		left := waiting[:0:0]
		for _, o := range waiting {
			if _, ok := g.find(o.ID); ok {
				continue
			}
			if b, ok := o.Body.(*GenesisBody); ok {
				g.add(genesisNode(o, b))
				continue
			}
			n, missing, r := g.place(o)
			if len(missing) > 0 {
				left = append(left, o)
				continue
			}
			if r != nil {
				panic("internal error: resolving an operation that was not accepted: " + r.Error())
			}
			g.add(n)
		}
		if len(left) == len(waiting) {
			panic("internal error: resolving a set that lacks parents")
		}
		waiting = left
	}
	return newState(g, g.nodes, firstN(len(g.nodes)), nil)
}
