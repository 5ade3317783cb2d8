// Package groupstest plays groups without a network: people with devices,
// each with a log of its own, who write, meet and miss each other. It owns
// the scenario language (scenario.go: its steps, play.go: what they do,
// expect.go: what must come out), in which groups, the simulated cluster
// and shuffled delivery are told the same stories, random programs with
// liars in them (random.go), and all of a group against its owner (siege.go).
//
// It refuses nothing a liar could do: a person may write on any past it ever
// held, with any clock.
//
// Begin with [Parse] and [Scenario.Play], or [NewWorld].
//
// A worked trace, of a file in groups/testdata/scenarios:
//
//	people ann bob cid
//	group ann cap=2 waitlist=0
//	pull ann bob
//	refused group full: pull ann cid
//	expect seated ann bob
//
// Play makes three accounts, founds a group in Ann's log, writes Bob's admit
// and gives it to everybody online, sees Cid's refused with that reason, and
// compares the seats. Then every order of delivery must give what Ann has.
package groupstest
