package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"

	"mutuals/identity/wire"
)

// DHTMode says by which directory devices find each other that have no address
// of each other: a Kademlia table of who is listed under which key.
type DHTMode uint8

// The directories. The private one is kept by devices of mutuals that anybody
// can dial, and by harbors; the public one is that of IPFS, where a device asks
// and keeps nothing for others.
const (
	DHTOff DHTMode = iota
	DHTPrivate
	DHTPublic
)

// dhtPrefix is where the private directory's protocol begins.
const dhtPrefix = "/mutuals"

// dhtProtocol is spoken by who keeps the private directory.
const dhtProtocol = dhtPrefix + "/kad/1.0.0"

// ErrNoDirectory means that nobody is known who keeps the directory, or nobody
// of them answered.
var ErrNoDirectory = errors.New("nobody who keeps the directory could be reached")

// ErrDHTOff means that the directory is switched off.
var ErrDHTOff = errors.New("the directory (DHT) is switched off")

// directory opens the table when something is to be listed or looked up and
// closes it soon after, with the links to strangers that it took: at rest it
// costs nothing. Only who keeps records for others has it open all the time.
type directory struct {
	m *Mesh

	mu      sync.Mutex
	table   *table // nil: closed
	users   int    // who uses it now
	idle    *time.Timer
	serving bool // it is to keep records for others
	shut    bool
}

// table is one Kademlia table and the host that it sees.
type table struct {
	dht    *dht.IpfsDHT
	host   *aside
	serves bool
}

func (d *directory) protocol() protocol.ID {
	if d.m.cfg.DHT == DHTPublic {
		return dht.ProtocolDHT
	}
	return dhtProtocol
}

// open makes the table. d.mu is held.
func (d *directory) open() error {
	if d.table != nil {
		return nil
	}
	h := newAside(d.m)
	opts := []dht.Option{
		dht.AddressFilter(d.m.listable), dht.QueryFilter(func(_ any, ai peer.AddrInfo) bool { return h.mayMeet(ai) }),
		dht.WithCustomMessageSender(newAsker),
		dht.ProviderDatastore(newListing()),
		dht.ProviderManagerOpts(records.Cache(noCache{}), records.ProviderAddrTTL(listedFor), records.ProvideValidity(listedFor)),
	}
	if d.m.cfg.DHT == DHTPrivate {
		opts = append(opts, dht.ProtocolPrefix(dhtPrefix), dht.DisableValues())
	} else {
		opts = append(opts, dht.RoutingTablePeerDiversityFilter(dht.NewRTPeerDiversityFilter(h, 2, 3)))
	}
	if d.serving {
		opts = append(opts, dht.Mode(dht.ModeServer), dht.BootstrapPeersFunc(d.entries), dht.RoutingTableRefreshPeriod(refreshEvery))
	} else {
		opts = append(opts, dht.Mode(dht.ModeClient), dht.DisableAutoRefresh())
	}
	t, err := dht.New(h, opts...)
	if err != nil {
		return fmt.Errorf("opening the directory: %w", err)
	}
	d.table = &table{t, h, d.serving}
	return nil
}

// close closes the table and lets go of who was met for its sake. d.mu is held.
func (d *directory) close() {
	if d.table == nil {
		return
	}
	if err := d.table.dht.Close(); err != nil {
		d.m.log.Debug("mesh: closing the directory", "err", err)
	}
	d.table.host.letGo()
	d.table = nil
}

// use gives the open table, until done is called.
func (d *directory) use() (t *table, done func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.m.cfg.DHT == DHTOff:
		return nil, nil, ErrDHTOff
	case d.shut:
		return nil, nil, ErrClosed
	}
	if err := d.open(); err != nil {
		return nil, nil, err
	}
	if d.idle != nil {
		d.idle.Stop()
		d.idle = nil
	}
	d.users++
	return d.table, d.done, nil
}

func (d *directory) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users--; d.users > 0 || d.shut {
		return
	}
	if d.serving || d.table.serves {
		d.settle()
		return
	}
	d.idle = time.AfterFunc(dhtLinger, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.users == 0 && !d.serving {
			d.close()
		}
	})
}

