// Package store is what this device remembers, and the only room that knows
// Badger. It owns the table of keys (keys.go), the one way to write
// ([Store.Update]), the arrival-numbered change log that everything durable
// is told by ([Store.Tail]), and the care of the files on disk: one process
// at a time, a numbered format, a sentinel against lost tables, a guard
// against a full disk.
//
// It refuses to know what its values mean: ids, numbers and orders are typed,
// the rest is opaque bytes that the rooms above encode. It decides nothing
// about operations; groups does, and store keeps what was decided. It refuses
// to open a database that a second process holds ([ErrInUse]), that a newer
// program wrote ([ErrNewerFormat]), or whose tables Badger would delete
// ([ErrDamaged]); and it refuses writes before the disk is full
// ([ErrDiskFull]), because a full disk kills the process.
//
// Begin with [Open], then [Store.Update] and [Store.View].
//
// A worked trace: a message arrives. The room calls
//
//	s.Update(ctx, func(tx *store.Tx) error {
//		tx.PutOp(group, inc, 1, 7, id, frame)             // the truth
//		tx.PutHead(group, inc, 1, store.Head{Seq: 7, ID: id}) // how far the chain goes
//		tx.PutEntry(group, order, id, by, entry)          // what people see, and by whom
//		tx.Change(store.Change{Type: "message.created", …})  // who must be told
//		…
//	})
//
// The function joins those of other callers in one Badger transaction, which
// is synced ([Store.Write] leaves that for later: a message of others, which they
// send again); its change gets the number 42; Update returns; a web page's
// Tail(ctx, 41, …) wakes and reads change 42 back from the database. Nothing
// is shown that is not written, and a crash leaves all four rows or none.
//
// The rules are numbered in SPEC.md; comments cite them.
package store
