package node

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// room is one open group: the one door for its operations. Everything below
// "owned" is touched by the goroutine of run alone; others hand it a step or
// read view.
type room struct {
	n     *Node
	group wire.GroupID
	log   *slog.Logger

	calls    chan func()
	words    chan word
	arrivals chan *arrival
	receipts chan *reader
	tookAt   atomic.Int64  // when an operation was taken in last, in ms since 1970; 0: not since the start
	arriving atomic.Int64  // what the frames of those weigh, in bytes
	begun    atomic.Uint64 // commits that may be on the disk
	over     atomic.Uint64 // and those that memory shows, or that failed
	settled  signal        // told when one is over
	speaking speaking
	done     chan struct{}
	genesis  []byte // the frame; set once, before others see the room
	view     atomic.Pointer[view]
	later    later
	seen     seen
	history  atomic.Pointer[task] // while what was said before a join arrives

	keysAsked chan struct{} // capacity one: a member is being asked for keys
	pulls     chan struct{} // capacity pullsAtOnce: members are being asked for what they have

	// owned by run
	g          *groups.Log
	office     *office   // where this node is the group's harbor, and no member
	me         wire.OpID // own incarnation, zero while not admitted
	meta       groupMeta
	kept       bool // it came from a backup
	keys       *keyring
	locked     map[[32]byte]map[wire.OpID]lockedOp // content nobody gave us the key of, by eid
	parked     parking
	links      map[wire.PeerKey]*link
	lobbyAt    time.Time // when to tell where holders of codes look, zero: nobody lacks it
	topics     map[[32]byte]*topic
	wroteOn    [32]byte  // eid of the topic written on last
	rekeyAt    time.Time // when to make an epoch if nobody else did; zero: no need
	sharedAt   time.Time // when an own admission was given an epoch of its own
	heads      map[chainOf]groups.VectorEntry
	branches   map[chainOf]groups.Vector // other heads of forked control chains
	holding    groups.Vector             // all these in order, as last asked for; nil once they changed
	forks      map[wire.OpID]*fork       // contradictions to be proved, by inc
	below      map[chainOf]uint64        // where to ask again: what came builds on another branch
	olders     map[chainOf]*older        // chains whose newest came first, and what they lack below
	windows    windows                   // what is being fetched, and from whom
	upward     map[chainOf]bool          // chains not to be asked for from their newest end: that did not hold
	refolds    map[wire.OpID]uint64      // chains whose entries are to be folded anew, from which seq
	refoldsOn  bool                      // and the disk knows
	reopens    reopens                   // content whose entries are to be made again
	placing    placing
	ahead      ahead // of the run that is being taken in
	gathering  gathering
	recent     recent                      // others may ask it
	names      map[wire.AccountID]opRef    // newest profiles; under zero the group-info
	named      map[wire.OpID]groups.Branch // which words of a device caught lying count, by inc
	strays     map[wire.OpID]bool          // devices of which a branch is held that is to be let go
	used       map[[32]byte]uint64         // by eid: when the last message under it was said, about
	horizon    uint64                      // epochs used last before it were erased
	wrapsGone  uint64                      // and wraps of epochs made before this
	unheard    map[[32]byte]*unheard       // epochs whose secret waits for who has not heard what was said under it
	sweepAt    time.Time                   // when to look for more
	bodies     bodies
	refused    map[refusal]bool
	asks       map[wire.AccountID]*ask // join requests that need a yes, by newcomer
	held       *held
	toldSafe   safety                              // what readers were told of the own chains
	harbored   map[wire.PeerKey]map[chainOf]uint64 // how far each harbor says it has each chain
	wrapsAt    map[wire.PeerKey][32]byte           // the last epoch whose wraps each says it has
	changed    signal                              // told after each commit
	self       selfcheck
	rosters    [2]roster
	claims     map[wire.OpID]map[chainOf]uint64 // how far each holder says it has chains, past what is here
	reading    reading                          // how far members have read
	gaps       gaps                             // what readers were told is missing
	gapsOf     gapBasis                         // what that was found from
	latest     *timeline.Entry
	unread     int
	mentions   int    // of those unread, how many mention this account
	recount    bool   // latest and unread are to be read anew after the commit
	maxHLC     uint64 // where the last entry stands: own words come after it
	ended      bool
	dutyAt     time.Time        // when the turn of this device comes to do what the group needs
	sinceRekey int              // messages since the newest epoch was taken in
	owed       []owedRevocation // of own devices, to be written
	heardAt    time.Time        // when everything a member had was fetched last
	lackDue    <-chan time.Time // when to pull what gossip has not brought; nil: nothing is missed
	crowded    bool             // content was not fetched because the disk is nearly full
	haveDue    bool             // linked members are owed a have
	passed     passed           // where a few words came that gossip did not bring
	unacked    unacked          // of the newest state that was asked
	toldAt     time.Time        // when they got the last
	roundAt    time.Time        // when some of them were told of others' words
}

