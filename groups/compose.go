package groups

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"

	"mutuals/identity"
	"mutuals/identity/wire"
)

// ComposeGenesis writes the operation that founds a group: its author is the
// owner, its id the group's. Found checks it.
func ComposeGenesis(k identity.DeviceKeys, chain identity.Chain, kemPk []byte, nonce [16]byte, cap uint64, policy Policy, nowMs uint64) *Op {
	leaf := chain.Leaf()
	b := &GenesisBody{Owner: leaf.Account, Chain: chain, Pop: k.Prove(leaf), KemPk: kemPk, Nonce: nonce, Cap: cap, Policy: policy, Suite: Suite}
	core := wire.Marshal(controlCore{V: Version, Chain: uint64(Control), HLC: nowMs, Kind: uint64(KindGenesis), Body: wire.Marshal(b), Ext: emptyExt})
	return signed(core, k.Op, wire.Context(wire.Hash(core)))
}

// signed signs a core and decodes it, so that whoever composes holds what
// everybody else will. It panics on a core that does not decode: the
// composer's mistake.
func signed(core []byte, key ed25519.PrivateKey, ctx wire.Context, cipher ...byte) *Op {
	sig := wire.Sign(wire.DomainOp, key, ctx, core)
	o, r := Decode(slices.Concat(core, sig[:], cipher))
	if r != nil {
		panic("internal error: composing an operation: " + r.Error())
	}
	return o
}

// place is where an inc's next operation goes.
type place struct {
	seq   uint64
	prev  wire.OptID
	heads []wire.OpID
	hlc   uint64
}

func (l *Log) nextPlace(inc wire.OpID, chain ChainKind, nowMs uint64) (place, error) {
	at, ok := l.g.find(inc)
	if !ok || !l.g.nodes[at].isInc() {
		return place{}, fmt.Errorf("composing for inc %s: %w", inc.Short(), refuse(ReasonUnknownInc, ""))
	}
	seq, prev, started := l.ChainHead(inc, chain)
	p := place{seq: seq + 1, hlc: NextHLC(nowMs, l.g.nodes[at].op.HLC)}
	if started {
		p.prev = wire.SomeID(prev)
	}
	if chain != Control {
		p.hlc = NextHLC(p.hlc, l.tips[chainID{inc, chain}].hlc)
	}
	if chain == KEM {
		return p, nil
	}
	must := at
	if own := l.controlTip(inc); own != nil {
		must, _ = l.g.find(own.op.ID)
	}
	p.heads = l.headsWith(must, l.tips[chainID{inc, chain}].heads)
	for _, h := range p.heads {
		i, _ := l.g.find(h)
		p.hlc = NextHLC(p.hlc, l.g.nodes[i].key.HLC)
	}
	return p, nil
}

// headsWith picks at most MaxParents of the current heads: those that have
// what must be in the past, then the others in order.
func (l *Log) headsWith(must int, seen []wire.OpID) []wire.OpID {
	if len(l.heads) <= MaxParents {
		return slices.Clone(l.heads)
	}
	has := func(h wire.OpID, i int) bool {
		at, _ := l.g.find(h)
		return at == i || l.g.nodes[at].past.has(i)
	}
	need := []int{must}
	for _, id := range seen {
		if i, ok := l.g.find(id); ok {
			need = append(need, i)
		}
	}
	var out []wire.OpID
	for _, i := range need {
		if slices.ContainsFunc(out, func(h wire.OpID) bool { return has(h, i) }) {
			continue
		}
		at := slices.IndexFunc(l.heads, func(h wire.OpID) bool { return has(h, i) })
		out = append(out, l.heads[at])
	}
	for _, h := range l.heads {
		if len(out) < MaxParents && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, compareIDs)
	return out
}

// ComposeControl writes and signs the inc's next control operation on the
// current heads. body is a body of the kind, by value or pointer. The caller
// then judges and applies it like any other: a refusal by the rules comes
// from there. The error wraps a *Refusal when the inc is unknown or the body
// is out of bounds.
func (l *Log) ComposeControl(inc wire.OpID, key ed25519.PrivateKey, nowMs uint64, kind Kind, body any) (*Op, error) {
	p, err := l.nextPlace(inc, Control, nowMs)
	if err != nil {
		return nil, err
	}
	return l.composeAt(p, inc, key, kind, body)
}

func (l *Log) composeAt(p place, inc wire.OpID, key ed25519.PrivateKey, kind Kind, body any) (*Op, error) {
	raw := wire.Marshal(body)
	fresh := newBody(kind)
	if fresh == nil || kind == KindGenesis {
		return nil, fmt.Errorf("composing %v: not a kind to compose", kind)
	}
	if err := wire.Unmarshal(raw, fresh); err != nil {
		return nil, fmt.Errorf("composing %v: %w", kind, err)
	}
	if r := fresh.bounds(); r != nil {
		return nil, fmt.Errorf("composing %v: %w", kind, r)
	}
	core := wire.Marshal(controlCore{V: Version, Chain: uint64(Control), Inc: wire.SomeID(inc), Seq: p.seq, Prev: p.prev,
		Parents: p.heads, HLC: p.hlc, Kind: uint64(kind), Body: raw, Ext: emptyExt})
	if len(core) > MaxControlCore {
		return nil, fmt.Errorf("composing %v: %w", kind, refuse(ReasonTooLarge, "%d bytes", len(core)))
	}
	return signed(core, key, wire.Context(l.group)), nil
}

