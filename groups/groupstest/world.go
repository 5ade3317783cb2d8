package groupstest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// StartMs is when every world begins: a fixed day, so that runs repeat.
const StartMs = 1_800_000_000_000

// World is the people of one story and what they wrote.
type World struct {
	People []*Person
	Ops    []*groups.Op // every control operation anybody wrote, as written
	Said   []*groups.Op // every content operation
	Tried  []*groups.Op // what its author's own log refused
	NowMs  uint64
	BackMs uint64 // by how much the clock of whoever writes lies behind
	// Rejected are operations that one log took and another blamed somebody
	// for: there must be none.
	Rejected []*groups.Op
	// Refused counts operations some log would not take, by reason.
	Refused map[groups.Reason]int
	rand    io.Reader
}

// Person is one account with one device, and what it knows of the group.
type Person struct {
	Name    string
	Account wire.AccountID
	Keys    identity.DeviceKeys
	Chain   identity.Chain
	KEMSeed [32]byte
	Log     *groups.Log // nil before it knows of the group
	Inc     wire.OpID   // its newest own inc
	Offline bool
	Side    int          // who is online hears those of its own side of a partition
	Silent  bool         // keeps no log: it only joins, and is admitted
	Heard   []*groups.Op // content it took, in the order it came
	root    identity.Root
	parked  []*groups.Op
}

// Invite is an invite with its key.
type Invite struct {
	ID      wire.OpID
	Key     ed25519.PrivateKey
	Inviter *Person
}

// NewWorld makes a world whose keys follow from a seed.
func NewWorld(seed uint64) *World {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &World{NowMs: StartMs, Refused: map[groups.Reason]int{}, rand: rand.NewChaCha8(key)}
}

func (p *Person) kemPublic() []byte { return seal.KEMPublic(p.KEMSeed) }

func must(err error) {
	if err != nil {
		panic("internal error: groupstest: " + err.Error())
	}
}

// Add makes a person.
func (w *World) Add(name string) *Person {
	entropy, err := identity.NewEntropy(w.rand)
	must(err)
	root := entropy.Root()
	keys, err := identity.NewDeviceKeys(w.rand)
	must(err)
	seed, _, err := seal.GenerateKEM(w.rand)
	must(err)
	p := &Person{Name: name, Account: root.Account(), Keys: keys, KEMSeed: seed, root: root}
	p.Chain = identity.NewChain(root, keys, 1, 1, StartMs)
	w.People = append(w.People, p)
	return p
}

