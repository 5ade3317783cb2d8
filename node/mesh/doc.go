// Package mesh is the room that knows libp2p. It links this device to other
// devices, carries opaque frames between them over streams and over gossip,
// and keeps out whoever the callers do not name.
//
// It speaks peer keys (wire.PeerKey), addresses as text, and bytes. It knows
// no accounts, groups or operations: whether a peer may hear a topic, and
// whether a frame is worth passing on, are callbacks (Gate). It stores
// nothing; addresses, ports and peer keys are kept by the caller.
//
// Begin with New and a Config that holds the device's peer key; everything
// that was started stops in Close. Then:
//
//   - Keep(peer, addrs) holds a link to a peer open by redialling; Connect
//     dials once; Config.OnPeer tells who came and went.
//   - Handle and Open carry request and answer protocols (join, direct, key,
//     sync) as length-prefixed frames on a Stream.
//   - Join(topic, gate) enters a gossip topic; Topic.Publish reaches every
//     subscribed member that is linked.
//   - Refresh(peer) must be called whenever a gate's answer for a peer changes.
//
// # By what way
//
// Two devices that cannot dial each other meet through a relay (relay.go): the
// one behind its router keeps a place at a linked peer that serves as a relay
// (relayservice.go), and its addresses there stand in its signed record. Over
// the relayed link both then dial each other at once (DCUtR), again whenever one
// learns by what address its router shows it (punch.go); where the routers let
// that through the link is direct, else it stays relayed. Links that a moved or
// woken machine left dead are found in wake.go. A relay may limit
// bytes: such a link is [PeerInfo].Limited, carries streams and no gossip. With
// RelayOnly a device has no other address, and the gater (gater.go) lets
// nothing be dialled but the relays that the configuration names.
//
// # Without an address
//
// Publish lists this device under keys that only some can compute, and Find
// looks up who is listed: in a Kademlia table kept by devices that anybody can
// dial (dht.go). Those are strangers. The table sees a host of its own
// (aside.go), by which they get few links, no protection and a book of their
// own for what they tell; records kept for others are bounded (listing.go). It
// is open only while it is used.
//
// # In the lobby
//
// EnterLobby enters a topic of a second GossipSub (lobby.go), on which the holders
// of a passcode and those who let them in meet. It has no members and none of the
// gates below: who is there for others carries topics for whoever is linked
// (carry.go), passes on only what the topic's own key signed (Config.Lobby), and
// bounds the rest. What stands in place of the gates is a host that shows GossipSub
// only those who carry, and only while there is a topic to tell of (hall.go).
//
// # The four gates
//
// GossipSub has no membership: it hands its topic names to every peer that
// speaks its protocol, sends to whoever subscribes, and accepts from whoever
// publishes. Its peer filter is consulted at four places of many and is no
// gate. Four together are, and each stops something
// that the other three let through (gates_test.go shows all four):
//
//	gate            in          what only it stops
//	protocols       door.go     a passer-by learning the names of our topics
//	subscriptions   subs.go     a neighbour, linked for another group,
//	                            subscribing to a topic it is no member of
//	validator       judge.go    that neighbour publishing into the topic
//	removal         subs.go     a removed member keeping the place in the
//	                            mesh that it won while it was a member
//
// # A frame, step by step
//
// A and B are members; A's room calls topic.Publish(frame).
//
//  1. Publish checks the length (MaxGossip), puts A's circle before the frame,
//     which names all whom it reaches (circle.go), and hands both to GossipSub,
//     whose message id is the frame's SHA-256.
//  2. GossipSub sends it at once to every peer whose subscription has passed
//     A's subscription gate: no waiting for a heartbeat to build the mesh. To
//     a member whose subscription arrives in the next 3 s it goes then
//     (recent.go).
//  3. At B the frame arrives on the one stream the door let A open. Before
//     anything is marked as seen, inspect drops it if A may not speak here.
//  4. The validator calls B's Gate.Judge with A's key and the frame: decode,
//     check, judge in the room's words. Reject costs A score; Ignore drops
//     it; Accept passes it on to B's mesh; Keep, for what its author has handed
//     to all with whom B is linked, does not.
//  5. What was accepted or kept goes to Gate.Deliver with the checked value, on
//     the same goroutine.
//
// If B's queue was full the frame is lost here, Stats counts it and
// Gate.Missed is called: gossip is a hint, sync is the delivery.
//
// # A newly admitted member
//
// A subscription is announced once. If C announces before B has learnt that C
// was admitted, or before B has joined the new epoch's topic, GossipSub alone
// would drop it for good. Here the announcement is remembered; Refresh (or
// Join) judges it again and replays it into GossipSub from inside
// (inbound.go). No packet is sent and no link is torn down for it.
package mesh
