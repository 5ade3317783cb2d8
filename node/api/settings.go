package api

// Answers of AutoAccept.
const (
	AutoAcceptOff     = "off"
	AutoAcceptDirect  = "direct"
	AutoAcceptMutuals = "mutuals"
)

// Whose groups a node with mutualsd --harbor keeps when it is asked.
const (
	HarborForMutuals = "mutuals"
	HarborForSelf    = "self"
)

// How a node uses relays, and for whom it is one.
const (
	RelayAuto = "auto" // where there is no direct way
	RelayOnly = "only" // never a direct way, so that nobody learns the address
	RelayOff  = "off"

	RelayForKnown  = "known"  // people one follows, members of one's groups, own devices
	RelayForAnyone = "anyone" // with a limit on each relayed link
)

// On and Off are the values of a switch.
const (
	On  = "on"
	Off = "off"
)

// For which passcodes a device is listed in the directory, so that who holds one
// finds it: none, those it made, or those of other members too.
const (
	AnnounceOff = "off"
	AnnounceOwn = "own"
	AnnounceAll = "all"
)

// Settings are how a node behaves for its person. AutoAccept and Receipts hold for
// this account on all its devices, the others for this device.
type Settings struct {
	AutoAccept string `json:"auto_accept" enum:"off,direct,mutuals" doc:"seats that mutuals offer: off asks, direct takes those of direct conversations at once, mutuals all"`
	Receipts   string `json:"receipts" enum:"on,off" doc:"read receipts: on shows others who take them too how far you have read, and shows you how far they have; off neither"`
	HarborFor  string `json:"harbor_for" enum:"mutuals,self" doc:"whose groups a node with --harbor agrees to keep: mutuals' and own ones, or own ones only"`
	Announce   string `json:"announce" enum:"off,own,all" doc:"for which passcodes this device is listed in the directory (DHT), so that who holds one finds it: none, those made on it, or all it may admit by"`

	Relay        string        `json:"relay" enum:"auto,only,off" doc:"auto: relays carry what finds no direct way; only: this node has no other address and dials nobody but the relays named; off: none"`
	Relays       Array[string] `json:"relays" doc:"multiaddrs with /p2p of relays to use, asked before members that relay"`
	RelayService string        `json:"relay_service" enum:"on,off" doc:"whether this node relays for others"`
	RelayFor     string        `json:"relay_for" enum:"known,anyone" doc:"for whom it relays: people followed, members of shared groups and own devices, or anyone, each link limited"`
	PortMapping  string        `json:"port_mapping" enum:"on,off" doc:"asks the router to let others in"`
	Restart      bool          `json:"restart" doc:"something here takes effect when the node starts next"`
}

// SettingsPatch changes what is given.
type SettingsPatch struct {
	AutoAccept   *string   `json:"auto_accept,omitempty" enum:"off,direct,mutuals"`
	Receipts     *string   `json:"receipts,omitempty" enum:"on,off"`
	HarborFor    *string   `json:"harbor_for,omitempty" enum:"mutuals,self"`
	Announce     *string   `json:"announce,omitempty" enum:"off,own,all"`
	Relay        *string   `json:"relay,omitempty" enum:"auto,only,off"`
	Relays       *[]string `json:"relays,omitempty"`
	RelayService *string   `json:"relay_service,omitempty" enum:"on,off"`
	RelayFor     *string   `json:"relay_for,omitempty" enum:"known,anyone"`
	PortMapping  *string   `json:"port_mapping,omitempty" enum:"on,off"`
}
