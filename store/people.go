package store

import W "mutuals/identity/wire"

// EdgeDirection is the side of a follow edge this account stands on.
type EdgeDirection uint8

const (
	// EdgeOut edges were made by this account: whom it follows.
	EdgeOut EdgeDirection = iota
	// EdgeIn edges were made by others: who follows it.
	EdgeIn
)

// PutEdge stores the signed edge between this account and another.
func (tx *Tx) PutEdge(d EdgeDirection, other W.AccountID, edge []byte) error {
	return tx.set(newKey(pEdge).u8(uint8(d)).id(other), edge)
}

// Edge returns the signed edge between this account and another.
func (tx *Tx) Edge(d EdgeDirection, other W.AccountID) ([]byte, bool, error) {
	return tx.get(newKey(pEdge).u8(uint8(d)).id(other))
}

// EachEdge calls fn for each edge of one direction, by account id.
func (tx *Tx) EachEdge(d EdgeDirection, fn func(other W.AccountID, edge []byte) error) error {
	return tx.scan(span{prefix: newKey(pEdge).u8(uint8(d))}, func(k row, v []byte) error {
		k.u8()
		return fn(k.id(), v)
	})
}

// DeleteEdge forgets the edge between this account and another.
func (tx *Tx) DeleteEdge(d EdgeDirection, other W.AccountID) error {
	return tx.del(newKey(pEdge).u8(uint8(d)).id(other))
}

// PersonKind says what a row about an account is.
type PersonKind uint8

const (
	// Profile is the newest signed profile.
	Profile PersonKind = iota
	// Card is the newest signed contact card.
	Card
	// Block marks an account this one wants nothing of.
	Block
	// Note is what this account's user keeps about the other: nickname,
	// whether the safety number was compared.
	Note
	// Unblock tells when an account that was blocked was heard again.
	Unblock
	// Revoked is which devices of an account ended.
	Revoked
)

// PutPerson stores what is known of an account.
func (tx *Tx) PutPerson(kind PersonKind, a W.AccountID, data []byte) error {
	return tx.set(newKey(pPerson).u8(uint8(kind)).id(a), data)
}

// Person returns what is known of an account.
func (tx *Tx) Person(kind PersonKind, a W.AccountID) ([]byte, bool, error) {
	return tx.get(newKey(pPerson).u8(uint8(kind)).id(a))
}

// EachPerson calls fn for each account with a row of that kind.
func (tx *Tx) EachPerson(kind PersonKind, fn func(a W.AccountID, data []byte) error) error {
	return tx.scan(span{prefix: newKey(pPerson).u8(uint8(kind))}, func(k row, v []byte) error {
		k.u8()
		return fn(k.id(), v)
	})
}

// DeletePerson forgets one kind of row of an account.
func (tx *Tx) DeletePerson(kind PersonKind, a W.AccountID) error {
	return tx.del(newKey(pPerson).u8(uint8(kind)).id(a))
}

// PutRecord stores the newest addresses of a peer: a signed peer record, or
// what node knows besides.
func (tx *Tx) PutRecord(peer W.PeerKey, data []byte) error {
	return tx.set(newKey(pRecord).id(peer), data)
}

// Record returns the addresses of a peer.
func (tx *Tx) Record(peer W.PeerKey) ([]byte, bool, error) {
	return tx.get(newKey(pRecord).id(peer))
}

// EachRecord calls fn for each peer whose addresses are known.
func (tx *Tx) EachRecord(fn func(peer W.PeerKey, data []byte) error) error {
	return tx.scan(span{prefix: newKey(pRecord)}, func(k row, v []byte) error { return fn(k.id(), v) })
}

// DeleteRecord forgets the addresses of a peer.
func (tx *Tx) DeleteRecord(peer W.PeerKey) error { return tx.del(newKey(pRecord).id(peer)) }