// Person finds somebody by name.
func (w *World) Person(name string) (*Person, error) {
	for _, p := range w.People {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("nobody is called %q", name)
}

func (w *World) nonce() (n [16]byte) {
	_, err := io.ReadFull(w.rand, n[:])
	must(err)
	return n
}

// Found founds the world's group and tells everybody online of it.
func (w *World) Found(p *Person, cap uint64, policy groups.Policy) *groups.Op {
	o := groups.ComposeGenesis(p.Keys, p.Chain, seal.KEMPublic(p.KEMSeed), w.nonce(), cap, policy, w.NowMs)
	p.Inc = o.ID
	w.Ops = append(w.Ops, o)
	for _, q := range w.People {
		q.know(o)
	}
	return o
}

func (p *Person) know(genesis *groups.Op) {
	if p.Log != nil || p.Silent {
		return
	}
	l, r := groups.Found(genesis)
	if r != nil {
		must(r)
	}
	p.Log = l
}

// Request is what q signs to be let in by an invite, or by a person.
func (w *World) Request(q *Person, by *Person, inv *Invite) groups.AdmitBody {
	b := groups.AdmitBody{Request: groups.JoinRequest{V: 1, Group: by.Log.Group(), Inviter: by.Account,
		Newcomer: q.Account, Chain: q.Chain, Pop: q.Keys.Prove(q.Chain.Leaf()), KemPk: seal.KEMPublic(q.KEMSeed),
		Follow: 1, Nonce: w.nonce(), Ms: w.NowMs}}
	if inv != nil {
		b.Request.Invite, b.Request.Inviter = wire.SomeID(inv.ID), inv.Inviter.Account
		b.UseSig = b.Request.Use(inv.Key)
	}
	b.Sig = b.Request.Sign(q.Keys.Op)
	return b
}

// Device makes one more device of somebody's account, certified by the device
// that p is or, rooted, by the account's words. It is in no group yet.
func (w *World) Device(name string, p *Person, rooted bool) *Person {
	q := w.Add(name)
	q.Account, q.root = p.Account, p.root
	if rooted {
		q.Chain = identity.NewChain(p.root, q.Keys, 2, 1, w.NowMs)
		return q
	}
	chain, err := p.Chain.Extend(p.Keys, identity.NewCertificate(p.Account, q.Keys, 2, 1, w.NowMs))
	must(err)
	q.Chain = chain
	return q
}

// DevAdd is what lets q's device in: with its own request when by is of
// another account.
func (w *World) DevAdd(by, q *Person) groups.DevAddBody {
	b := groups.DevAddBody{Account: q.Account, Chain: q.Chain, Pop: q.Keys.Prove(q.Chain.Leaf()), KemPk: q.kemPublic()}
	if by.Account == q.Account {
		return b
	}
	r := groups.JoinRequest{V: 1, Group: by.Log.Group(), Inviter: q.Account, Newcomer: q.Account, Chain: b.Chain, Pop: b.Pop,
		KemPk: b.KemPk, Follow: 1, Nonce: w.nonce(), Ms: w.NowMs}
	sig := r.Sign(q.Keys.Op)
	b.Request, b.Sig = r.Encode(), sig[:]
	return b
}

// DevRevoke ends q's device, by the word of by's or of the account's root, and
// keeps those named.
func (w *World) DevRevoke(by, q *Person, rooted bool, keep ...wire.DeviceID) groups.DevRevokeBody {
	rev := identity.SignRevocation(by.Keys, by.Chain, q.Keys.ID(), identity.ReasonLost, w.NowMs, keep...)
	if rooted {
		rev = by.root.Revoke(q.Keys.ID(), identity.ReasonLost, w.NowMs, keep...)
	}
	return groups.DevRevokeBody{Revocation: rev.Revocation, Sig: rev.Sig, Chain: rev.Chain, Pins: by.Log.PinsForInc(q.Inc)}
}

// Transfer is an ownership handed over, and accepted by the heir.
func (w *World) Transfer(p, heir *Person) groups.TransferBody {
	b := groups.TransferBody{OwnOp: p.Log.State().OwnOp(), Heir: heir.Account, HeirChain: heir.Chain, Ms: w.NowMs - w.BackMs}
	b.Accept = groups.SignOwnerAccept(heir.Keys.Op, p.Log.Group(), b.OwnOp, b.Heir, b.Ms)
	return b
}

// Succeed is a succession with the words of those who sign.
func (w *World) Succeed(p, heir *Person, signers []*Person) groups.SucceedBody {
	b := groups.SucceedBody{OwnOp: p.Log.State().OwnOp(), Heir: heir.Account, Ms: w.NowMs - w.BackMs}
	for _, q := range signers {
		b.Sigs = append(b.Sigs, groups.SucceedSig{Inc: q.Inc, Sig: groups.SignSucceed(q.Keys.Op, p.Log.Group(), b.OwnOp, b.Heir, b.Ms)})
	}
	slices.SortFunc(b.Sigs, func(x, y groups.SucceedSig) int { return bytes.Compare(x.Inc[:], y.Inc[:]) })
	return b
}

// Appoint makes q's keys a harbor.
func (w *World) Appoint(p, q *Person, rights uint64) groups.HarborBody {
	return groups.HarborBody{OwnOp: p.Log.State().OwnOp(), OpKey: q.Keys.ID(), PeerKey: q.Keys.PeerKey(), Rights: rights,
		Pop: groups.ProveHarbor(q.Keys.Op, q.Keys.Peer, p.Log.Group(), p.Inc)}
}

// Say writes a message of p's, and gives it to everybody p can reach. Nobody
// reads it here: the box is zeros.
func (w *World) Say(p *Person) (*groups.Op, *groups.Refusal) {
	o := w.composeContent(p.Log, p)
	j := p.Log.Judge(o, w.NowMs)
	if j.Verdict != groups.Accept && j.Verdict != groups.Void {
		w.Refused[j.Reason]++
		w.Tried = append(w.Tried, o)
		return nil, &groups.Refusal{Reason: j.Reason, Detail: j.Detail}
	}
	p.Log.Apply(o)
	p.Heard = append(p.Heard, o)
	w.Said = append(w.Said, o)
	w.spread(p, o)
	return o, nil
}

func (w *World) composeContent(l *groups.Log, p *Person) *groups.Op {
	const length = 320
	o, err := l.ComposeContent(p.Inc, p.Keys.Op, w.NowMs-w.BackMs, [32]byte{1}, w.nonce(), length,
		func([]byte, uint64) ([]byte, error) { return make([]byte, length), nil })
	must(err)
	return o
}

// Contradict writes another message of p's with the seq of one it said, as a
// copy of its home would that had not said it.
func (w *World) Contradict(p *Person, o *groups.Op) *groups.Op {
	ops := p.Log.Ops()
	l, r := groups.Found(ops[0])
	if r != nil {
		must(r)
	}
	for _, c := range ops[1:] {
		l.Apply(c)
	}
	for _, c := range p.Heard {
		if c.IncID() == o.IncID() && c.Seq < o.Seq {
			l.Apply(c)
		}
	}
	return w.composeContent(l, p)
}

// Write composes an operation in p's own log, takes it there, and gives it
// to everybody p can reach. The refusal is p's own log's.
func (w *World) Write(p *Person, kind groups.Kind, body any) (*groups.Op, *groups.Refusal) {
	o, r := w.compose(p.Log, p, kind, body)
	if r != nil {
		return nil, r
	}
	if r := w.own(p, o); r != nil {
		return nil, r
	}
	return o, nil
}

func (w *World) compose(l *groups.Log, p *Person, kind groups.Kind, body any) (*groups.Op, *groups.Refusal) {
	if kind == groups.KindRekey {
		o, err := l.ComposeRekey(p.Inc, p.Keys.Op, w.NowMs-w.BackMs, func(ctx [32]byte, gen uint64, to []groups.Recipient) (eid, root [32]byte, err error) {
			return sha256.Sum256(ctx[:]), sha256.Sum256(eid[:]), nil
		})
		return o, refusal(err)
	}
	o, err := l.ComposeControl(p.Inc, p.Keys.Op, w.NowMs-w.BackMs, kind, body)
	return o, refusal(err)
}

func refusal(err error) *groups.Refusal {
	if err == nil {
		return nil
	}
	var r *groups.Refusal
	if errors.As(err, &r) {
		return r
	}
	return &groups.Refusal{Reason: groups.ReasonBadBody, Detail: err.Error()}
}

// own judges p's operation in its log and spreads it when it is taken.
func (w *World) own(p *Person, o *groups.Op) *groups.Refusal {
	j := p.Log.Judge(o, w.NowMs)
	if j.Verdict != groups.Accept && j.Verdict != groups.Void {
		w.Refused[j.Reason]++
		w.Tried = append(w.Tried, o)
		return &groups.Refusal{Reason: j.Reason, Detail: j.Detail}
	}
	p.Log.Apply(o)
	w.Ops = append(w.Ops, o)
	w.spread(p, o)
	return nil
}

func (w *World) spread(p *Person, o *groups.Op) {
	w.NowMs++
	if p.Offline {
		return
	}
	for _, q := range w.People {
		if q != p && p.hears(q) {
			w.Give(q, o)
		}
	}
}

// hears tells whether two people can talk, one of them being online.
func (p *Person) hears(q *Person) bool { return !q.Offline && q.Side == p.Side && q.Log != nil }

// Give hands operations to somebody, who parks what it cannot judge yet.
func (w *World) Give(p *Person, ops ...*groups.Op) {
	p.parked = append(p.parked, ops...)
	for progress := true; progress; {
		progress = false
		left := p.parked[:0:0]
		for _, o := range p.parked {
			switch j := p.Log.Judge(o, w.NowMs); j.Verdict {
			case groups.Accept, groups.Void:
				p.Log.Apply(o)
				progress = true
				if o.Chain == groups.Content {
					p.Heard = append(p.Heard, o)
				}
			case groups.Park, groups.Hold:
				left = append(left, o)
			case groups.Reject:
				w.Refused[j.Reason]++
				w.Rejected = append(w.Rejected, o)
			}
		}
		p.parked = left
	}
}

// Online brings somebody back: all who are online then know what any knew.
func (w *World) Online(p *Person) {
	p.Offline = false
	w.meet()
}

// Apart cuts some people off from the others: they hear one another only.
func (w *World) Apart(people []*Person) {
	side := 0
	for _, q := range w.People {
		side = max(side, q.Side)
	}
	for _, q := range people {
		q.Side = side + 1
	}
}

// Together ends every partition.
func (w *World) Together() {
	for _, q := range w.People {
		q.Side = 0
	}
	w.meet()
}

// meet lets everybody online hear what anybody on its side knows.
func (w *World) meet() {
	for _, a := range w.People {
		for _, b := range w.People {
			if a != b && !a.Offline && a.Log != nil && a.hears(b) {
				w.Give(b, a.Log.Ops()...)
				w.Give(b, a.Heard...)
			}
		}
	}
}

// Deliver takes operations in the order given into a fresh log, parking as a
// device would, and returns the log; those no order could place are left out.
func Deliver(ops []*groups.Op, nowMs uint64) *groups.Log {
	at := slices.IndexFunc(ops, func(o *groups.Op) bool { return o.Kind == groups.KindGenesis && o.Chain == groups.Control })
	l, r := groups.Found(ops[at])
	if r != nil {
		must(r)
	}
	w := &World{NowMs: nowMs, Refused: map[groups.Reason]int{}}
	p := &Person{Log: l}
	for _, o := range ops {
		if o.ID != ops[at].ID {
			w.Give(p, o)
		}
	}
	return l
}

// Shuffled is ops in another order, every few of them twice.
func Shuffled(ops []*groups.Op, seed uint64) []*groups.Op {
	r := rand.New(rand.NewPCG(seed, 1))
	out := slices.Clone(ops)
	for range len(ops) / 4 {
		out = append(out, ops[r.IntN(len(ops))])
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// Summary writes down everything a state says, for comparing.
func Summary(s *groups.State) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "group %s owner %s cap %d policy %v seats %d waiting %d heads %v\n", s.Group().Short(), s.Owner().Short(),
		s.Cap(), s.Policy(), s.SeatCount(), s.WaitCount(), len(s.Heads()))
	for _, m := range s.Members() {
		fmt.Fprintf(&b, "%s %v %v %d via %s provisional %v", m.Account.Short(), m.Role, m.Status, m.WaitPos, m.Via.Short(), m.Provisional)
		for _, i := range m.Incs {
			fmt.Fprintf(&b, " [%s live %v valid %v cut %v]", i.ID.Short(), i.Live, i.Valid, i.Cut)
		}
		fmt.Fprintln(&b)
	}
	for _, v := range s.Invites() {
		fmt.Fprintf(&b, "invite %s used %d valid %v revoked %v gone %v\n", v.ID.Short(), v.Used, v.Valid, v.Revoked, v.InviterGone)
	}
	for _, r := range s.Recipients(s.CreatedMs()) {
		fmt.Fprintf(&b, "recipient %s %v\n", r.Inc.Short(), r.IsInvite)
	}
	return b.String()
}

// SummaryOf is Summary, and which operation is in force and which epoch may
// be used.
func SummaryOf(l *groups.Log) string {
	s := l.State()
	b := bytes.NewBufferString(Summary(s))
	for _, o := range l.Ops() {
		fmt.Fprintf(b, "%v valid %v\n", o, s.Valid(o.ID))
	}
	for _, e := range l.Eligible() {
		fmt.Fprintf(b, "eligible %s gen %d\n", e.Rekey.Short(), e.Gen)
	}
	fmt.Fprintf(b, "need rekey %v\n", l.NeedRekey())
	return b.String()
}
