// Package model is the rules of groups/SPEC.md a second time, written from
// their text and without a look at the code that implements them: naive,
// everything asked anew for each set, every sentence a line or two that cites
// it. It owns the second opinion on acceptance (R11, R15, R18, R19, R29, R30,
// R40 to R45), on what a set of operations means (R20 to R28), on content (R31)
// and on epochs (R33 to R37).
//
// It refuses to be fast, and to share anything with groups but decoded
// operations, their bodies, the signatures over them and the bounds: where the
// two differ, one is wrong or the text is.
//
// Begin with [New]; [Group.Judge] and [Group.Take] are the ladder,
// [Group.Resolve] is what all that was taken means.
//
// A worked trace: Ann removes Bob while Bob, who does not know, admits Dan. Judge
// finds Bob seated in what his admit had seen (R18) and accepts it. Resolve finds
// the remove written by the owner (R21), so valid (R23); it is neither before
// Bob's base nor after his admit of Dan, so that is void (R24), Dan's inc with
// it (R26), and Dan is no candidate (R27).
package model
