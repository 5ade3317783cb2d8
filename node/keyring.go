package node

import (
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// keyring holds the secrets of one group that this device may read under,
// with what was derived from them: deriving costs more than opening.
type keyring struct {
	group  wire.GroupID
	epochs map[[32]byte]*epochKeys       // by eid
	single map[wire.OpID]seal.MessageKey // single messages handed to a newcomer
	kem    map[uint32]kemSeed            // own KEM seeds by kemSlot
	byEID  map[[32]byte]seal.Keys        // what all gave last; nil once that has changed
}

type epochKeys struct {
	secret  seal.Secret
	keys    seal.Keys
	senders map[wire.OpID]seal.SenderKey
	ms      uint64 // when it came
}

func newKeyring(group wire.GroupID) *keyring {
	return &keyring{
		group:  group,
		epochs: map[[32]byte]*epochKeys{},
		single: map[wire.OpID]seal.MessageKey{},
		kem:    map[uint32]kemSeed{},
	}
}

// add takes a secret in if it is that of the epoch (groups/seal/SPEC.md S8).
func (k *keyring) add(ctx, eid [32]byte, e seal.Secret, nowMs uint64) bool {
	keys, ok := seal.Confirm(k.group, ctx, e, eid)
	if ok {
		k.byEID = nil
		k.epochs[eid] = &epochKeys{secret: e, keys: keys, senders: map[wire.OpID]seal.SenderKey{}, ms: nowMs}
	}
	return ok
}

// erase forgets an epoch's secret and what was derived from it.
func (k *keyring) erase(eid [32]byte) {
	k.byEID = nil
	delete(k.epochs, eid)
}

// all lists the keys of the epochs by eid, not to be written.
func (k *keyring) all() map[[32]byte]seal.Keys {
	if k.byEID == nil {
		k.byEID = make(map[[32]byte]seal.Keys, len(k.epochs))
		for eid, e := range k.epochs {
			k.byEID[eid] = e.keys
		}
	}
	return k.byEID
}

func (k *keyring) has(eid [32]byte) bool { return k.epochs[eid] != nil }

// message gives the key of one message, if the epoch or the message itself was
// given to this device.
func (k *keyring) message(op, inc wire.OpID, eid [32]byte, seq uint64, salt [16]byte) (seal.MessageKey, bool) {
	if e := k.epochs[eid]; e != nil {
		s, ok := e.senders[inc]
		if !ok {
			s = e.keys.Sender(inc)
			e.senders[inc] = s
		}
		return s.Message(seq, salt), true
	}
	m, ok := k.single[op]
	return m, ok
}