// view is a room as others may see it at any moment: immutable, replaced
// whole after each commit.
type view struct {
	state   *groups.State
	me      wire.OpID
	meta    groupMeta
	peers   map[wire.PeerKey]wire.OpID         // live devices of those seated
	waiting map[wire.PeerKey]wire.OpID         // live devices of those in the waitlist
	holders map[wire.OpID]holder               // whose word counts on what is on their disk
	harbors map[wire.PeerKey]groups.HarborInfo // in office
	blind   bool                               // this node is the group's harbor, or was, or is about to be
	office  groups.HarborInfo                  // and this is its appointment
	written [3]uint64                          // seqs of the own heads, by kind of chain
	epoch   groups.Epoch                       // sent under, of generation 0 for none
	keys    map[[32]byte]seal.Keys             // of the epochs that can be read, by eid; never written
	gaps    gaps
	days    uint64 // for how long messages are kept here, 0 for ever
	bareTo  uint64 // when the newest was written whose body is not here, ms; 0 if all are
	twin    bool   // another copy of this home was found out here
	kept    bool   // it came from a backup
	mended  bool   // of damage, since when nobody who has the group was heard
	latest  *timeline.Entry
	unread  int
	reads   map[wire.AccountID]readTo // how far those read who say so; never written
	// receiptN is which receipt of each device is the newest here; never written.
	receiptN map[wire.OpID]uint64
	// mentions is how many of those unread mention this account.
	mentions int
}

// member tells whether a peer is a device of somebody seated.
func (v *view) member(p wire.PeerKey) bool {
	_, ok := v.peers[p]
	return ok
}

// harbor tells whether a peer is a harbor of the group, in office.
func (v *view) harbor(p wire.PeerKey) bool {
	_, ok := v.harbors[p]
	return ok
}

// gossips tells whether a peer may take part in the group's topics.
func (v *view) gossips(p wire.PeerKey) bool { return v.member(p) || v.harbor(p) }

// seated tells whether this device's account has a seat.
func (v *view) seated() bool {
	inc, ok := v.state.Inc(v.me)
	return ok && inc.Live && inc.Seated
}

// void tells why how this device came in does not count; nil if it does, or if
// it never came in.
func (v *view) void() *api.Void {
	cause, by, void := v.state.VoidAdmission(v.me)
	if inc, ok := v.state.Inc(v.me); !void || ok && inc.Live {
		return nil // an owner's seat stands on being made one
	}
	return voidOf(cause, by)
}

// ours tells whether what was said here is for this account's person: this
// device is or was in the group, or a backup brought it.
func (v *view) ours() bool { return !v.me.IsZero() || v.kept }

// inIt tells whether this account has a seat or waits for one.
func (v *view) inIt() bool { return v.seated() || v.waits() }

// groupMeta is what a node keeps of a group beside its operations.
// Evolution: fields are added at the end, with a new V.
type groupMeta struct {
	_           struct{} `cbor:",toarray"`
	V           uint64
	Name        string
	Description string
	IceBreakers []string
	InfoOp      wire.OptID // the group-info that holds
	InfoHLC     uint64
	CreatedMs   uint64
	ReadMs      uint64       // order of the newest message read
	ReadID      wire.OptID   // and its id
	ProfileN    uint64       // n of the own profile last told to the group
	Sponsor     wire.PeerKey // whom to ask while not admitted
}

