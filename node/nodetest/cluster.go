package nodetest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mutuals/identity/wire"
	"mutuals/node"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
	"mutuals/store"
)

// Options say what a cluster is like; the zero value is a quiet network.
type Options struct {
	Seed uint64        // of everything a test draws, and of jitter and loss
	Link meshtest.Link // its Seed is overwritten
	Log  io.Writer     // what the nodes log, with levels from debug; nil: nothing
	// Begin has each node dial, when it starts, the harbors that are there; Lobby lets
	// the nodes take part in the lobby.
	Begin, Lobby bool
}

// Cluster is people with a node each, on one network, and a group of theirs.
type Cluster struct {
	T      *testing.T
	Net    *meshtest.Net
	Rand   *rand.Rand
	People []*Person // in the order they came, whether on or off
	Group  wire.GroupID
	Said   map[string]*Person // what was said, by whom

	parts  [][]*Person // of a network that is cut
	behind *Person     // who was compared last
	begin  bool
	lobby  bool
	log    io.Writer
	dir    string
	wall   time.Time
	cpu    time.Duration
}

// Person is somebody with one node.
type Person struct {
	Name    string
	Account wire.AccountID
	Peer    wire.PeerKey
	Node    *node.Node // nil while it is off
	Out     bool       // was removed from the group, or left it
	Doubted bool       // came in where a removal of who let it in may not have been known: the group may have to void its seat
	home    string
	harbor  bool // its node keeps groups for others
}

// Play runs a story in virtual time on a new cluster, and ends the cluster.
// It prints the seed and what the story took.
func Play(t *testing.T, o Options, story func(*Cluster)) {
	t.Helper()
	dir := homesOf(t) // outside the bubble: it outlives what is inside
	t.Logf("seed %d", o.Seed)
	if err := compressOutside(filepath.Join(dir, "outside")); err != nil {
		t.Fatal(err)
	}
	began, cpu := wall(), processor()
	synctest.Test(t, func(t *testing.T) {
		o.Link.Seed = o.Seed
		c := &Cluster{
			T: t, Net: meshtest.NewNet(o.Link), Rand: rand.New(rand.NewPCG(o.Seed, 2)),
			Said: map[string]*Person{}, begin: o.Begin, lobby: o.Lobby, log: o.Log, dir: dir, wall: began, cpu: cpu,
		}
		defer c.Net.Close()
		defer func() {
			for _, p := range c.People {
				c.Stop(p)
			}
		}()
		start := time.Now()
		story(c)
		c.Logf("over after %v; %d MB on the wire", time.Since(start).Round(time.Millisecond), c.Net.Sent()/1e6)
	})
}

// compressOutside has a store write a table and read it. What (de)compresses
// tables is made once in a process, with channels: made in a bubble, it would be
// forbidden to the next.
func compressOutside(dir string) error {
	for range 2 {
		s, err := store.Open(dir, [32]byte{1}, store.Options{
			FreeSpace: func(string) (uint64, error) { return 1 << 40, nil },
		})
		if err != nil {
			return err
		}
		err = s.Update(context.Background(), func(tx *store.Tx) error {
			if _, _, err := tx.Setting("row"); err != nil {
				return err
			}
			return tx.PutSetting("row", bytes.Repeat([]byte("row "), 1000))
		})
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
	}
	return nil
}

// wall is the time of day outside the bubble.
func wall() time.Time {
	var tv syscall.Timeval
	if err := syscall.Gettimeofday(&tv); err != nil {
		return time.Time{}
	}
	return time.Unix(tv.Unix())
}

// processor is the processor time that this process took so far.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Logf logs with the wall time and the processor time since the beginning.
func (c *Cluster) Logf(format string, args ...any) {
	c.T.Helper()
	c.T.Logf("[wall %5.1fs, processor %5.1fs] %s",
		wall().Sub(c.wall).Seconds(), (processor() - c.cpu).Seconds(), fmt.Sprintf(format, args...))
}

// Add gives somebody a node and an account.
func (c *Cluster) Add(name string) *Person {
	c.T.Helper()
	return c.add(&Person{Name: name, home: filepath.Join(c.dir, name)})
}

// Harbor gives somebody a node that keeps groups for others; it is in none.
func (c *Cluster) Harbor(name string) *Person {
	c.T.Helper()
	return c.add(&Person{Name: name, home: filepath.Join(c.dir, name), harbor: true, Out: true})
}

func (c *Cluster) add(p *Person) *Person {
	c.T.Helper()
	if err := os.Mkdir(p.home, 0o700); err != nil {
		c.T.Fatal(err)
	}
	c.Start(p)
	id, err := p.Node.CreateIdentity(c.ctx(), api.IdentityCreate{Name: p.Name})
	if err != nil {
		c.T.Fatalf("%s: making an identity: %v", p.Name, err)
	}
	p.Account = id.Account
	c.People = append(c.People, p)
	return p
}

