// Package invites is what a pasted passcode is. It owns the passcode's bytes
// and keys, its text among any other text, the hints that say where to begin,
// and the sealed preview of the lobby. It is beside groups: who may come in is
// judged there, on the signed invite; here nothing is believed that the code's
// own letters do not prove.
//
// It refuses codes that are cut off, mistyped (and names the group of
// letters), of a newer version, or none, and hints with names instead of
// addresses. It dials nobody, reads no clock and draws no randomness of its
// own.
//
// Begin with [New] and [Passcode.Message] to invite, with [Extract] to join.
//
// A worked trace: the inviter's node calls New(rand, group, inviter, expiry,
// 0, hints) and writes an invite operation that holds
// Keys().InvitePk(). Message(Zh, "家", "小明") goes through some chat app. The
// newcomer pastes it; Extract folds the text, finds the mark MUTP, checks each
// group's last letter, undoes the base 31, checks the two check bytes and
// returns the Passcode. From its Keys the newcomer has the invite key, which
// greets a sponsor at one of Passcode.Hints, and with the lobby's root opens
// the preview: OpenPreview, which checks it against the Passcode.
//
// The rules are numbered in SPEC.md; comments cite them.
package invites
