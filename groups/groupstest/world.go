package groupstest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
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
	NowMs  uint64
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
	Silent  bool // keeps no log: it only joins, and is admitted
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
	p := &Person{Name: name, Account: root.Account(), Keys: keys, KEMSeed: seed}
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
		o, err := l.ComposeRekey(p.Inc, p.Keys.Op, w.NowMs, func(ctx [32]byte, gen uint64, to []groups.Recipient) (eid, root [32]byte, err error) {
			return sha256.Sum256(ctx[:]), sha256.Sum256(eid[:]), nil
		})
		return o, refusal(err)
	}
	o, err := l.ComposeControl(p.Inc, p.Keys.Op, w.NowMs, kind, body)
	return o, refusal(err)
}

func refusal(err error) *groups.Refusal {
	if err == nil {
		return nil
	}
	return &groups.Refusal{Reason: groups.ReasonBadBody, Detail: err.Error()}
}

// own judges p's operation in its log and spreads it when it is taken.
func (w *World) own(p *Person, o *groups.Op) *groups.Refusal {
	j := p.Log.Judge(o, w.NowMs)
	if j.Verdict != groups.Accept && j.Verdict != groups.Void {
		w.Refused[j.Reason]++
		return &groups.Refusal{Reason: j.Reason, Detail: j.Detail}
	}
	p.Log.Apply(o)
	w.Ops = append(w.Ops, o)
	w.NowMs++
	if !p.Offline {
		for _, q := range w.People {
			if q != p && !q.Offline && q.Log != nil {
				w.Give(q, o)
			}
		}
	}
	return nil
}

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
			case groups.Park, groups.Hold:
				left = append(left, o)
			case groups.Reject:
				w.Refused[j.Reason]++
			}
		}
		p.parked = left
	}
}

// Online brings somebody back: all who are online then know what any knew.
func (w *World) Online(p *Person) {
	p.Offline = false
	for _, a := range w.People {
		for _, b := range w.People {
			if a != b && !a.Offline && !b.Offline && a.Log != nil && b.Log != nil {
				w.Give(b, a.Log.Ops()...)
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
