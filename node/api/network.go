package api

import (
	"time"

	"mutuals/identity/wire"
)

// What Network.Reachability says.
const (
	Public    = "public"  // others got through
	Private   = "private" // others tried and did not
	Unguessed = "unknown" // nobody has tried yet
)

// What Network.NAT says.
const (
	NATUnknown   = "unknown"
	NATNone      = "none"
	NATCone      = "cone"
	NATSymmetric = "symmetric"
)

// By what way a linked peer is reached.
const (
	PathDirect  = "direct"
	PathPunched = "punched" // dialled from both sides at once through two routers
	PathRelayed = "relayed"
)

// What PortMapping.State says.
const (
	MappingOff      = "off"
	MappingNoRouter = "no_router" // none answers
	MappingRefused  = "refused"   // one answers, and opened nothing
	MappingOpen     = "open"
)

// Network says how the node stands in the network.
type Network struct {
	Peer   string        `json:"peer" doc:"own libp2p peer id"`
	Listen Array[string] `json:"listen" doc:"multiaddrs listened on"`
	Addrs  Array[string] `json:"addrs" doc:"multiaddrs told to others, with /p2p"`
	Peers  int           `json:"peers"`
	MDNS   bool          `json:"mdns" doc:"looks for peers on the local network"`
	DHT    string        `json:"dht" enum:"off,private,public" doc:"the directory in which devices find each other without addresses"`
	Relay  string        `json:"relay" enum:"off,auto,only" doc:"as it runs now"`

	Reachability string              `json:"reachability" enum:"public,private,unknown" doc:"whether others can dial this node from outside, as they found"`
	NAT          string              `json:"nat" enum:"unknown,none,cone,symmetric" doc:"what stands between this node and others: a cone can be met half-way, a symmetric one needs a relay"`
	PortMapping  PortMapping         `json:"port_mapping"`
	RelayService string              `json:"relay_service" enum:"on,off" doc:"whether this node relays for others"`
	Relays       Array[RelayUsed]    `json:"relays" doc:"relays that gave a place or refused one"`
	Directory    Directory           `json:"directory"`
	Lobby        Lobby               `json:"lobby"`
	Groups       Array[GroupNetwork] `json:"groups"`
	Advice       Array[Advice]       `json:"advice" doc:"what a person can do"`
}

// The directories.
const (
	DHTOff     = "off"
	DHTPrivate = "private"
	DHTPublic  = "public"
)

// Directory is how the node stands in the directory.
type Directory struct {
	Keeper  bool `json:"keeper" doc:"keeps records for others: a harbor, or a node that anybody can dial"`
	Servers int  `json:"servers" doc:"keepers known at this moment; 0 at rest"`
	Listed  int  `json:"listed" doc:"times this device was listed under a key since the start"`
	Refused int  `json:"refused" doc:"addresses that were told and must not be dialled"`
}

// Lobby is how the node stands on the topics on which who holds a passcode and who
// lets people in by it tell each other where they are.
type Lobby struct {
	On       bool `json:"on" doc:"takes part"`
	Carrying bool `json:"carrying" doc:"passes on what others say there, without knowing of what code: a harbor, a relay, or a node that anybody can dial"`
	Topics   int  `json:"topics" doc:"codes' topics that it is on for itself"`
	Carried  int  `json:"carried" doc:"topics that it is on for others"`
	Carriers int  `json:"carriers" doc:"linked nodes that carry topics"`
}

// PortMapping is what the router was asked for.
type PortMapping struct {
	State string        `json:"state" enum:"off,no_router,refused,open"`
	Addrs Array[string] `json:"addrs" doc:"multiaddrs that the router keeps open"`
}

// RelayUsed is a relay as this node sees it.
type RelayUsed struct {
	Peer    string         `json:"peer"`
	Account wire.AccountID `json:"account,omitzero" doc:"whose device it is, if known"`
	Name    string         `json:"name,omitempty"`
	Until   *time.Time     `json:"until,omitempty" doc:"how long this node has a place there"`
	Problem string         `json:"problem,omitempty" doc:"why it has none"`
}

// GroupNetwork is who of a group is linked, and who is being dialled.
type GroupNetwork struct {
	Group  wire.GroupID     `json:"group"`
	Name   string           `json:"name"`
	Linked int              `json:"linked" doc:"linked devices"`
	Peers  Array[GroupPeer] `json:"peers" doc:"linked devices, then those being dialled"`
}

// GroupPeer is a device of a group.
type GroupPeer struct {
	Peer      string         `json:"peer"`
	Account   wire.AccountID `json:"account,omitzero"`
	Name      string         `json:"name,omitempty"`
	Harbor    bool           `json:"harbor,omitempty"`
	Linked    bool           `json:"linked"`
	Path      string         `json:"path,omitempty" enum:"direct,punched,relayed"`
	Transport string         `json:"transport,omitempty" enum:"quic,tcp,ws" doc:"to it, or to the relay"`
	Limited   bool           `json:"limited,omitempty" doc:"the relay ends the link after some bytes"`
	Addr      string         `json:"addr,omitempty"`
	Since     *time.Time     `json:"since,omitempty"`
	Tried     *time.Time     `json:"tried,omitempty" doc:"when it was dialled last, if not linked"`
	Next      *time.Time     `json:"next,omitempty" doc:"when it is dialled next; past: now"`
	Problem   string         `json:"problem,omitempty" doc:"why the last dial failed, or why there is no direct way"`
}

// Advice is one thing a person can do.
type Advice struct {
	Code string `json:"code" enum:"relay_needed,relay_refused,relay_only_lost,nobody_linked"`
	Text string `json:"text"`
}

// The codes of Advice, a closed list.
const (
	AdviceRelayNeeded  = "relay_needed"
	AdviceRelayRefused = "relay_refused"
	AdviceRelayLost    = "relay_only_lost"
	AdviceNobody       = "nobody_linked"
)

var advice = map[string][2]string{
	AdviceRelayNeeded: {
		"nobody can dial this machine from outside, and no relay has a place for it: let a friend with a public address run mutualsd --relay-service and follow you, or open this node's port in your router",
		"外面连不上这台机器，也没有中继可用：请有公网地址的朋友运行 mutualsd --relay-service 并关注你，或在路由器上开放本节点的端口",
	},
	AdviceRelayRefused: {
		"no relay gives this node a place: its person has to follow you or share a group with you, or run it with --relay-for anyone",
		"没有中继接纳本节点：中继的主人需要关注你或与你同群，或以 --relay-for anyone 运行",
	},
	AdviceRelayLost: {
		"with relay only this node is reached through its relays alone, and none has a place for it: see that they run, or name others with mutuals config set relays",
		"relay only 时只能经由中继，而现在没有一个可用：请确认它们在运行，或用 mutuals config set relays 指定别的中继",
	},
	AdviceNobody: {
		"of some groups no member is linked: they may all sleep; a harbor keeps what is said meanwhile (mutuals harbor --help)",
		"有的群现在连不上任何成员：可能都不在线；港湾可以在此期间保存消息（mutuals harbor --help）",
	},
}

// AdviceText is a code in words.
func AdviceText(code string, l Lang) string {
	if l == Chinese {
		return advice[code][1]
	}
	return advice[code][0]
}
