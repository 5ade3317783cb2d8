package groups

import (
	"bytes"
	"slices"
	"sync"

	"mutuals/identity"
	"mutuals/identity/wire"
)

// node is a control operation with its place among the others. Nodes are
// numbered so that an operation comes after everything in its past; a node
// never changes once it is placed.
type node struct {
	op     *Op
	past   indexes // strict ancestors
	key    OrderKey
	inc    int            // the incarnation that wrote it; a genesis its own
	prev   int            // the one before in its chain, or -1
	author wire.AccountID // zero where the inc is unknown to this version
	cites  int            // the invite an admit cites or a revoke ends, or -1
	target int            // the inc a fault stops, the harbor a change is of, or -1
	// An incarnation's own facts. A harbor's account is zero.
	account wire.AccountID
	chain   identity.Chain
	leaf    identity.Certificate
	base    int      // the admission an added device rests on, or -1: itself
	request [32]byte // hash of an admit's join request
	// seated are the accounts with a seat in the past of a transfer or
	// succession: who settles it.
	seated []wire.AccountID
	// owned are the ownerships in Resolve(past): what the author took to be in
	// force.
	owned []int
	// ctx is a rekey's place, which each look at its epoch needs.
	ctx [32]byte
}

func newNode(o *Op) *node {
	n := &node{op: o, prev: -1, cites: -1, target: -1, base: -1}
	if o.Kind == KindRekey {
		n.ctx = o.Ctx()
	}
	return n
}

// genesisNode is a genesis in its place: it builds on nothing.
func genesisNode(o *Op, b *GenesisBody) *node {
	n := newNode(o)
	n.key = OrderKey{HLC: o.HLC, Depth: 1, ID: o.ID}
	n.author = b.Owner
	n.enters(b.Owner, b.Chain)
	return n
}

// enters notes whose device the operation lets in.
func (n *node) enters(a wire.AccountID, chain identity.Chain) {
	n.account, n.chain, n.leaf = a, chain, chain.Leaf()
}

// isInc tells whether the operation let somebody write: a device, or a harbor.
func (n *node) isInc() bool { return n.isAdmission() || n.op.Kind == KindDevAdd || n.isHarbor() }

// isDevice tells whether it let a member's device in.
func (n *node) isDevice() bool { return n.isAdmission() || n.op.Kind == KindDevAdd }

// isAdmission tells whether it let an account in.
func (n *node) isAdmission() bool { return n.op.Kind == KindGenesis || n.op.Kind == KindAdmit }

func (n *node) isHarbor() bool {
	b, ok := n.op.Body.(*HarborBody)
	return ok && !b.Change
}

// graph is the operations that were accepted, only ever growing. The index is
// locked, since a State, which points into the graph, may be read while the
// Log grows; nodes are reached through slices that are never written twice.
type graph struct {
	mu    sync.RWMutex
	index map[wire.OpID]int
	nodes []*node
	// What hands the group over, and what may cut.
	handovers, cutters indexes
	// What is looked for by a hash: admits by their request, rekeys by eid.
	named map[[32]byte][]int
}

func newGraph() *graph { return &graph{index: map[wire.OpID]int{}, named: map[[32]byte][]int{}} }

func (g *graph) find(id wire.OpID) (int, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	i, ok := g.index[id]
	return i, ok
}

func (g *graph) add(n *node) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := len(g.nodes)
	g.nodes = append(g.nodes, n)
	g.index[n.op.ID] = i
	switch b := n.op.Body.(type) {
	case *TransferBody, *SucceedBody:
		g.handovers = g.handovers.with(i)
	case *DevRevokeBody, *FaultBody:
		g.cutters = g.cutters.with(i)
	case *AdmitBody:
		g.named[n.request] = append(g.named[n.request], i)
	case *RekeyBody:
		g.named[b.EID] = append(g.named[b.EID], i)
	}
	return i
}

// admits lists the admits of a join request.
func (g *graph) admits(request [32]byte) []int { return g.ofKind(KindAdmit, request) }

// rekeys lists the rekeys of an eid.
func (g *graph) rekeys(eid [32]byte) []int { return g.ofKind(KindRekey, eid) }

func (g *graph) ofKind(kind Kind, hash [32]byte) []int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var out []int
	for _, i := range g.named[hash] {
		if g.nodes[i].op.Kind == kind {
			out = append(out, i)
		}
	}
	return out
}