// errClosed means that the node stops.
var errClosed = errors.New("the node is stopping")

// roomTick is how often a room looks at its clocks: late rekeys, vectors that
// are due. A wait for a person's message never depends on it.
const roomTick = time.Second

// run serves the room until ctx is done.
func (r *room) run(ctx context.Context) {
	defer close(r.done)
	defer r.closeTopics()
	defer r.closeLinks()
	tick := time.NewTicker(roomTick)
	defer tick.Stop()
	for {
		arrivals := r.arrivals
		if r.gathering.rest != nil {
			arrivals = nil
		}
		select {
		case <-ctx.Done():
			return
		case call := <-r.calls:
			call()
		case <-r.later.bell:
			r.takeLater()
		case w := <-r.words:
			r.hear(w)
		case a := <-arrivals:
			r.takeIn(a)
		case <-r.gathering.rest:
			r.rested()
		case rd := <-r.receipts:
			r.takeReceipt(rd)
		case <-r.lackDue:
			r.pullLacks()
		case <-tick.C:
			r.tick()
		}
		if r.ended {
			return
		}
	}
}

// show replaces the view by what holds now, and draws the consequences.
func (r *room) show() {
	old, now := r.look()
	if old == nil || !now.state.Same(old.state) {
		r.rewire(old, now)
	}
	r.changed.tell()
}

// look replaces the view and returns the one before, nil at first.
func (r *room) look() (old, now *view) {
	s, old := r.g.State(), r.view.Load()
	v := &view{state: s, me: r.me, meta: r.meta, gaps: r.gaps, twin: r.self.twin, kept: r.kept, mended: r.reopens.due, latest: r.latest, unread: r.unread, mentions: r.mentions, blind: r.office != nil,
		days: r.bodies.days, bareTo: r.bodies.to()}
	if r.office != nil {
		v.office = r.office.held(s, r.n.mesh.Self())
	}
	same := old != nil && s.Same(old.state)
	switch {
	case same: // a message changes no member
		v.peers, v.waiting, v.harbors, v.holders = old.peers, old.waiting, old.harbors, old.holders
	case v.blind && !v.office.Appointed:
		// Out of office it deals with nobody.
	default:
		v.peers, v.waiting, v.harbors = linkable(s, r.everybody(s))
		v.holders = holdersOf(s, v.peers)
	}
	v.reads, v.receiptN = r.reads(old, same)
	v.epoch, _ = r.sendEpoch()
	v.keys = r.keys.all()
	v.written = r.written()
	r.view.Store(v)
	return old, v
}

// roster is the members of a state: of a large group they take a while to list,
// and a commit asks for those before and after it many times.
type roster struct {
	state   *groups.State
	members []groups.Member
}

// everybody lists a state's members, which are not to be written.
func (r *room) everybody(s *groups.State) []groups.Member {
	for _, known := range r.rosters {
		if known.state == s {
			return known.members
		}
	}
	r.rosters = [2]roster{{s, s.Members()}, r.rosters[0]}
	return r.rosters[0].members
}

// linkable lists the live devices of those seated and of those who wait, and the
// harbors in office.
func linkable(s *groups.State, members []groups.Member) (peers, waiting map[wire.PeerKey]wire.OpID, harbors map[wire.PeerKey]groups.HarborInfo) {
	peers, waiting, harbors = map[wire.PeerKey]wire.OpID{}, map[wire.PeerKey]wire.OpID{}, map[wire.PeerKey]groups.HarborInfo{}
	for _, h := range s.Harbors() {
		if h.Appointed {
			harbors[h.Peer] = h
		}
	}
	for _, m := range members {
		to := peers
		switch m.Status {
		case groups.StatusSeated:
		case groups.StatusWaitlisted:
			to = waiting
		default:
			continue
		}
		for _, inc := range m.Incs {
			if inc.Live && !inc.Cut {
				to[inc.Peer] = inc.ID
			}
		}
	}
	return peers, waiting, harbors
}
