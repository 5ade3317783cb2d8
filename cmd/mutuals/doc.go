// Command mutuals is the command line: everything a person or a script does
// with a node, over its local HTTP API and nothing else.
//
// It owns words on a terminal: arguments, tables, questions, exit codes. It
// refuses to know how anything is done: it links node/api only, and a test at
// link level (layout_test.go) keeps libp2p and Badger out of it.
//
// Begin with main.go and command.go; then one file is one verb (join.go,
// send.go, invite.go …). What verbs
// share: [cli] holds the streams and flags of one run, connect.go finds the
// node or starts it, resolve.go turns what people type into ids, output.go
// writes JSON or text, fail.go turns errors into lines and exit codes.
//
// A worked trace: `mutuals send hik "see you at nine"`. connect.go reads
// api.json of the home, starts mutualsd if none answers, and dials its socket;
// resolve.go finds the one group whose name begins with "hik"; send.go POSTs
// the text with a fresh Idempotency-Key; the answer, the stored message, is
// written as one line of text, or with --json as the API gave it. Were "hik"
// ambiguous, fail.go would print
//
//	mutuals: error: "hik" could be any of: Hiking, Hikikomori support
//	hint: give more letters, or the id from mutuals group list
//
// and the exit code would be 2.
package main