// pastOf is the union of the pasts of heads, heads included; missing lists
// those unknown.
func (g *graph) pastOf(heads []wire.OpID) (set indexes, missing []wire.OpID) {
	known := make([]int, 0, len(heads))
	for _, h := range heads {
		if i, ok := g.find(h); ok {
			known = append(known, i)
		} else {
			missing = append(missing, h)
		}
	}
	if len(known) == 0 {
		return nil, missing
	}
	set = make(indexes, slices.Max(known)>>6+1) // kept for good: no larger than it must be
	for _, i := range known {
		set = set.union(g.nodes[i].past).with(i)
	}
	return set, missing
}

// antichain tells whether no head is in the past of another.
func (g *graph) antichain(heads []wire.OpID) bool {
	for _, h := range heads {
		i, _ := g.find(h)
		for _, o := range heads {
			if j, ok := g.find(o); ok && g.nodes[j].past.has(i) {
				return false
			}
		}
	}
	return true
}

// place finds where a control operation stands, and refuses one whose place
// is impossible (R15). missing lists parents to ask for.
func (g *graph) place(o *Op) (n *node, missing []wire.OpID, _ *Refusal) {
	past, missing := g.pastOf(o.Heads)
	if len(missing) > 0 {
		return nil, missing, refuse(ReasonMissingParent, "%d of %d", len(missing), len(o.Heads))
	}
	if !g.antichain(o.Heads) {
		return nil, nil, refuse(ReasonNotAntichain, "")
	}
	n = newNode(o)
	n.past = past
	n.key = OrderKey{HLC: o.HLC, ID: o.ID}
	for _, h := range o.Heads {
		i, _ := g.find(h)
		p := g.nodes[i]
		n.key.Depth = max(n.key.Depth, p.key.Depth)
		if p.key.HLC > o.HLC {
			return nil, nil, refuse(ReasonClockBehind, "%d ms behind a parent", p.key.HLC-o.HLC)
		}
	}
	n.key.Depth++
	if r := g.chain(n); r != nil {
		return nil, nil, r
	}
	if r := g.cite(n); r != nil {
		return nil, nil, r
	}
	n.owned = g.ownedIn(past, o.Heads)
	return n, nil, nil
}

// chain finds the inc and the operation before.
func (g *graph) chain(n *node) *Refusal {
	o := n.op
	i, ok := g.find(o.IncID())
	if !ok || !n.past.has(i) {
		return refuse(ReasonIncNotInPast, "inc %s", o.IncID().Short())
	}
	if !g.nodes[i].isInc() {
		return refuse(ReasonNotAnInc, "inc %s is a %v", o.IncID().Short(), g.nodes[i].op.Kind)
	}
	n.inc, n.author = i, g.nodes[i].account
	if id, ok := o.Prev.Get(); ok {
		p, ok := g.find(id)
		if !ok || !n.past.has(p) {
			return refuse(ReasonPrevNotInPast, "prev %s", id.Short())
		}
		if b := g.nodes[p].op; b.IncID() != o.IncID() || b.Seq+1 != o.Seq {
			return refuse(ReasonPrevNotInPast, "seq %d after seq %d", o.Seq, b.Seq)
		}
		n.prev = p
	}
	return nil
}

// cite finds what the body names, and notes an incarnation's facts.
func (g *graph) cite(n *node) *Refusal {
	switch b := n.op.Body.(type) {
	case *AdmitBody:
		n.enters(b.Request.Newcomer, b.Request.Chain)
		n.request = b.Request.Hash()
		if id, ok := b.Request.Invite.Get(); ok {
			return g.citeInvite(n, id)
		}
	case *InviteRevokeBody:
		return g.citeInvite(n, b.Invite)
	case *DevAddBody:
		n.enters(b.Account, b.Chain)
		return g.placeDevice(n)
	case *HarborBody:
		return g.placeHarbor(n, b)
	case *FaultBody:
		return g.placeFault(n, b)
	case *TransferBody:
		n.seated = g.seatedIn(n.past)
	case *SucceedBody:
		for _, v := range b.Sigs {
			if i, ok := g.find(v.Inc); !ok || !n.past.has(i) {
				return refuse(ReasonIncNotInPast, "signer %s", v.Inc.Short())
			}
		}
		n.seated = g.seatedIn(n.past)
	}
	return nil
}