// serve begins to keep records for others, or ends it.
func (d *directory) serve(on bool) {
	if d.m.cfg.DHT != DHTPrivate || d.m.cfg.Relay == RelayOnly {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut || d.serving == on {
		return
	}
	d.serving = on
	if d.users == 0 { // else when they are done
		d.settle()
	}
}

// settle opens the table as it is to be, when nobody uses it. d.mu is held.
func (d *directory) settle() {
	if d.table != nil && d.table.serves == d.serving {
		return
	}
	d.close()
	if d.serving {
		if err := d.open(); err != nil {
			d.m.log.Warn("mesh: not keeping the directory", "err", err)
		}
	}
}

func (d *directory) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	if d.idle != nil {
		d.idle.Stop()
	}
	d.close()
}

// enter sees to it that the table has somebody to ask.
func (d *directory) enter(ctx context.Context, t *table) error {
	for _, id := range d.m.host.Network().Peers() {
		t.add(id, d.protocol())
	}
	if t.dht.RoutingTable().Size() >= dhtEntries {
		return nil
	}
	ways := d.entries()
	rand.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	met := make(chan bool, len(ways))
	for _, w := range ways[:min(len(ways), dhtEntryDials)] {
		d.m.wg.Go(func() {
			before := d.m.linked(w.ID) // for another reason, which may last
			err := d.m.host.Connect(ctx, w)
			if err == nil {
				if !before {
					t.host.meet(w.ID, nil)
				}
				t.add(w.ID, d.protocol())
			}
			met <- err == nil
		})
	}
	for range min(len(ways), dhtEntryDials) {
		if <-met && t.dht.RoutingTable().Size() >= dhtEntries {
			return nil // the others go on by themselves
		}
	}
	if t.dht.RoutingTable().Size() == 0 {
		return ErrNoDirectory
	}
	return nil
}

// add takes a linked peer into the table if it keeps the directory.
func (t *table) add(id peer.ID, proto protocol.ID) {
	if has, err := t.host.Peerstore().SupportsProtocols(id, proto); err == nil && len(has) > 0 {
		_, _ = t.dht.RoutingTable().TryAddPeer(id, true, false)
	}
}

// entries are peers that may keep the directory.
func (d *directory) entries() []peer.AddrInfo {
	if d.m.cfg.DHT == DHTPublic {
		return dht.GetDefaultBootstrapPeerAddrInfos()
	}
	return d.m.entries()
}

// entries are peers that may be there for others: named by the caller, or relays.
func (m *Mesh) entries() []peer.AddrInfo {
	by := map[wire.PeerKey][]string{}
	add := func(full string) {
		if key, addr, err := ParseAddr(full); err == nil && key != m.self {
			by[key] = append(by[key], addr)
		}
	}
	if m.cfg.DHTPeers != nil {
		for _, a := range m.cfg.DHTPeers() {
			add(a)
		}
	}
	for _, a := range m.cfg.Relays {
		add(a)
	}
	var out []peer.AddrInfo
	for key, addrs := range by {
		out = append(out, addrInfo(key, addrs))
	}
	return out
}

// Publish lists this device under each key and tells how many it could be
// listed under. Who keeps the records learns the device's peer key and its
// addresses, and the key, from which nothing follows.
func (m *Mesh) Publish(ctx context.Context, keys [][32]byte) (int, error) {
	t, done, err := m.directory.use()
	if err != nil {
		return 0, err
	}
	defer done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if err := m.directory.enter(ctx, t); err != nil {
		return 0, err
	}
	listed := 0
	for _, k := range keys {
		one, cancel := context.WithTimeout(ctx, publishTime)
		failed := t.dht.Provide(one, cidOf(k), true)
		cancel()
		if failed != nil {
			err = fmt.Errorf("listing this device: %w", failed)
		} else {
			listed++
		}
		if ctx.Err() != nil {
			break
		}
	}
	m.stats.listed.Add(uint64(listed))
	return listed, err
}

