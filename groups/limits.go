package groups

import (
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// Bounds of operations and of a group (SPEC.md R3). Each is checked where
// bytes come in, before anything is allocated or computed for them, or in
// the past of an operation, so that everybody finds the same.
const (
	// Version is the version of every core this package writes.
	Version = 1
	// Suite is the suite of protocol section 5: X-Wing, HKDF-SHA256,
	// ChaCha20-Poly1305.
	Suite = 1

	// MaxContentCore bounds a content core: 16 heads of 34 bytes, five
	// hashes and numbers are under 1 KiB; the rest is room.
	MaxContentCore = 2 << 10
	// MaxControlCore bounds a control core: what a genesis fits into that a
	// newcomer reads before it knows anything, and 1 000 devices' pins do
	// too (1 000 × 72 bytes).
	MaxControlCore = 128 << 10
	// MaxKEMCore bounds a KEM core: three hashes and numbers.
	MaxKEMCore = 256
	// MaxJoinRequest bounds an encoded join request: a KEM key of 1.2 KB and
	// three certificates take 2.5 KiB.
	MaxJoinRequest = 16 << 10
	// MaxProof bounds an encoded consent proof: a thousand admissions between
	// the founder and the member, at 4 KiB each.
	MaxProof = 4 << 20
	// MaxProofFrames bounds the operations of a proof, as wire bounds an array.
	MaxProofFrames = wire.MaxElements
	// MaxParents bounds parents and control heads: with more heads somebody
	// writes an ack first.
	MaxParents = 16

	// MinCap and MaxCap bound a group's cap: below two nobody talks, above
	// 500 a rekey for everybody's devices is no longer cheap.
	MinCap = 2
	MaxCap = 500
	// DefaultCap is the cap of a group made without a word about it.
	DefaultCap = 100
	// MaxWaitlist bounds how many may wait: no more than may sit.
	MaxWaitlist = MaxCap
	// MaxDevices bounds the live devices of a group: two for each member of
	// the largest.
	MaxDevices = 1000
	// MaxDevicesOf bounds the live devices of one account that its own devices
	// add: what a person uses. MaxRootedOf bounds them when the root signed
	// the new one: whoever lost all five still gets back in, some times.
	MaxDevicesOf = 5
	MaxRootedOf  = 16
	// MaxHarbors bounds the harbors in office: each is handed every wrap set.
	MaxHarbors = 16
	// MaxQuota bounds what a harbor is asked to keep, in bytes: 16 TiB.
	MaxQuota = 1 << 44
	// MaxEvidence bounds the cores of one side of a fault: the operation and
	// its successors up to a signed one, which segments have within that many.
	MaxEvidence = 24
	// SignedEvery is how far apart the signatures of a content chain stand that
	// every holder has verified and keeps: near enough for evidence, and few
	// enough that catching up costs hashes, not signatures.
	SignedEvery = 16
	// MinSuccessors is how many admins must sign a succession at least: one
	// alone would be a coup.
	MinSuccessors = 2
	// MaxUses bounds an invite's uses by the largest cap.
	MaxUses = 500
	// MaxListed bounds the incs an invite lists.
	MaxListed = 64
	// MaxHistoryDays is the last number of days that is one; HistoryAll
	// means all history.
	MaxHistoryDays = 3650
	// HistoryAll gives newcomers everything, HistoryNone what is said from
	// their joining on.
	HistoryAll  = 65535
	HistoryNone = 0
	// MaxSucceedDays bounds the owner's silence before a succession: ten
	// years are as good as never.
	MaxSucceedDays = 3650
	// MaxPins bounds the pins of one operation: two control operations of
	// one inc cannot pin more incs than a group has devices.
	MaxPins = MaxDevices
	// MaxSleepProofOf and MaxSleepProof bound the sleep-proof invites a rekey
	// wraps for, of one inviter and in all: each is a key outside the group.
	MaxSleepProofOf = 3
	MaxSleepProof   = 16

	// MaxAheadMs is how far ahead of our clock an operation's may be before
	// it is held: clocks of phones are right within minutes.
	MaxAheadMs = 5 * 60 * 1000
	// FarAheadMs is where it is not even kept: nobody's clock is a day off
	// unless it is wrong or lies.
	FarAheadMs = dayMs
	// RequestMs is how old a join request may be at its admit, by hlc: an
	// approval may take a week.
	RequestMs = 7 * dayMs

	// AcceptMs is how long an heir's consent holds, by the transfer's hlc.
	AcceptMs = 30 * dayMs
	// VotesMs is how long the admins' words for an heir hold.
	VotesMs = 7 * dayMs
	// SettleMs is how long after a transfer or succession the others must
	// have written for it to be settled: long enough that a rival made at the
	// same time has come by.
	SettleMs = 3 * dayMs

	minCipher = seal.MinSealed
	maxCipher = seal.MaxSealed

	sigLen = 64
)
