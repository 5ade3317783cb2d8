package groups

import (
	"maps"
	"slices"

	"mutuals/identity/wire"
)

// resolution is Resolve(S) at work: stages A to D of protocol section 4, each
// reading only earlier ones. Nothing is written after resolve or extend
// returns, so a State built on it is immutable.
type resolution struct {
	nodes []*node
	set   indexes
	// grown tells that it goes on from another resolution (R39): what the two
	// share is copied before it is changed.
	grown bool

	people table[wire.AccountID, *person]
	issued table[int, *issue] // by invite

	// A (R20)
	cuts  map[int][]int // by inc: operations that cut it
	exits indexes       // what put somebody out: valid removes, leaves, and cuts

	// B (R21, R22)
	owners []ownership // from genesis to now
	acts   map[int][]int
	acks   indexes
	unseen indexes // what no ack has
	seen   []int32 // of the rest the lowest ack that has it

	// D (R24–R28)
	valid      indexes
	incValid   indexes
	live       indexes          // devices
	seats      []wire.AccountID // candidates in order: the first cap are seated
	cap        int
	policy     Policy
	quiets     []int // valid roles and policies that may take the right to post
	sleepProof []int // invites with a KEM key
	rekeys     []int // ascending by generation, of one generation by order key, the highest first
}

// genesisAt is the place of a group's genesis: it comes first in any graph.
const genesisAt = 0

// person is what concerns one account.
type person struct {
	incs        []int // every device, ascending
	revocations []int // dev-revokes by its devices
	grants      []int
	revokes     []int
	removes     []int // valid ones of it
	leaves      []int // its own uncut ones

	// Of a candidate:
	here  bool
	rank  Role
	first int // the admission its seat is counted by
}

// issue is what concerns one invite.
type issue struct {
	uses    []int // admits that cite it, by (seen, order key)
	ends    []int // valid revokes of a higher rank
	recalls []int // uncut revokes by the inviter
}

func resolve(nodes []*node, set indexes) *resolution {
	r := newResolution(nodes, set)
	for i := range set.all() {
		r.enter(i)
	}
	r.reach()
	r.stageOwnership()
	r.stageRanks()
	for i := range set.all() {
		r.putOut(i)
	}
	r.stageValidity()
	r.stageSeats()
	return r
}

func newResolution(nodes []*node, set indexes) *resolution {
	return &resolution{nodes: nodes, set: set, cuts: map[int][]int{}, acts: map[int][]int{},
		people: table[wire.AccountID, *person]{old: map[wire.AccountID]*person{}},
		issued: table[int, *issue]{old: map[int]*issue{}}}
}

// of gives what concerns an account.
func (r *resolution) of(a wire.AccountID) person {
	if p := r.people.get(a); p != nil {
		return *p
	}
	return person{}
}

// change gives the same, to be written.
func (r *resolution) change(a wire.AccountID) *person {
	p := r.people.get(a)
	switch {
	case r.grown:
		own := r.of(a)
		for _, list := range []*[]int{&own.incs, &own.revocations, &own.grants, &own.revokes, &own.removes, &own.leaves} {
			*list = slices.Clip(*list)
		}
		p = &own
		r.people = r.people.with(a, p)
	case p == nil:
		p = &person{}
		r.people.old[a] = p
	}
	return p
}

// issue gives what concerns an invite.
func (r *resolution) issue(invite int) issue {
	if v := r.issued.get(invite); v != nil {
		return *v
	}
	return issue{}
}

// changeIssue gives the same, to be written.
func (r *resolution) changeIssue(invite int) *issue {
	v := r.issued.get(invite)
	switch {
	case r.grown:
		own := r.issue(invite)
		own.uses, own.ends, own.recalls = slices.Clip(own.uses), slices.Clip(own.ends), slices.Clip(own.recalls)
		v = &own
		r.issued = r.issued.with(invite, v)
	case v == nil:
		v = &issue{}
		r.issued.old[invite] = v
	}
	return v
}

// before tells whether a is in the past of b.
func (r *resolution) before(a, b int) bool { return r.nodes[b].past.has(a) }

func (r *resolution) concurrent(a, b int) bool { return a != b && !r.before(a, b) && !r.before(b, a) }

// Stage A: bases and cuts (R20).

// enter notes the devices there are, and what may cut them.
func (r *resolution) enter(i int) {
	n := r.nodes[i]
	if n.isDevice() {
		p := r.change(n.account)
		p.incs = append(p.incs, i)
	}
	switch n.op.Kind {
	case KindDevRevoke:
		p := r.change(n.author)
		p.revocations = append(p.revocations, i)
	case KindFault:
		r.cutInc(n.target, i)
	}
}

// reach finds what the dev-revokes cut.
func (r *resolution) reach() {
	for _, p := range r.people.all() {
		for _, v := range p.revocations {
			r.revoke(v)
		}
	}
}

// revoke notes the devices that one dev-revoke cuts.
func (r *resolution) revoke(v int) {
	revocation := r.nodes[v].op.Body.(*DevRevokeBody).Revocation
	for _, i := range r.of(r.nodes[v].author).incs {
		if revocation.Reaches(r.nodes[i].chain) {
			r.cutInc(i, v)
		}
	}
}

func (r *resolution) cutInc(inc, by int) {
	if r.grown {
		r.cuts = maps.Clone(r.cuts)
	}
	r.cuts[inc] = append(slices.Clip(r.cuts[inc]), by)
	r.exits = r.exits.with(by)
}

// base is the admission an inc rests on: for a device that was added the one
// of its account, for any other itself.
func (r *resolution) base(inc int) int {
	if b := r.nodes[inc].base; b >= 0 {
		return b
	}
	return inc
}

// cutBy lists the cuts of o: those of its inc that had not seen it.
func (r *resolution) cutBy(o int) []int {
	var out []int
	for _, c := range r.cuts[r.nodes[o].inc] {
		if !r.before(o, c) {
			out = append(out, c)
		}
	}
	return out
}

func (r *resolution) cut(o int) bool {
	return len(r.cuts) > 0 && len(r.cutBy(o)) > 0
}

// stopped tells whether anything cuts an inc.
func (r *resolution) stopped(inc int) bool { return len(r.cuts) > 0 && len(r.cuts[inc]) > 0 }
