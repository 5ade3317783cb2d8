// Package mutuals is the map of the project: a messenger for groups of people
// who know each other, with no server. The package itself holds no code, only
// this map and the test that keeps it true (layout_test.go).
//
// # Rooms
//
// Six folders hold everything. Each room may use the rooms to its left:
//
//	identity ← groups ← store ← node ← cmd      (invites stands beside groups)
//
//	identity        who someone is and who follows whom: account, words, device, edge, the one mutual check
//	identity/wire   the lowest room: canonical CBOR, typed ids, signing domains, the armour of pasted codes
//	invites         what a pasted passcode is: payload, text, extraction, link
//	groups          what a group is: operations, their order, who is a member; pure functions of a set
//	groups/seal     who can read: epoch secrets, wraps, the one AEAD box, padding
//	groups/timeline what people see: the fold of content into entries
//	store           what this device remembers; the only room that knows Badger
//	store/mapped    lets go of pages of mapped files: the program's and the tables', at rest
//	node            a running device: one file per thing it can do
//	node/mesh       the only room that knows libp2p; carries opaque frames between peer keys
//	node/api        the shapes, codes and client of the local HTTP interface
//	node/server     HTTP: guard, problems, events, one file per verb
//	cmd/mutualsd    the daemon
//	cmd/mutuals     the command line, a client of node/api and of nothing else
//
// For tests only: groups/groupstest (made-up histories), groups/groupstest/model
// (the rules of groups a second time), node/mesh/meshtest
// (simulated networks), node/nodetest (groups of whole nodes; bench in it is
// make bench).
//
// # One message, from a keyboard to other screens
//
//	cmd/mutuals/send.go      POST /api/v1/groups/{g}/messages
//	node/server/messages.go  decodes, calls one method of the node: Send
//	node/message.go          Send asks the group's room (node/room.go), the one door for operations
//	node/speak.go            say seals the text (groups/seal) under the epoch's key
//	groups/compose.go        makes the signed operation
//	groups                   Decode → Check → Judge → Apply: the same ladder as for what arrives
//	node/commit.go, store    commit: one transaction: operation, heads, timeline, change record
//	node/mesh                publishes the frame; members' nodes climb the same ladder
//	store.Tail               wakes node/server/events.go, which every screen reads
//
// # Where to look first
//
//	where a passcode is parsed        invites/text.go (Extract: found in pasted text), invites/passcode.go (Decode: its bytes);
//	                                  the letters between, with their checks: identity/wire/find.go and armour.go
//	where somebody is let in          node/sponsor.go holds the dialogue; it asks groups/admission.go
//	where a device comes back        node/restore.go asks, node/welcome.go answers (node/PROTOCOLS.md N9)
//	where an admission is judged      groups/rules.go (mayAdmit: by its past), groups/resolve.go (admitValid: by all
//	                                  that is known); rules R19 and R25 of groups/SPEC.md
//	where a message is stored         node/commit.go: take lists the rows, commit writes them in one transaction;
//	                                  store/ops.go writes the operation, store/timeline.go what people see,
//	                                  store/keys.go is the table of keys
//	where members find each other    node/rendezvous.go (what is listed, who is looked for), node/lobby.go (codes),
//	                                  node/mesh/dht.go (the directory); N19
//	how a code with dead addresses    node/seek.go asks, node/ears.go answers, node/mesh/lobby.go and carry.go between;
//	leads to the group                N21, invites/topic.go
//	what a harbor does                node/harbor.go answers, office.go keeps; appoint.go is the owner's side, sleepproof.go
//	                                  codes by which it lets people in; who is in office: groups/harbor.go (R44)
//	what goes over the network        node/PROTOCOLS.md; sync messages in groups/SYNC.md
//	what a command or HTTP call does  cmd/mutuals, node/server, node: the verb's file, or its noun's (send: message.go)
//	what counts as mutual             identity/mutual.go, and nowhere else
//	what may travel, and how large    limits.go or bounds.go of the room
//
// Each room's doc.go says what it owns, what it refuses, how to begin, and
// walks through one example. SPEC.md beside the code numbers the rules that
// comments cite: W and I identity, V invites, R and Y groups, S groups/seal, T
// groups/timeline, N node/PROTOCOLS.md; the store counts its own (K, U, C, D, S,
// F, M, V). Words that are used everywhere:
//
//	inc        incarnation: one device's time in one group, named by the operation that let it in
//	operation  what is signed and kept: control (who is in), content (what is said), KEM (a device's new key)
//	epoch      a group secret and who can read it; a rekey makes one
//	seat       a place under the cap; who is let in above it waits in the waitlist
//	frame      the bytes of one message on a stream or topic, or of one operation
package mutuals
