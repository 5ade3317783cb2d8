package groups_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"strconv"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/groupstest/model"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// A program is a byte string read as what some devices write: each few bytes
// say whose device, on which past, at what hour, what. All is well signed and
// of the right form; nothing else needs to be right.

const (
	maxProgram  = 40 // operations: the model reads every past anew
	programNow  = groupstest.StartMs + 20*365*86_400_000
	programHour = 3_600_000
)

// cast is who writes programs: made once, since keys cost more than programs.
type cast struct {
	devices []*castDevice // the founder's first
	harbors []*castDevice
	codes   []ed25519.PrivateKey // the keys of invites
}

type castDevice struct {
	account wire.AccountID
	root    identity.Root
	keys    identity.DeviceKeys
	chain   identity.Chain
	kem     []byte
}

// newCast is six accounts, the first three with a second device each and the
// founder with one that the second added; and two harbors.
func newCast() *cast {
	seed := func(name string) [32]byte { return sha256.Sum256([]byte("cast " + name)) }
	device := func(name string) *castDevice {
		keys := identity.DeviceKeysFromSeeds(seed(name+" op"), seed(name+" peer"))
		return &castDevice{keys: keys, kem: seal.KEMPublic(seed(name + " kem"))}
	}
	c := &cast{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		d := device(name)
		d.root = identity.RootFromSeed(seed(name + " root"))
		d.account = d.root.Account()
		d.chain = identity.NewChain(d.root, d.keys, 1, 1, groupstest.StartMs)
		c.devices = append(c.devices, d)
	}
	second := func(of *castDevice, name string, rooted bool) {
		d := device(name)
		d.root, d.account = of.root, of.account
		d.chain = identity.NewChain(d.root, d.keys, 2, 1, groupstest.StartMs)
		if !rooted {
			d.chain, _ = of.chain.Extend(of.keys, identity.NewCertificate(of.account, d.keys, 2, 1, groupstest.StartMs))
		}
		c.devices = append(c.devices, d)
	}
	second(c.devices[0], "a2", true)
	second(c.devices[1], "b2", false)
	second(c.devices[2], "c2", true)
	second(c.devices[6], "a3", false)
	c.harbors = []*castDevice{device("h"), device("i")}
	for i := range maxProgram + 1 {
		seed := seed("code " + strconv.Itoa(i))
		c.codes = append(c.codes, ed25519.NewKeyFromSeed(seed[:]))
	}
	return c
}

// program is one being read.
type program struct {
	*cast
	both
	code    []byte
	made    []*groups.Op // control operations, taken or not; the genesis first
	said    []*groups.Op
	incs    []wire.OpID
	owners  map[wire.OpID]*castDevice // of incs
	invites []wire.OpID
	keys    map[wire.OpID]ed25519.PrivateKey
	asked   []groups.AdmitBody
	forged  int
}

// next is the next byte of the code, below n; 0 when it is read.
func (p *program) next(n int) int {
	if len(p.code) == 0 || n == 0 {
		return 0
	}
	b := int(p.code[0])
	p.code = p.code[1:]
	return b % n
}

func (p *program) odd(n int) bool { return p.next(n) == n-1 }

func (p *program) device() *castDevice { return p.devices[p.next(len(p.devices))] }

func (p *program) account() wire.AccountID { return p.device().account }

func (p *program) any(ids []wire.OpID) wire.OpID {
	if len(ids) == 0 {
		return p.made[0].ID
	}
	return ids[p.next(len(ids))]
}

// run reads a program and has both judge each operation as it is made.
func (c *cast) run(b *both, code []byte) *program {
	p := &program{cast: c, code: code, owners: map[wire.OpID]*castDevice{}, keys: map[wire.OpID]ed25519.PrivateKey{}}
	founder := c.devices[0]
	policy := groups.DefaultPolicy()
	policy.Waitlist, policy.SucceedDays = uint64(p.next(3)), uint64(p.next(2))
	policy.HistoryDays = []uint64{7, groups.HistoryNone, groups.HistoryAll}[p.next(3)]
	cap := uint64(2 + p.next(5))
	kind := p.next(8)
	if kind == 7 {
		policy.Direct, policy.Waitlist, cap = c.devices[1].account[:], 0, 2
	}
	genesis := groups.ComposeGenesis(founder.keys, founder.chain, founder.kem, [16]byte{1}, cap, policy, groupstest.StartMs)
	p.both = *newBoth(b.t, genesis, programNow)
	p.keep(genesis, founder)
	if kind > 3 && kind < 7 {
		p.council(kind)
	}
	for len(p.code) > 0 && len(p.made)+len(p.said) < maxProgram && !p.t.Failed() {
		p.step()
	}
	return p
}

