package store

import W "mutuals/identity/wire"

// Out is something to be handed to another account as soon as one of its devices
// can be reached: an edge, a profile, an offer, an answer.
type Out struct {
	To    W.AccountID
	Kind  uint8  // as node numbers what it sends
	Key   string // with To and Kind its name: a newer one replaces an older
	Frame []byte // what is sent, tries and times, as node encodes them
}

// OutName names something in the outbox.
type OutName struct {
	To   W.AccountID
	Kind uint8
	Key  string
}

// Name is what a newer one replaces it by.
func (o Out) Name() OutName { return OutName{o.To, o.Kind, o.Key} }

// PutOut puts something into the outbox.
func (tx *Tx) PutOut(o Out) error {
	k, err := outKey(o)
	if err != nil {
		return err
	}
	return tx.set(k, o.Frame)
}

// EachOut calls fn for what is to be handed to an account, by kind and key.
func (tx *Tx) EachOut(to W.AccountID, fn func(Out) error) error {
	return tx.eachOut(newKey(pOut).id(to), fn)
}

// EachOutbox calls fn for everything in the outbox, by account.
func (tx *Tx) EachOutbox(fn func(Out) error) error { return tx.eachOut(newKey(pOut), fn) }

func (tx *Tx) eachOut(prefix key, fn func(Out) error) error {
	return tx.scan(span{prefix: prefix}, func(k row, v []byte) error {
		o := Out{To: k.id(), Kind: k.u8(), Key: string(k.rest()), Frame: v}
		if k.bad {
			return damaged("outbox row")
		}
		return fn(o)
	})
}

// DeleteOut takes something out of the outbox, named by To, Kind and Key.
func (tx *Tx) DeleteOut(o Out) error {
	k, err := outKey(o)
	if err != nil {
		return err
	}
	return tx.del(k)
}

func outKey(o Out) (key, error) {
	return named(newKey(pOut).id(o.To).u8(o.Kind), o.Key)
}
