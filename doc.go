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
//	node            a running device: one file per thing it can do
//	node/mesh       the only room that knows libp2p; carries opaque frames between peer keys
//	node/api        the shapes, codes and client of the local HTTP interface
//	node/server     HTTP: guard, problems, events, one file per verb
//	cmd/mutualsd    the daemon
//	cmd/mutuals     the command line, a client of node/api and of nothing else
//
// # One message, from a keyboard to other screens
//
//	cmd/mutuals/send.go      POST /api/v1/groups/{g}/messages
//	node/server/send.go      decodes, calls one method of the node
//	node/send.go             asks the group's room (node/room.go), the one door for operations
//	groups/seal              seals the text under the epoch's key
//	groups/compose.go        makes the signed operation
//	groups                   Decode → Check → Judge → Apply: the same ladder as for what arrives
//	store                    one synced transaction: operation, heads, timeline, change record
//	node/mesh                publishes the frame; members' nodes climb the same ladder
//	store.Tail               wakes node/server/events.go, which every screen reads
//
// # Where to look first
//
//	where a passcode is parsed        invites/text.go (found in pasted text), invites/passcode.go (its bytes)
//	where an admission is judged      groups/rules.go and groups/resolve.go, rules numbered in groups/SPEC.md
//	where a message is stored         node/ingest.go, the one transaction; store/keys.go is the table of keys
//	what counts as mutual             identity/mutual.go, and nowhere else
//	what may travel, and how large    limits.go or bounds.go of the room
//
// Each room's doc.go says what it owns, what it refuses, how to begin, and
// walks through one example. SPEC.md beside the code numbers the rules that
// comments cite.
package mutuals
