// Package node is a running device: it wires identity, groups, store and mesh
// into what a person can do. It owns the home folder, one room for each group,
// the dialogues between devices (PROTOCOLS.md), and a method for each verb of
// the API.
//
// It refuses to let anything past a room: every operation, own or others', goes
// up the ladder Decode, Check, Judge, Apply on the room's one goroutine and is
// written in one transaction with what it changes for people. It shows nothing
// that is not written, publishes own operations only once they are synced, and
// says only of what is synced that it holds it.
//
// Begin with [Open]; then the file named like the verb: join.go asks for a
// seat, sponsor.go gives one, speak.go seals and opens messages, ingest.go
// judges what comes in. room.go is the spine, and commit.go the one place
// that writes operations and messages to disk.
//
// A worked trace, of a message: Send (message.go) hands room.speak a function;
// on the room's goroutine say (speak.go) seals the text under the epoch of the
// moment and composes the operation; takeOwn judges it like anybody's; commit
// (commit.go) writes operation, head, timeline entry and change record in one
// synced transaction; publish (gossip.go) sends it to the topic, and straight
// to linked members whom that does not reach. At another member judgeGossip
// (ingest.go) checks sender, author and signature and lets it pass; deliver
// queues it; the room judges and opens it, and commits. Whoever reads events
// there is woken by that commit. The sync is left for later: its have (have.go)
// waits for it, comes back within a second, and the message counts as held.
package node
