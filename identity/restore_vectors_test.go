package identity

import (
	"bytes"
	"encoding/hex"

	"mutuals/identity/wire"
)

// restoreHello is a hello of device k, with whatever the box is to hold.
func restoreHello(k DeviceKeys, chain Chain, pop Pop, under wire.AccountID, r, m wire.PeerKey) RestoreHello {
	h := RestoreHello{V: Version}
	if _, err := testRand(60).Read(h.Nonce[:]); err != nil {
		panic(err)
	}
	h.Box = boxSeal(restoreKey(under, r, m), h.Nonce, wire.Marshal(restoreProof{Chain: chain, Pop: pop}), nil)
	return h
}

func restoreHelloVectors() []vector {
	ada, bo, m := newPerson(1), newPerson(2), newKeys(3).PeerKey()
	a, r := ada.root.Account(), ada.keys.PeerKey()
	pop := ada.keys.Prove(ada.chain.Leaf())
	base := restoreHello(ada.keys, ada.chain, pop, a, r, m)
	with := func(a wire.AccountID, r, m wire.PeerKey) map[string]string {
		return map[string]string{"account": a.String(), "r": r.String(), "m": m.String()}
	}
	v := func(reason, name string, h RestoreHello, with map[string]string) vector {
		return vector{Name: name, Frame: hex.EncodeToString(wire.Marshal(h)), With: with, Reason: reason}
	}
	holding := func(chain Chain, pop Pop) RestoreHello { return restoreHello(ada.keys, chain, pop, a, r, m) }
	other := newKeys(4)
	longer, err := ada.chain.Extend(ada.keys, NewCertificate(a, other, 2, 0, testMs))
	if err != nil {
		panic(err)
	}
	unsigned := bytes.Clone(wire.Marshal(ada.chain))
	unsigned[len(unsigned)-1] ^= 1
	var forged Chain
	if err := wire.Unmarshal(unsigned, &forged); err != nil {
		panic(err)
	}
	flipped := base
	flipped.Box = bytes.Clone(base.Box)
	flipped.Box[5] ^= 1
	later := base
	later.V = 2
	zero := base
	zero.V = 0
	frame := wire.Marshal(base)
	noise := base
	noise.Box = boxSeal(restoreKey(a, r, m), base.Nonce, []byte{0x80}, nil)
	return []vector{
		v("", "restore hello", base, with(a, r, m)),
		v("", "tried by another account", base, with(bo.root.Account(), r, m)),
		v("", "shown to another device", base, with(a, r, newKeys(5).PeerKey())),
		v("", "shown over another's connection", base, with(a, other.PeerKey(), m)),
		v("", "a bit of the box flipped", flipped, with(a, r, m)),
		v("proof", "a certificate of another peer key", restoreHello(ada.keys, ada.chain, pop, a, other.PeerKey(), m), with(a, other.PeerKey(), m)),
		v("proof", "proofs over another certificate", holding(ada.chain, ada.keys.Prove(bo.chain.Leaf())), with(a, r, m)),
		v("chain", "a certificate of another account", holding(bo.chain, bo.keys.Prove(bo.chain.Leaf())), with(a, r, m)),
		v("chain", "a device that another device added", holding(longer, other.Prove(longer.Leaf())), with(a, r, m)),
		v("chain", "no certificate", holding(nil, pop), with(a, r, m)),
		v("signature", "a certificate that the root did not sign", holding(forged, pop), with(a, r, m)),
		v("malformed", "something else in the box", noise, with(a, r, m)),
		v("newer", "version 2", later, with(a, r, m)),
		v("bounds", "version 0", zero, with(a, r, m)),
		bad("newer", "version 2 of another shape", wire.Marshal([]any{uint64(2), "anything"})),
		bad("malformed", "nothing", nil),
		bad("malformed", "cut off", frame[:len(frame)-1]),
		bad("malformed", "a byte too many", append(bytes.Clone(frame), 0)),
		bad("not canonical", "the array's length in two bytes", append([]byte{0x98, 0x03}, frame[1:]...)),
		bad("bounds", "longer than 1 KiB", make([]byte, MaxRestoreHello+1)),
	}
}

func readRestoreHello(v vector, frame []byte) (map[string]string, error) {
	h, err := DecodeRestoreHello(frame)
	if err != nil {
		return nil, err
	}
	var a wire.AccountID
	if err := a.UnmarshalText([]byte(v.With["account"])); err != nil {
		return nil, err
	}
	r, err := wire.ParsePeerKey(v.With["r"])
	if err != nil {
		return nil, err
	}
	m, err := wire.ParsePeerKey(v.With["m"])
	if err != nil {
		return nil, err
	}
	chain, _, ok, err := h.Open(a, r, m)
	if err != nil {
		return nil, err
	}
	if !ok {
		return map[string]string{"sealed": "for somebody else"}, nil
	}
	return map[string]string{"device": chain.Leaf().OpKey.String(), "peer": chain.Leaf().PeerKey.String()}, nil
}