// Start opens a person's node, anew after Stop.
func (c *Cluster) Start(p *Person) {
	c.T.Helper()
	cfg := node.Config{
		Home: p.home, NoMDNS: true, Harbor: p.harbor, Relaying: node.Relaying{Relay: api.RelayOff},
		// The ballast and the sentinel are about this machine's disk.
		FreeSpace: func(string) (uint64, error) { return 1 << 40, nil },
		MemTable:  memTable,
		Mesh: func(m *mesh.Config) {
			copy(p.Peer[:], m.Key.Public().(ed25519.PublicKey))
			*m = c.Net.Config(*m)
		},
	}
	if cfg.Lobby = c.lobby; c.begin {
		cfg.Bootstrap = c.harbors()
	}
	if c.log != nil {
		cfg.Log = slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", p.Name)
	}
	n, err := node.Open(context.Background(), cfg)
	if err != nil {
		c.T.Fatalf("%s: %v", p.Name, err)
	}
	p.Node = n
}

// harbors are the addresses of harbors that are on.
func (c *Cluster) harbors() (addrs []string) {
	for _, p := range c.People {
		if !p.harbor || p.Node == nil {
			continue
		}
		now, err := p.Node.Network(c.ctx())
		if err != nil {
			c.T.Fatalf("%s: asking for its addresses: %v", p.Name, err)
		}
		addrs = append(addrs, now.Addrs...)
	}
	return addrs
}

// Stop closes a person's node; its home stays.
func (c *Cluster) Stop(p *Person) {
	c.T.Helper()
	if p.Node == nil {
		return
	}
	if err := p.Node.Close(); err != nil {
		c.T.Errorf("%s: closing: %v", p.Name, err)
	}
	p.Node = nil
}

// Lose ends a person's node for good: its home is deleted.
func (c *Cluster) Lose(p *Person) {
	c.T.Helper()
	c.Stop(p)
	if err := os.RemoveAll(p.home); err != nil {
		c.T.Fatal(err)
	}
}

// Sleep lets time pass with every node switched off, and switches those on
// again whose home there is: days cost nothing.
func (c *Cluster) Sleep(d time.Duration) {
	c.T.Helper()
	var on []*Person
	for _, p := range c.People {
		if p.Node != nil {
			on = append(on, p)
			c.Stop(p)
		}
	}
	time.Sleep(d)
	for _, p := range on {
		c.Start(p)
	}
}

// Crash ends a person's node as a power cut would: nobody is told, and what do
// does just before is heard by nobody. The others take its links for alive.
func (c *Cluster) Crash(p *Person, do func()) {
	c.T.Helper()
	var rest []*Person
	for _, o := range c.People {
		if o != p {
			rest = append(rest, o)
		}
	}
	c.Net.Partition(peers([]*Person{p}), peers(rest))
	do()
	c.Stop(p)
	c.Cut(c.parts...)
}

// Cut parts the network: people of different parts do not hear each other, and
// who is in none hears everybody. Without parts it is whole again.
func (c *Cluster) Cut(parts ...[]*Person) {
	c.parts = parts
	keys := make([][]wire.PeerKey, len(parts))
	for i, part := range parts {
		keys[i] = peers(part)
	}
	c.Net.Partition(keys...)
}

// AddNear is Add, into the part of the network where somebody is.
func (c *Cluster) AddNear(by *Person, name string) *Person {
	c.T.Helper()
	p := c.Add(name)
	for i, part := range c.parts {
		if slices.Contains(part, by) {
			c.parts[i] = append(slices.Clip(part), p)
		}
	}
	c.Cut(c.parts...)
	return p
}

// Members lists those whose node is on and who are in the group.
func (c *Cluster) Members() []*Person {
	var out []*Person
	for _, p := range c.People {
		if p.Node != nil && !p.Out {
			out = append(out, p)
		}
	}
	return out
}

func peers(people []*Person) []wire.PeerKey {
	var out []wire.PeerKey
	for _, p := range people {
		out = append(out, p.Peer)
	}
	return out
}

// Linked tells whether anybody of one side is linked with anybody of the
// other.
func (c *Cluster) Linked(here, there []*Person) bool {
	c.T.Helper()
	for _, p := range here {
		if p.Node == nil {
			continue
		}
		peers, err := p.Node.Peers(c.ctx())
		if err != nil {
			c.T.Fatal(err)
		}
		for _, o := range there {
			for _, q := range peers {
				if q.Peer == o.Peer.String() {
					return true
				}
			}
		}
	}
	return false
}

// Within waits until ok, at most d of virtual time, and returns how long it
// took; false if that was not enough.
func (c *Cluster) Within(d time.Duration, ok func() bool) (time.Duration, bool) {
	start := time.Now()
	for !ok() {
		if time.Since(start) >= d {
			return time.Since(start), false
		}
		time.Sleep(look)
	}
	return time.Since(start), true
}

// look is how often Within looks, in virtual time.
const look = 100 * time.Millisecond

func (c *Cluster) ctx() context.Context { return c.T.Context() }