// council begins with admins, and of kind 6 with every device in.
func (p *program) council(kind int) {
	at := uint64(groupstest.StartMs)
	write := func(kind groups.Kind, body any) {
		at += programHour
		p.write(p.made[0].ID, p.log.Heads(), at, kind, body)
	}
	for _, d := range p.devices[1:5] {
		write(groups.KindAdmit, p.request(p.devices[0].account, d, wire.OpID{}, at+programHour))
	}
	for _, d := range p.devices[1:4] {
		write(groups.KindRole, groups.RoleBody{OwnOp: p.made[0].ID, Account: d.account, Role: 1})
	}
	if kind == 6 {
		for _, d := range p.devices[6:9] {
			body := groups.DevAddBody{Account: d.account, Chain: d.chain, Pop: d.keys.Prove(d.chain.Leaf()), KemPk: d.kem}
			if d.account != p.devices[0].account {
				at += programHour
				i := slices.IndexFunc(p.incs, func(id wire.OpID) bool { return p.owners[id].account == d.account })
				if i >= 0 {
					p.write(p.incs[i], p.log.Heads(), at, groups.KindDevAdd, body)
				}
				continue
			}
			write(groups.KindDevAdd, body)
		}
	}
}

// keep remembers what was made, and whom it would let in.
func (p *program) keep(o *groups.Op, lets *castDevice) {
	p.made = append(p.made, o)
	if lets != nil {
		p.incs = append(p.incs, o.ID)
		p.owners[o.ID] = lets
	}
}

// past is some heads and what is before them, among all that was made.
func (p *program) past(heads []wire.OpID) map[wire.OpID]bool {
	in := map[wire.OpID]bool{}
	for _, h := range heads {
		in[h] = true
	}
	for _, o := range slices.Backward(p.made) {
		if in[o.ID] {
			for _, h := range o.Heads {
				in[h] = true
			}
		}
	}
	return in
}

