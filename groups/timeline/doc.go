// Package timeline turns decrypted content into what people see: entries in
// an order. It owns the shape of an entry, the order, and the words for why
// something is shown folded.
//
// It refuses to judge: an operation that reached it was accepted, and stays
// so whatever its text holds. What it cannot read becomes an entry that says
// so; nothing is dropped without a word. It keeps no state: the same
// operation, with the same neighbours known, folds to the same entry, so a
// projection can be thrown away and built again.
//
// Begin with [Fold]; [Unread] for what could not be decrypted; [Key] for the
// order.
//
// A worked trace: Lin's message names Bo's in its `after`, but Lin's clock is
// two minutes slow. Bo's entry stands at 12:02:00.000; Lin's hlc is 12:00:10.
// Fold asks known for Bo's place, sets OrderMs to 12:02:00.001, and the
// answer stands below the question. If Bo's message arrives after Lin's, Lin's
// entry lists it in Awaits; the room calls Reorder once it is there, and
// retracts and adds the entry in the same transaction.
//
// The rules are numbered in SPEC.md beside this file.
package timeline
