package store

import (
	"encoding/binary"

	W "mutuals/identity/wire"
)

// The one key table (SPEC.md K1). A key is a prefix byte and parts of fixed
// length, at most the last one of free length; numbers are big-endian, so
// that byte order is number order. g4 and inc4 are interned ids (K2); id16 is
// the first half of an operation's id.
//
//	prefix  parts                          value
//	m       name                           format, database id, store epoch, counters
//	i       id32                           u32: the interned number of a group or an incarnation
//	o       g4 inc4 chain1 seq8 id16       id's second half, packed frame     operations, the truth
//	x       g4 id16                        inc4 chain1 seq [order8]           where an operation and its entry lie
//	c       g4 n8                          inc4 inc32 chain1 seq8 id16        control and KEM operations as they arrived
//	h       g4 inc4 chain1                 inc32 seq8 id32 floor8             heads
//	p       g4 id16                        id32, opaque                       parked operations
//	g       g4                             group32, opaque                    groups
//	t       g4 order8 id16                 id's second half, 1, inc4, opaque  the timeline
//	T       g4 inc4                        opaque                             what entries of one incarnation share
//	u       g4                             unread8 mentions8 order8 id32      counters and read mark
//	a       last8                          count4, changes                    the change log
//	s       g4 eid32                       secret32 ms8                       epoch secrets
//	k       g4 gen4                        seed32 ms8                         KEM seeds
//	v       g4 id32                        opaque                             passcodes of own invites
//	w       g4 rekey32 part4               up to 32 KiB                       wrap sets
//	y       g4 op32                        M32                                single message keys
//	l       g4 holder32                    opaque                             what others say is on their disks
//	z       g4 reader32                    opaque                             how far others have read
//	e       direction1 account32           opaque                             follow edges
//	f       kind1 account32                opaque                             profiles, cards, blocks
//	r       peer32                         opaque                             signed peer records
//	q       account32 kind1 key            opaque                             outbox
//	b       id                             opaque                             requests
//	d       id                             opaque                             tasks
//	j       key                            ms8 hash32 status4, body           answers to idempotent requests
//	n       name                           opaque                             settings
const (
	pMeta     = 'm'
	pIntern   = 'i'
	pOp       = 'o'
	pWhere    = 'x'
	pArrived  = 'c'
	pHead     = 'h'
	pParked   = 'p'
	pGroup    = 'g'
	pEntry    = 't'
	pByline   = 'T'
	pCounts   = 'u'
	pChange   = 'a'
	pEpoch    = 's'
	pKEM      = 'k'
	pInvite   = 'v'
	pWraps    = 'w'
	pMsgKey   = 'y'
	pHeld     = 'l'
	pReceipt  = 'z'
	pEdge     = 'e'
	pPerson   = 'f'
	pRecord   = 'r'
	pOut      = 'q'
	pRequest  = 'b'
	pTask     = 'd'
	pAnswer   = 'j'
	pSettings = 'n'
)

// groupPrefixes are the rows that go when a group is forgotten; bylines come after
// the entries that name them, and the group's own row last, so that an interrupted
// forgetting leaves no damage and can be seen.
var groupPrefixes = [...]byte{
	pEntry, pByline, pWhere, pArrived, pOp, pHead, pParked, pCounts,
	pEpoch, pKEM, pInvite, pWraps, pMsgKey, pHeld, pReceipt, pGroup,
}

// num is an interned id: a u32 that stands for 32 bytes within this store; 0
// stands for none.
type num uint32

// key grows a Badger key part by part.
type key []byte

func newKey(prefix byte) key               { return append(make(key, 0, 48), prefix) }
func (k key) num(n num) key                { return binary.BigEndian.AppendUint32(k, uint32(n)) }
func (k key) u8(b uint8) key               { return append(k, b) }
func (k key) u32(n uint32) key             { return binary.BigEndian.AppendUint32(k, n) }
func (k key) u64(n uint64) key             { return binary.BigEndian.AppendUint64(k, n) }
func (k key) half(id W.OpID) key           { return append(k, id[:16]...) }
func (k key) half2(id W.OpID) key          { return append(k, id[16:]...) }
func (k key) id(id [32]byte) key           { return append(k, id[:]...) }
func (k key) name(s string) key            { return append(k, s...) }
func metaKey(name string) key              { return newKey(pMeta).name(name) }
func groupKey(prefix byte, g num) key      { return newKey(prefix).num(g) }
func whereKey(g num, id W.OpID) key        { return groupKey(pWhere, g).half(id) }
func chainKey(g, inc num, chain uint8) key { return groupKey(pOp, g).num(inc).u8(chain) }

func opKey(g, inc num, chain uint8, seq uint64, id W.OpID) key {
	return chainKey(g, inc, chain).u64(seq).half(id)
}

func entryKey(g num, order uint64, id W.OpID) key {
	return groupKey(pEntry, g).u64(order).half(id)
}

// row reads the parts of a key or of a value, front to back. Reading past
// the end leaves it bad; ok is asked once, at the end.
type row struct {
	b   []byte
	bad bool
}

func (r *row) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *row) u8() uint8      { return r.take(1)[0] }
func (r *row) u32() uint32    { return binary.BigEndian.Uint32(r.take(4)) }
func (r *row) u64() uint64    { return binary.BigEndian.Uint64(r.take(8)) }
func (r *row) num() num       { return num(r.u32()) }
func (r *row) id() [32]byte   { return [32]byte(r.take(32)) }
func (r *row) half() [16]byte { return [16]byte(r.take(16)) }
func (r *row) rest() []byte   { p := r.b; r.b = nil; return p }
func (r *row) ok() bool       { return !r.bad && len(r.b) == 0 }
func joinID(a, b [16]byte) W.OpID {
	var id W.OpID
	copy(id[:16], a[:])
	copy(id[16:], b[:])
	return id
}