// heads picks a past: all that is known, or what some operations had seen and
// the author's own last.
func (p *program) heads(inc wire.OpID) []wire.OpID {
	mode := p.next(6)
	if mode < 3 {
		return p.log.Heads()
	}
	of := p.log.Ops()
	if p.odd(12) {
		of = p.made
	}
	ids := []wire.OpID{of[p.next(len(of))].ID}
	if mode == 4 {
		ids = append(ids, of[p.next(len(of))].ID)
	}
	if mode < 5 {
		last := inc
		for _, o := range p.made {
			if o.IncID() == inc && p.log.Has(o.ID) {
				last = o.ID
			}
		}
		ids = append(ids, last)
	}
	slices.SortFunc(ids, func(a, b wire.OpID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	if p.odd(8) {
		return ids // perhaps one before another
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id wire.OpID) bool {
		return slices.ContainsFunc(ids, func(o wire.OpID) bool { return o != id && p.past([]wire.OpID{o})[id] })
	})
}

func (p *program) op(id wire.OpID) *groups.Op {
	for _, o := range p.made {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (p *program) step() {
	kind := kinds[p.next(len(kinds))]
	inc := p.writer(kind)
	heads := p.heads(inc)
	hlc := uint64(groupstest.StartMs)
	for id := range p.past(heads) {
		hlc = max(hlc, p.op(id).HLC)
	}
	hlc += []uint64{1, 0, 60_000, programHour, 5 * programHour, 4 * 24 * programHour, 8 * 24 * programHour, 40 * 24 * programHour}[p.next(8)]
	if p.odd(9) {
		p.say(inc, heads, hlc)
		return
	}
	if body := p.body(kind, inc, heads, hlc); body != nil {
		p.write(inc, heads, hlc, kind, body)
	}
}

// write signs an operation with the key of its inc's device and has both judge
// it; what is malformed is not made.
func (p *program) write(inc wire.OpID, heads []wire.OpID, hlc uint64, kind groups.Kind, body any) {
	c := rawControl{V: 1, Inc: wire.SomeID(inc), Seq: 1, Parents: heads, HLC: hlc, Kind: uint64(kind), Body: wire.Marshal(body), Ext: wire.Raw{0x40}}
	in := p.past(heads)
	for _, o := range p.made {
		if in[o.ID] && o.IncID() == inc && o.ID != inc && o.Seq >= c.Seq {
			c.Seq, c.Prev = o.Seq+1, wire.SomeID(o.ID)
		}
	}
	if p.odd(24) { // another place: behind, ahead, or of another chain
		o := p.made[p.next(len(p.made))]
		c.Seq, c.Prev = o.Seq+1, wire.SomeID(o.ID)
	}
	core := wire.Marshal(c)
	sig := wire.Sign(wire.DomainOp, p.owners[inc].keys.Op, wire.Context(p.made[0].ID), core)
	o, r := groups.Decode(slices.Concat(core, sig[:]))
	if r != nil || p.op(o.ID) != nil {
		return
	}
	p.keep(o, p.letsIn(o))
	if o.Kind == groups.KindInvite {
		p.invites = append(p.invites, o.ID)
		p.keys[o.ID] = p.inviteKey(o.Body.(*groups.InviteBody).InvitePk)
	}
	p.judge(o)
}

func (p *program) letsIn(o *groups.Op) *castDevice {
	var key wire.DeviceID
	switch b := o.Body.(type) {
	case *groups.AdmitBody:
		key = b.Request.Device()
	case *groups.DevAddBody:
		key = b.Chain.Leaf().OpKey
	case *groups.HarborBody:
		if b.Change {
			return nil
		}
		key = b.OpKey
	default:
		return nil
	}
	for _, d := range slices.Concat(p.devices, p.harbors) {
		if d.keys.ID() == key {
			return d
		}
	}
	return nil
}

// say writes content: no forks, whose first to come is the one that is kept.
func (p *program) say(inc wire.OpID, heads []wire.OpID, hlc uint64) {
	const length = 320
	box := make([]byte, length)
	c := rawContent{V: 1, Chain: 1, Inc: wire.SomeID(inc), Seq: 1, Heads: heads, HLC: hlc, EID: [32]byte{byte(p.next(3))}, CtLen: length}
	h := sha256.Sum256(box)
	c.CtHash = h[:]
	if seq, prev, ok := p.log.ChainHead(inc, groups.Content); ok {
		c.Seq, c.Prev = seq+1, wire.SomeID(prev)
	}
	core := wire.Marshal(c)
	sig := wire.Sign(wire.DomainOp, p.owners[inc].keys.Op, wire.Context(p.made[0].ID), core)
	o, r := groups.Decode(slices.Concat(core, sig[:], box))
	if r == nil && p.judge(o) == model.Taken {
		p.said = append(p.said, o)
	}
}

// inviteKey is the key of an invite a program made.
func (c *cast) inviteKey(pk [32]byte) ed25519.PrivateKey {
	for _, k := range c.codes {
		if [32]byte(k.Public().(ed25519.PublicKey)) == pk {
			return k
		}
	}
	return nil
}

func (p *program) request(inviter wire.AccountID, d *castDevice, invite wire.OpID, ms uint64) groups.AdmitBody {
	b := groups.AdmitBody{Request: groups.JoinRequest{V: 1, Group: wire.GroupID(p.made[0].ID), Inviter: inviter, Newcomer: d.account,
		Chain: d.chain, Pop: d.keys.Prove(d.chain.Leaf()), KemPk: d.kem, Follow: 1, Nonce: [16]byte{byte(len(p.made)), byte(p.next(2))}, Ms: ms}}
	if !invite.IsZero() {
		b.Request.Invite = wire.SomeID(invite)
		if k := p.keys[invite]; k != nil {
			b.UseSig = b.Request.Use(k)
		}
	}
	if p.odd(24) {
		b.Request.Group[0]++
	}
	b.Sig = b.Request.Sign(d.keys.Op)
	return b
}

// pins are none, or of one inc.
func (p *program) pins() []groups.Pin {
	if p.next(2) == 0 {
		return nil
	}
	pin := groups.Pin{Inc: p.any(p.incs), Seq: uint64(1 + p.next(2))}
	for _, o := range p.said {
		if o.IncID() == pin.Inc && o.Seq == pin.Seq {
			pin.Hash = o.ID
		}
	}
	return []groups.Pin{pin}
}

// rawContent is a content core as the protocol lists it.
type rawContent struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Chain  uint64
	Inc    wire.OptID
	Seq    uint64
	Prev   wire.OptID
	Heads  []wire.OpID
	HLC    uint64
	EID    [32]byte
	Salt   [16]byte
	CtLen  uint64
	CtHash []byte
}