// ComposeRekey writes a rekey. Its place must be known before its secret is
// derived, so build is given the ctx, the generation and the recipients, and
// returns eid and wrap root of what it wrapped; an error of build is
// returned.
func (l *Log) ComposeRekey(inc wire.OpID, key ed25519.PrivateKey, nowMs uint64,
	build func(ctx [32]byte, gen uint64, to []Recipient) (eid, wrapRoot [32]byte, err error)) (*Op, error) {
	p, err := l.nextPlace(inc, Control, nowMs)
	if err != nil {
		return nil, err
	}
	past, _ := l.at(p.heads)
	now := *past
	now.kem = l.kem
	to, gen := now.Recipients(p.hlc), past.highestGen()+1
	eid, root, err := build(placeHash(wire.SomeID(inc), p.seq, p.prev, p.heads), gen, to)
	if err != nil {
		return nil, fmt.Errorf("wrapping a new epoch: %w", err)
	}
	return l.composeAt(p, inc, key, KindRekey, RekeyBody{Gen: gen, EID: eid, WrapRoot: root, Count: uint64(len(to))})
}

// ComposeContent writes a message on the current heads. box seals ctLen bytes
// with the AAD and seq it is given; its error is returned.
func (l *Log) ComposeContent(inc wire.OpID, key ed25519.PrivateKey, nowMs uint64, eid [32]byte, salt [16]byte, ctLen int,
	box func(aad []byte, seq uint64) ([]byte, error)) (*Op, error) {
	p, err := l.nextPlace(inc, Content, nowMs)
	if err != nil {
		return nil, err
	}
	c := contentCore{V: Version, Chain: uint64(Content), Inc: wire.SomeID(inc), Seq: p.seq, Prev: p.prev, Heads: p.heads,
		HLC: p.hlc, EID: eid, Salt: salt, CtLen: uint64(ctLen)}
	ct, err := box(aadOf(l.group, c), p.seq)
	if err != nil {
		return nil, fmt.Errorf("sealing content: %w", err)
	}
	if len(ct) != ctLen || ctLen < minCipher || ctLen > maxCipher {
		return nil, fmt.Errorf("sealing content: %w", refuse(ReasonOutOfBounds, "%d bytes sealed, %d announced", len(ct), ctLen))
	}
	hash := sha256.Sum256(ct)
	c.CtHash = hash[:]
	o := signed(wire.Marshal(c), key, wire.Context(l.group), ct...)
	// What was signed by the right key this moment needs no verifying.
	author, _ := l.g.find(inc)
	leaf := l.g.nodes[author].leaf.OpKey
	o.authentic = bytes.Equal(key.Public().(ed25519.PublicKey), leaf[:])
	return o, nil
}

// ComposeKEM announces an inc's next KEM key.
func (l *Log) ComposeKEM(inc wire.OpID, key ed25519.PrivateKey, nowMs uint64, kemPk []byte) (*Op, error) {
	p, err := l.nextPlace(inc, KEM, nowMs)
	if err != nil {
		return nil, err
	}
	core := wire.Marshal(kemCore{V: Version, Chain: uint64(KEM), Inc: wire.SomeID(inc), Seq: p.seq, Prev: p.prev, HLC: p.hlc,
		Gen: p.seq, Hash: sha256.Sum256(kemPk)})
	return signed(core, key, wire.Context(l.group), kemPk...), nil
}

// ContentAAD is what a message's box authenticates besides its plaintext:
// group id and core, with an empty ciphertext hash.
func ContentAAD(group wire.GroupID, o *Op) []byte {
	b := make([]byte, 0, len(group)+len(o.Core))
	b = append(b, group[:]...)
	b = append(b, o.Core[:len(o.Core)-hashLen]...) // the hash is the last of it
	return wire.AppendBytes(b, nil)
}

func aadOf(group wire.GroupID, c contentCore) []byte {
	c.CtHash = nil
	return append(group[:], wire.Marshal(c)...)
}

// PinsFor pins an account's content where this device has it, for every inc
// that began before now: what a remove, leave or silencing carries. Pinning
// below what was shown would hide what people have read.
func (l *Log) PinsFor(a wire.AccountID) []Pin {
	var out []Pin
	for _, i := range l.State().r.of(a).incs {
		out = append(out, l.PinsForInc(l.g.nodes[i].op.ID)...)
	}
	slices.SortFunc(out, func(a, b Pin) int { return compareIDs(a.Inc, b.Inc) })
	return out
}

// PinsForDevices pins the content of every inc of the devices that a
// revocation reaches where this device has it: what a dev-revoke carries.
func (l *Log) PinsForDevices(rev identity.Revocation) []Pin {
	var out []Pin
	for _, i := range l.State().r.of(rev.Account).incs {
		if n := l.g.nodes[i]; rev.Reaches(n.chain) {
			out = append(out, l.PinsForInc(n.op.ID)...)
		}
	}
	slices.SortFunc(out, func(a, b Pin) int { return compareIDs(a.Inc, b.Inc) })
	return out
}

// PinsForInc pins the content of one inc where this device has it: what a
// fault carries. Empty when there is none.
func (l *Log) PinsForInc(inc wire.OpID) []Pin {
	if t, ok := l.tips[chainID{inc, Content}]; ok && t.seq > 0 {
		return []Pin{{Inc: inc, Seq: t.seq, Hash: t.id}}
	}
	return nil
}