// placeDevice finds the admission an added device rests on (R20): its
// sibling's, or the latest of its account when another account wrote it.
func (g *graph) placeDevice(n *node) *Refusal {
	if n.account == n.author {
		n.base = n.inc
		if b := g.nodes[n.inc].base; b >= 0 {
			n.base = b
		}
		return nil
	}
	for i := range n.past.all() {
		m := g.nodes[i]
		if m.isAdmission() && m.account == n.account && (n.base < 0 || g.nodes[n.base].key.Less(m.key)) {
			n.base = i
		}
	}
	if n.base < 0 {
		return refuse(ReasonNotAMember, "account %s", n.account.Short())
	}
	return nil
}

func (g *graph) placeHarbor(n *node, b *HarborBody) *Refusal {
	if !b.Change {
		n.leaf = identity.Certificate{OpKey: b.OpKey, PeerKey: b.PeerKey}
		return nil
	}
	i, ok := g.find(b.Harbor)
	if !ok || !n.past.has(i) || !g.nodes[i].isHarbor() {
		return refuse(ReasonIncNotInPast, "harbor %s", b.Harbor.Short())
	}
	n.target = i
	return nil
}

func (n *node) isHandover() bool { return n.op.Kind == KindTransfer || n.op.Kind == KindSucceed }

// founderOwns is the chain of ownerships before anybody hands over.
var founderOwns = []int{genesisAt}

// ownedIn lists the ownerships in Resolve(past), past being what heads have
// seen and they themselves.
func (g *graph) ownedIn(past indexes, heads []wire.OpID) []int {
	handovers := g.handovers.and(past)
	if handovers.count() == 0 {
		return founderOwns
	}
	if owned, ok := g.ownedByAll(past, handovers, heads); ok {
		return owned
	}
	return g.resolveOwners(past)
}

// ownedByAll is a shortcut. One operation more, which has seen all the others,
// changes this only if it hands over itself: it may settle what is in force
// already, and nothing else (R21). Nor do several that took the same to be in
// force, if each knows all the cuts and there is nothing else that hands over:
// none of them skipped any of it, and what settled it for one settles it still.
func (g *graph) ownedByAll(past, handovers indexes, heads []wire.OpID) (owned []int, ok bool) {
	cuts := g.cutters.and(past)
	for at, h := range heads {
		i, _ := g.find(h)
		p := g.nodes[i]
		if p.isHandover() || i == genesisAt {
			return nil, false
		}
		if at > 0 && !slices.Equal(p.owned, owned) || len(heads) > 1 && !cuts.within(p.past) {
			return nil, false
		}
		owned = p.owned
	}
	if len(heads) == 1 {
		return owned, true
	}
	var chain indexes
	for _, w := range owned {
		chain = chain.with(w)
	}
	return owned, handovers.within(chain)
}

// resolveOwners is Resolve(set) as far as the ownerships.
func (g *graph) resolveOwners(set indexes) []int {
	r := newResolution(g.nodes, set)
	for i := range set.all() {
		r.enter(i)
	}
	r.reach()
	r.stageOwnership()
	owned := make([]int, len(r.owners))
	for at, w := range r.owners {
		owned[at] = w.op
	}
	return owned
}

// seatedIn lists the accounts with a seat in a past.
func (g *graph) seatedIn(past indexes) []wire.AccountID {
	r := resolve(g.nodes, slices.Clone(past))
	return slices.Clone(r.seats[:min(len(r.seats), r.cap)])
}

func (g *graph) citeInvite(n *node, id wire.OpID) *Refusal {
	i, ok := g.find(id)
	if !ok || !n.past.has(i) || g.nodes[i].op.Kind != KindInvite {
		return refuse(ReasonInviteUnknown, "invite %s", id.Short())
	}
	n.cites = i
	return nil
}

// headsOf lists what of a set is in nobody's past, ascending by id.
func headsOf(nodes []*node, set indexes) []wire.OpID {
	var under indexes
	for i := range set.all() {
		under = under.union(nodes[i].past)
	}
	var out []wire.OpID
	for i := range set.all() {
		if !under.has(i) {
			out = append(out, nodes[i].op.ID)
		}
	}
	slices.SortFunc(out, func(a, b wire.OpID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