// Found is who was found in the directory: nobody's word but that of who keeps
// it, so neither that the peer is there nor that it has to do with the key.
type Found struct {
	Peer  wire.PeerKey
	Addrs []string // without /p2p; those that may be dialled
}

// Find looks up who is listed under the keys, all at once, and tells found of
// each peer that want says yes to, as they come; a peer is told again when
// another address of it comes. It returns when all lookups are over, ctx is
// done, or maxFound peers were told.
func (m *Mesh) Find(ctx context.Context, keys [][32]byte, want func(wire.PeerKey) bool, found func(Found)) error {
	t, done, err := m.directory.use()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if err := m.directory.enter(ctx, t); err != nil {
		return err
	}
	all := make(chan peer.AddrInfo)
	var looking sync.WaitGroup
	for _, k := range keys {
		m.wg.Add(1)
		looking.Add(1)
		go func() {
			defer m.wg.Done()
			defer looking.Done()
			for ai := range t.dht.FindProvidersAsync(ctx, cidOf(k), maxHeard) {
				select {
				case all <- ai:
				case <-ctx.Done():
				}
			}
		}()
	}
	m.wg.Go(func() {
		looking.Wait()
		close(all)
	})
	told := map[wire.PeerKey]map[string]bool{}
	for ai := range all {
		key, ok := keyOf(ai.ID)
		if !ok || key == m.self || !m.gater.allows(ai.ID) || !want(key) || told[key] == nil && len(told) == maxFound {
			continue
		}
		f := Found{Peer: key}
		for _, a := range m.worthDialling(ai.Addrs) {
			if text := a.String(); !told[key][text] && len(told[key]) < maxAddrs {
				if told[key] == nil {
					told[key] = map[string]bool{}
				}
				told[key][text] = true
				f.Addrs = append(f.Addrs, text)
			}
		}
		if len(f.Addrs) > 0 {
			found(f)
		}
	}
	return nil
}

// cidOf names a key as the directory does: the raw CIDv1 of the block whose
// SHA-256 the key is.
func cidOf(key [32]byte) cid.Cid {
	mh, err := multihash.Encode(key[:], multihash.SHA2_256)
	if err != nil {
		panic("internal error: multihash: " + err.Error())
	}
	return cid.NewCidV1(cid.Raw, mh)
}

// listable is what may stand in a record, of this device or another: what may be
// dialled from here, best first, and in the public directory only what can be
// dialled from anywhere.
func (m *Mesh) listable(addrs []ma.Multiaddr) []ma.Multiaddr {
	out := m.dialworthy(addrs)
	if m.cfg.DHT == DHTPublic {
		public := out[:0]
		for _, a := range out {
			if reachOf(a) == ReachPublic {
				public = append(public, a)
			}
		}
		return public
	}
	return out
}

// worthDialling keeps, of addresses that others told, those that may be dialled
// (node/PROTOCOLS.md N6), best first and at most maxAddrs. What is left out is
// counted.
func (m *Mesh) worthDialling(addrs []ma.Multiaddr) []ma.Multiaddr {
	out := m.dialworthy(addrs)
	m.stats.undialled.Add(uint64(len(addrs) - len(out)))
	return out
}

func (m *Mesh) dialworthy(addrs []ma.Multiaddr) []ma.Multiaddr {
	may := m.trying()
	out := slices.DeleteFunc(slices.Clone(addrs[:min(len(addrs), maxTold)]), func(a ma.Multiaddr) bool { return !may(a) })
	return byReach(out)
}

// DHTState is how the directory stands.
type DHTState struct {
	Mode    DHTMode
	Serving bool // keeps records for others
	Open    bool // a table is open
	Servers int  // in it
}

// Directory tells how the directory stands.
func (m *Mesh) Directory() DHTState {
	d := m.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	s := DHTState{Mode: m.cfg.DHT, Serving: d.serving, Open: d.table != nil}
	if d.table != nil {
		s.Servers = d.table.dht.RoutingTable().Size()
	}
	return s
}
