// Package api is what a running node and its users say to each other: the
// JSON shapes of the HTTP API, the closed list of problem codes with their
// words in English and Chinese, and the client that the CLI, the TUI and any
// Go program use. openapi.json is the contract, generated from
// node/server and held to it by a test there.
//
// It owns names and words. It refuses to know how anything is done: it imports
// identity/wire (for the typed ids) and the standard library, so a program
// that links it links neither libp2p nor Badger.
//
// Begin with [FindHome] and [Dial]; then the methods of [Client], or
// [Client.Do] for any route; [Client.Events] follows what happens. A node's
// side begins with [NewProblem].
//
// A worked trace: `mutuals send Hiking hello` calls FindHome(""), reads
// api.json there, dials the unix socket it names, and POSTs a [MessageCreate]
// to /api/v1/groups/{g}/messages. The answer is 201 and a [Message], stored
// and synced; or a [Problem] such as removed, whose Hint is the one next step
// the CLI prints and whose code gives the exit code.
//
// Within v1 shapes only grow: a field is added, never renamed, retyped or
// removed; a code is added at the end of the list and keeps its meaning.
package api
