// Package meshtest puts meshes into a simulated network in virtual time: whole
// nodes with their real QUIC, libp2p and GossipSub, over packets that a
// simulator delays, loses or stops at a partition. Tests only.
//
// Use it inside a testing/synctest bubble, and end everything in it:
//
//	synctest.Test(t, func(t *testing.T) {
//		net := meshtest.NewNet(meshtest.Link{})
//		defer net.Close()
//		m, err := mesh.New(ctx, net.Config(mesh.Config{Key: key}))
//		…
//		defer m.Close()
//		net.Partition([]wire.PeerKey{a, b}, []wire.PeerKey{c})
//		time.Sleep(time.Minute) // virtual
//		net.Heal()
//	})
//
// A minute of 100 nodes at a message a second takes about 7 s. There is QUIC
// only, no TCP and no mDNS. A link that a partition cut is noticed after 30 s
// of silence, as in life.
//
// Bare is something else: libp2p and GossipSub as they come, on real loopback
// sockets, as the limit that benchmarks measure a node against.
package meshtest
