package api

import "mutuals/identity/wire"

// What Status.Identity says.
const (
	IdentityNone   = "none"   // no account here yet: POST identity
	IdentityReady  = "ready"  // keys are open
	IdentityLocked = "locked" // keys are there, sealed by a passphrase
)

// Status is a node at a glance; it answers before an identity exists.
type Status struct {
	Ready    bool           `json:"ready" doc:"the node serves everything its identity allows"`
	Version  string         `json:"version" doc:"version of the daemon"`
	Identity string         `json:"identity" enum:"none,ready,locked"`
	Account  wire.AccountID `json:"account,omitzero"`
	Device   wire.DeviceID  `json:"device,omitzero"`
	Revoked  bool           `json:"revoked,omitempty" doc:"this device was revoked by its account: it writes nothing any more"`
	Addrs    Array[string]  `json:"addrs" doc:"multiaddrs this node can be dialled at, with /p2p"`
	Peers    int            `json:"peers" doc:"connected peers"`
	UI       string         `json:"ui" doc:"address of the web page"`
	// Of all groups together, as Group says it of one.
	OnlyHere    int  `json:"only_here" doc:"own messages and changes that no other device has reported on its disk yet"`
	SafeToClose bool `json:"safe_to_close" doc:"this machine may be switched off: nobody waits for something only it has"`

	Reachability string `json:"reachability,omitempty" enum:"public,private,unknown" doc:"whether others can dial this node from outside, as they found; with an identity only"`
	Relays       int    `json:"relays" doc:"relays at which it has a place"`

	Clock Clock `json:"clock"`
	Disk  Disk  `json:"disk"`
}

// What Disk.State says.
const (
	DiskOK         = "ok"
	DiskIsSlow     = "slow"      // a write of the last minutes took over two seconds
	DiskIsLow      = "low"       // less than 512 MiB are free
	DiskIsFull     = "full"      // less than 128 MiB are free: nothing is written
	DiskIsReadOnly = "read_only" // the file system takes no writes
	DiskUnknown    = "unknown"   // there is no identity yet, or the system does not tell
)

// Disk is how the disk of the home stands. While nothing can be written,
// reading goes on, and writing by itself once it can be.
type Disk struct {
	State     string `json:"state" enum:"ok,slow,low,full,read_only,unknown"`
	FreeBytes uint64 `json:"free_bytes" doc:"what may still be written; 0 if that is not known"`
	TookMs    int64  `json:"took_ms,omitempty" doc:"how long the slow write took"`
	BadBlocks int    `json:"bad_blocks,omitempty" doc:"blocks of the store that cannot be read, as the last look found (ten minutes after the start, then daily): messages are missing from what is shown"`
}

// What Clock.State says.
const (
	ClockUnknown  = "unknown"  // fewer than three accounts were heard
	ClockRight    = "right"    // it agrees with their median
	ClockIsWrong  = "wrong"    // it does not: nothing is written
	ClockDoubtful = "doubtful" // too few to say, but what others write is all ahead of it, or it differs from all heard
)

// Clock compares this machine's clock with those of members it is linked to.
type Clock struct {
	State    string `json:"state" enum:"unknown,right,wrong,doubtful"`
	AheadMs  int64  `json:"ahead_ms" doc:"how far this clock is ahead of the median of the others, negative when behind; 0 while none was heard"`
	Accounts int    `json:"accounts" doc:"how many accounts were heard in the last two hours"`
}

// Health says that the daemon answers at all.
type Health struct {
	OK bool `json:"ok"`
}

// Ready says whether the daemon serves everything its identity allows.
type Ready struct {
	Ready bool `json:"ready"`
}

// Version names the daemon and the API.
type Version struct {
	Version string `json:"version" doc:"version of the daemon"`
	API     string `json:"api" doc:"version of this API" example:"v1"`
	Go      string `json:"go" doc:"Go it was built with"`
}

// Peer is one connection of the node.
type Peer struct {
	Peer      string         `json:"peer" doc:"libp2p peer id"`
	Account   wire.AccountID `json:"account,omitzero" doc:"whose device it is, if known"`
	Name      string         `json:"name,omitempty"`
	Addr      string         `json:"addr"`
	Direction string         `json:"direction" enum:"in,out"`
	Score     float64        `json:"score,omitempty" doc:"of a member, by how it keeps GossipSub's rules: 10 is a new one's, below 0 it passes nothing on for others"`
	Faults    int            `json:"faults,omitempty" doc:"what it sent in the last hour that no honest peer sends; who goes on is shut out for a while"`
}

// Shutdown is the answer to a request to stop: the daemon stops after it.
type Shutdown struct {
	Stopping bool `json:"stopping"`
}

// Settled answers an act that has nothing else to tell.
type Settled struct {
	OK bool `json:"ok"`
}
