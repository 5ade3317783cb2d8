package mesh

import (
	"time"

	"golang.org/x/time/rate"
)

// Bounds of the room, each with its reason.
const (
	// MaxGossip is the longest frame on a topic, in bytes: the largest control
	// core with its signature, and room.
	MaxGossip = 160 << 10
	// maxRPC is the longest GossipSub packet: one frame and its wrapping.
	maxRPC = MaxGossip + 8<<10
	// maxControl bounds GossipSub's own chatter in a packet. All topics of a peer
	// come in one when it links, each in 51 bytes: so maxAnnounced and some room.
	maxControl = 128 << 10
	// maxAnnounced is how many topics of one peer are remembered: 200 groups,
	// each with the topics of the 8 epochs it listens to at most.
	maxAnnounced = 2048
	// frameChunk is how much of a frame is given memory before any of it came.
	frameChunk = 16 << 10
	// maxRecord is the longest signed peer record read, in bytes; sixteen
	// addresses and a signature take less than 1 KiB.
	maxRecord = 4 << 10
	// maxAddrs is how many addresses of one peer are kept or dialled: more
	// than any machine has, few enough to try all.
	maxAddrs = 16

	// maxStreams bounds the inbound streams served at once over all peers
	// and protocols; each costs a goroutine and about 40 KB.
	maxStreams = 512
	// maxPeerStreams bounds those of one peer over all protocols, so that
	// sixteen hostile peers are needed to take all of them.
	maxPeerStreams = 32
	// maxMemberStreams bounds those of one protected peer, who shares groups
	// and holds a stream that tells and one that asks for each. libp2p's own
	// bound is 64 of one peer and protocol.
	maxMemberStreams = 96
	// maxPasserby is how many of all streams peers may hold that nobody asked
	// to protect: the rest is left for members, however many keys a stranger
	// makes.
	maxPasserby = 256
	// maxTopicName is the longest topic name remembered of a peer: ours have 43
	// letters.
	maxTopicName = 64

	// maxStrangerRaw and maxMemberRaw bound a peer's inbound streams from the
	// first byte on: those served, gossip, libp2p's own, and some that are ending.
	maxStrangerRaw = maxPeerStreams + 16
	maxMemberRaw   = maxMemberStreams + 32
	// maxPasserLinks bounds the links that strangers opened: a few newcomers at a
	// time, and who looks around on a local network.
	maxPasserLinks = 64
	// maxLinks bounds the links with members: twelve of each group dialled here
	// and about as many that dial us.
	maxLinks = 256
	// maxHandshakes bounds links that have not proved a key yet, each some KB for
	// 15 s at most: more than four addresses can hold open, by connsPerAddr.
	maxHandshakes = 256
	// maxRawStreams is out of reach of maxPasserLinks times maxStrangerRaw, so
	// that strangers cannot take what members need.
	maxRawStreams = 8192

	// memory and files are what the resource manager lets libp2p use: enough for
	// maxLinks at 115 KB with their windows half open.
	memory = 128 << 20
	files  = 1024
	// connsLow and connsHigh: links are trimmed to the lower number when the
	// higher is passed; protected peers are never trimmed.
	connsLow, connsHigh = 64, 96
	// connGrace is how long a new link is safe from trimming.
	connGrace = 30 * time.Second
	// connsPerAddr is how many links one IP address may hold (libp2p: 8): a
	// family, an office or a test lab stands behind one address.
	connsPerAddr = 64
	// connsPace is how many new links a second one address may open past that,
	// and connsPaceAll all addresses together: a handshake costs half a
	// millisecond of processor. Links that we open do not count.
	connsPace, connsPaceAll = 4, 100

	// forgiveBurst and forgiveEvery say how many faults of a peer are forgiven:
	// a bug, or a version that disagrees, makes one now and then.
	forgiveBurst, forgiveEvery = 5, time.Minute
	// shunFirst and shunMost bound how long a peer is shut out that goes on: a
	// member with a bug is back soon, a flood comes to nothing.
	shunFirst, shunMost = 30 * time.Second, 10 * time.Minute
	// faultsKept is how long faults are remembered, maxFaults of how many peers:
	// more than any group has devices.
	faultsKept, maxFaults = time.Hour, 4096
	// opensBurst and opensEvery say how many gossip streams a peer may open: one
	// a link, and one more for each race of two links. A link that breaks every
	// other second, for as long as one likes, is a bad network and no attack.
	opensBurst, opensEvery = 64, 2 * time.Second
	// maxBackoff is the longest pause that a peer may ask for after a PRUNE: what
	// GossipSub itself asks for.
	maxBackoff = time.Minute
	// scoresEvery is how often GossipSub's scores are looked at; they change by
	// its heartbeat, a second.
	scoresEvery = 2 * time.Second

	// outboundQueue and validateQueue are GossipSub's loss points, in messages; its
	// defaults of 32 lose 21 % of a burst of ten senders, these lost nothing below
	// saturation.
	outboundQueue = 4096
	validateQueue = 4096
	// dontWant is from how many bytes on a member tells its neighbours at once that
	// it has a frame (IDONTWANT): three packets, for copies that mostly have left
	// by then.
	dontWant = 16 << 10
	// seenFor is how long a frame's hash is remembered: longer than any
	// heartbeat gossip, short enough for memory.
	seenFor = 10 * time.Minute

	// recentFor, recentFrames and recentBytes bound what is kept of our own
	// frames for a member that subscribes a moment later: a few heartbeats of
	// a lively conversation.
	recentFor    = 3 * time.Second
	recentFrames = 64
	recentBytes  = 64 << 10

	// openTimeout bounds opening a stream when the caller sets no deadline;
	// a relayed link would otherwise hang.
	openTimeout = 10 * time.Second
	// dialTimeout bounds one dial of all addresses of a peer.
	dialTimeout = 15 * time.Second
	// frameTimeout is how long one frame may take to read or write when the
	// caller sets no deadline: 1 MiB at 35 KB/s.
	frameTimeout = 30 * time.Second
	// closeTimeout bounds closing a stream on which the peer has said nothing.
	closeTimeout = 2 * time.Second
	// redialFirst and redialMost bound the wait between dials of a kept peer.
	redialFirst, redialMost = 500 * time.Millisecond, 2 * time.Minute
	// While nobody is linked each of aloneFew kept peers is dialled once in
	// alonePause, of more each in turn, and a dial is given up after aloneDial:
	// somebody is reached within ten seconds once there is a way out again. After
	// aloneFor it is no cut any more, and the waits grow as ever.
	alonePause, aloneDial = 3 * time.Second, 5 * time.Second
	aloneFor              = time.Hour
	aloneFew              = 8
	// lookEvery is how often the machine's addresses and clocks are looked at,
	// sleptFor what the one clock must be ahead of the other to say that it slept,
	// and echoTime how long a link may take to show that it lives.
	lookEvery, sleptFor = 3 * time.Second, 10 * time.Second
	echoTime            = 3 * time.Second
	// maxWhys is of how many addresses of a peer it is told why a dial failed.
	maxWhys = 3
	// spreadEvery bounds how often one peer's return makes us try all others.
	spreadEvery = 5 * time.Second
	// reopenAfter is the wait before GossipSub is offered a peer again whose
	// stream could not be opened.
	reopenAfter = time.Second
	// relayPlaces is at how many relays a device keeps a place: one more than it
	// needs, so that it stays reachable when one goes.
	relayPlaces = 2
	// relayLook is how often places are looked at though nothing happened, and
	// relayRenew how long before its end one is renewed (it lasts an hour).
	relayLook, relayRenew = time.Minute, 10 * time.Minute
	// relayAsk bounds a request for a place, and relayPause is how long a relay
	// that refused is left in peace.
	relayAsk, relayPause = 10 * time.Second, time.Minute
	// maxRefusals bounds the relays remembered for having refused.
	maxRefusals = 64
	// relayMost, relayCircuits and relayPerAddr are how many places a relay gives,
	// links it carries for each, and places for one address (libp2p: 8): a mobile
	// network puts many people behind one.
	relayMost, relayCircuits, relayPerAddr = 128, 16, 64
	// relayTime and relayBytes end a relayed link of a relay that limits: libp2p's
	// two minutes and eight times its 128 KiB, which a join with a few hundred
	// operations would pass.
	relayTime, relayBytes = 2 * time.Minute, 1 << 20
	// punchDial bounds one try of a direct way: a handshake over half the world,
	// and short, since behind a symmetric router each of six is waited out.
	punchDial = 2 * time.Second
	// punchFirst and punchMost bound the wait between tries that failed because
	// one end knew no address of its own yet, and punchRounds is how often all
	// addresses are tried in vain before a new one is waited for.
	punchFirst, punchMost = 300 * time.Millisecond, time.Minute
	punchRounds           = 2
	// maxPunches is with how many peers it is tried at once, and maxSights of how
	// many it is remembered what they see of us: ours are dozens.
	maxPunches, maxSights = 32, 128
	// relayLinger is how long a relayed link stays beside a direct one: what was
	// begun over it ends meanwhile.
	relayLinger = 10 * time.Second
	// learntFor is how long addresses told by others are kept in memory; the
	// caller's store keeps them for longer.
	learntFor = time.Hour

	// dhtLinger is how long the table of the directory stays open after its last
	// use: a join looks up, then asks, then looks up again.
	dhtLinger = 30 * time.Second
	// dhtEntries is how many that keep the directory are enough to begin with, and
	// dhtEntryDials how many are dialled to find them.
	dhtEntries, dhtEntryDials = 4, 8
	// publishTime and findTime bound listing this device under one key, and one
	// look-up: a large table takes tens of seconds.
	publishTime, findTime = time.Minute, time.Minute
	// listedFor is how long a record stays; the day of its key, the day before it
	// and the day after.
	listedFor = 48 * time.Hour
	// refreshEvery is how often who keeps the directory looks for others who do.
	refreshEvery = time.Hour
	// maxHeard is how many a look-up takes in under one key, and maxFound how many
	// of all its keys are told: more than one tries to reach.
	maxHeard, maxFound = 256, 32
	// maxMet bounds the links that a table takes to strangers, maxMetOfNet those
	// of one public network (a /16, or a /32 of IPv6), and maxNets the networks it
	// counts: who can have a thousand keys seldom has a thousand networks.
	maxMet, maxMetOfNet, maxNets = 32, 8, 256
	// maxBook bounds the strangers whose addresses are noted.
	maxBook = 4096
	// maxAsk and maxAnswer are the longest question and answer in the directory,
	// in bytes: a record of one peer with its addresses; twenty peers and some
	// dozen records.
	maxAsk, maxAnswer = 16 << 10, 512 << 10
	// askTime bounds one question.
	askTime = 10 * time.Second
	// maxCloser and maxListed are how much of one answer counts, and maxTold how
	// many addresses of one peer are looked at: one liar must not fill a look-up.
	maxCloser, maxListed, maxTold = 40, 32, 2 * maxAddrs
	// maxAskStreams bounds the questions of one peer that are answered at once.
	maxAskStreams = 8
	// maxRecords, maxRecordsOfPeer and maxRecordsOfKey bound what a keeper of the
	// directory keeps: 4 MiB; three days of 200 groups and as many codes; the
	// devices of a large group.
	maxRecords, maxRecordsOfPeer, maxRecordsOfKey = 16384, 1024, 1024

	// maxShortAddrs is how many addresses a short record names: two of each kind.
	maxShortAddrs = 8
	// maxLobbyFrame is the longest frame on a lobby topic, in bytes: an address, or
	// a preview without a picture (invites.MaxLobbyFrame).
	maxLobbyFrame = 2 << 10
	// maxLobbyRPC bounds a packet of the lobby, also if nothing is said in it: the names
	// of all topics that one is on are told at once.
	maxLobbyRPC = 64 << 10
	// lobbyQueue bounds what waits to be sent to one peer, in packets, and to be heard,
	// in frames: what is lost is asked again. The topics that are taken up while somebody
	// reads nothing, half a minute at most, have room, since GossipSub has a goroutine
	// wait for each that has none.
	lobbyQueue = 512
	// lobbyHeard is how many frames of a topic are remembered twice over: more than are
	// said in a day on most.
	lobbyHeard = 256
	// maxLobbyTopics is how many topics one peer may name: that of each code of one
	// device, twice around midnight, and those of a join.
	maxLobbyTopics = 64
	// maxCarried is how many one device carries: some hundred devices' codes.
	maxCarried = 1024
	// maxNamed is how many one peer may name who carries: as many as fit the packet in
	// which all are told, at 53 bytes each, which are those it carries and some of its own.
	maxNamed = maxLobbyRPC / 53
	// maxNamedOfAll is how many all who carry may name together, about: past it each gets
	// less the later it comes. Each costs 650 bytes.
	maxNamedOfAll = 8 * maxNamed
	// guestNamesBurst and guestNamesEvery bound how often one peer may change what it
	// wants to hear: twenty joins at once, and all topics at midnight. Who carries
	// changes what its guests change.
	guestNamesBurst, guestNamesEvery     = 128, rate.Limit(1)
	carrierNamesBurst, carrierNamesEvery = 4 * maxCarried, rate.Limit(16)
	// guestPacketsBurst and guestPacketsEvery bound the packets that are read of one peer,
	// whatever is in them; of one who carries, all that its guests say.
	guestPacketsBurst, guestPacketsEvery     = 256, rate.Limit(128)
	carrierPacketsBurst, carrierPacketsEvery = 1024, rate.Limit(512)
	// tendPause is the least time between two looks at what is to be carried and who is
	// to be met: however often guests change their mind.
	tendPause = 50 * time.Millisecond
	// maxGuests is how many peers may hold a lobby stream: members' links, and those
	// of passers-by at a relay.
	maxGuests = maxLinks + maxPasserLinks + relayMost
	// lobbyNeighbours is how many on a topic get a frame at once.
	lobbyNeighbours = 64
	// guestSaysBurst and guestSaysEvery bound frames of one peer, of somebody who carries
	// those that are refused: a join takes about six.
	guestSaysBurst, guestSaysEvery = 64, rate.Limit(4)
	// lobbySaysBurst and lobbySaysEvery bound those of one topic, which only holders of
	// its code can write: some who look at once.
	lobbySaysBurst, lobbySaysEvery = 64, rate.Limit(2)
	// carryBurst and carryEvery bound topics taken up for others, since each is told
	// to every guest; carryPause is when those are looked at that found no room, and
	// carryLinger how long a topic stays that nobody wants.
	carryBurst, carryEvery  = 256, rate.Limit(2)
	carryPause, carryLinger = 2 * time.Second, time.Minute
	// maxCarriers is at how many that carry a device names its topics, and
	// lobbyCarriers how many linked ones are enough not to dial others.
	maxCarriers, lobbyCarriers = 4, 2
	// lobbyRest and lobbyRestMost bound the wait before others are dialled that may
	// carry.
	lobbyRest, lobbyRestMost = time.Minute, time.Hour
)
