// Command bench measures mutuals as its users meet it, beside its limits in
// the same run on the same machine (the tables of BENCHMARKS.md).
//
// It owns the figures: it starts real daemons, each in its own process and
// home on loopback, and speaks to them over the HTTP API alone, as an app
// would. A message counts as delivered when it is on the other node's event
// stream, and what is there is in that node's log: it outlives the process, and is
// synced within 200 ms (store/SPEC.md U5). It refuses to look inside:
// what needs a node's insides is a benchmark of that package, which rooms.go
// runs for the table.
//
// A limit is the cheapest program that does the part which cannot be left out:
// raw GossipSub between as many processes, told to send and telling what came
// over pipes; a dial and three round trips; one synced transaction; a libp2p
// host that does nothing.
//
// Begin with main.go, which lists the measurements in their order; each has its
// file. A worked trace: measureLatency posts 300 bytes of text to one of ten
// daemons, notes when each of the other nine event streams shows them, does so
// again a few hundred times, then lets ten bare processes do the like, and adds
// two rows to the report, which main writes to bench/ as JSON and, for a full
// run, to BENCHMARKS.md.
//
//	make bench         all; homes of a million messages are written for it, so
//	                   about a quarter of an hour
//	make bench-quick   under three
//	make soak-memory   M2 over time: fails if a node that is used grows
package main
