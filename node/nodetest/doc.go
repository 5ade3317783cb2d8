// Package nodetest plays groups between whole nodes in one process: each has
// its own home (in memory where there is room, homes.go), a real database in it,
// real rooms, sync and gossip, and a real QUIC stack; only the packets between them travel a simulated network
// (node/mesh/meshtest), and time is virtual (testing/synctest). Partitions,
// losses and restarts happen when a test says so. Tests only.
//
// It refuses to look inside a node that runs: what it compares is what the API
// shows, member by member ([Cluster.Difference]), so a passing run is one that
// users would have called right. Of a node that is off it reads the home, as a
// thief would ([Cluster.Disk]), and writes there nothing but addresses
// ([Cluster.Acquaint]).
//
// Begin with [Play], which gives a test a cluster in a bubble and ends it; with
// [Cluster.Perform] nodes play the scenarios that groups are told.
//
// A worked trace:
//
//	nodetest.Play(t, nodetest.Options{Seed: 7}, func(c *nodetest.Cluster) {
//		c.Found(c.Add("Ann"), 30)      // Ann makes an account and a group
//		code := c.Invite(c.People[0])  // and a passcode for it,
//		bo := c.Add("Bo")
//		c.Join(bo, code)               // by which Bo gets a seat;
//		c.Say(bo)                      // Bo says 300 bytes,
//		c.Settle(15 * time.Second)     // and both hold the same group.
//	})
//
// Play prints the seed. The same seed makes the same people do the same
// things at the same virtual times; keys, and which of two packets of one
// instant goes first, are drawn anew, so a failure that hangs on those may
// need a few runs with its seed.
package nodetest
