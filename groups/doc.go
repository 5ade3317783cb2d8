// Package groups is what a group is: signed operations, their order, and the
// members, seats, invites and epochs they resolve to. It owns the operation
// codec (op.go, control.go), the ladder every operation climbs (Decode →
// Check → Judge → Apply), the rules of membership (resolve.go, rules.go),
// version vectors and sync messages, and the plaintext of messages.
//
// It refuses to do I/O, to read a clock, to draw randomness or to hold a key:
// all of that comes in as arguments. It refuses every operation that is not
// canonical, not authentic, or that its author had no right to write by what
// the author had seen; each with a [Reason], the one word scoring, logs and
// the API use.
//
// Begin with [Found], which makes a [Log] of a genesis, and with [Log.Judge].
// [Resolve] is the definition of what a set of operations means: a pure
// function of the set, whatever order it came in; [Log.State] is the same
// value, kept up to date.
//
// Where to look: how an admission is judged stands in rules.go (by its past:
// mayAdmit) and validity.go (against everything: admitValid); the answers a
// newcomer gets in admission.go; who has a seat in seats.go, who owns the group
// in owner.go; who may read what in epoch.go; what shows a stranger how somebody
// came in, in proof.go and consent.go; who came through whom in branch.go; what
// was in force at some time, and why not, in audit.go and cause.go.
//
// A worked trace: Ann founds a group and makes an invite; Bob and Cid join by
// it; Ann removes Bob while Bob, offline, admits Dan.
//
//	genesis (Ann) ← invite (Ann) ← admit Bob (Ann) ← admit Cid (Ann) ← remove Bob (Ann)
//	                                              ↖ admit Dan (Bob)
//
// Both last operations name the same parent, so neither knows of the other.
// Each is authorised in what its author had seen (R18) and is accepted by
// everybody. Resolved together, the remove is the act of a strictly higher
// rank (R23): Bob's inc is not live (R27), and Dan's admit, which is not in
// the remove's past, is void (R24). Had Ann acknowledged Dan first, his admit
// would be in the remove's past and stand. A rekey made before the remove is
// no longer eligible (R34): nothing is sent until somebody rekeys for those
// who are left.
//
// The rules are numbered in SPEC.md; comments cite them.
package groups
