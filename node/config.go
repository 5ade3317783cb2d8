package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// Config says how one node runs. The zero value with a Home is sane: it
// listens on every interface on ports it chooses once and keeps.
type Config struct {
	// Home is the folder that holds everything of this node. Required.
	Home string
	// Listen holds multiaddrs; empty means QUIC and TCP on all interfaces.
	Listen []string
	// Bootstrap holds multiaddrs with /p2p of peers to dial at start.
	Bootstrap []string
	// Relaying overrules what the person has set of it.
	Relaying Relaying
	// DHT is the directory in which devices find each other without addresses:
	// private, public or off; empty is off.
	DHT string
	// Lobby takes part in the topics of passcodes, on which who holds one and who
	// lets people in by it tell each other where they are, and carries them for
	// others if this node is there for others.
	Lobby bool
	// NoMDNS turns off finding peers on the local network.
	NoMDNS bool
	// Harbor offers storage to groups of others; HarborQuota is how many bytes
	// all of them together may take, 0 for DefaultHarborQuota.
	Harbor      bool
	HarborQuota uint64
	// Serve names accounts that this node is there for as a harbor and a relay,
	// beside those it serves anyway; whom its person blocked it serves not.
	Serve []wire.AccountID
	// Version is shown in status and told to no stranger.
	Version string
	// Log receives short ids and counts; never content, keys or passcodes.
	Log *slog.Logger

	// Now is the clock; nil means time.Now. Ticks come from package time, so
	// a simulation replaces both by running in a bubble.
	Now func() time.Time
	// Rand is the source of keys and salts; nil means crypto/rand.
	Rand io.Reader
	// Mesh, if not nil, may change how the node reaches the network. Tests
	// put a simulated network here.
	Mesh func(*mesh.Config)
	// Ballast keeps a file of 64 MiB beside the store, to be deleted when the
	// disk is so full that the store could not be opened or closed.
	Ballast bool
	// FreeSpace replaces the question to the file system in tests.
	FreeSpace func(dir string) (uint64, error)
	// MemTable is the store's (store.Options): 0 for the usual. A simulation of
	// many nodes makes it small.
	MemTable int64
}

// DefaultHarborQuota is what a harbor gives unless told otherwise: years of a
// group's words.
const DefaultHarborQuota = 1 << 30

// Validate fills defaults in and refuses what cannot run.
func (c *Config) Validate() error {
	if c.Home == "" {
		return errors.New("no home folder given")
	}
	for _, list := range [][]string{c.Listen, c.Bootstrap} {
		for _, a := range list {
			if !strings.HasPrefix(a, "/") {
				return fmt.Errorf("address %q is not a multiaddr: write /ip4/127.0.0.1/tcp/0 or the like", a)
			}
		}
	}
	if why := c.Relaying.check(); why != "" {
		return errors.New(why)
	}
	if !slices.Contains([]string{"", api.DHTOff, api.DHTPrivate, api.DHTPublic}, c.DHT) {
		return fmt.Errorf("the directory is %s, %s or %s, not %q", api.DHTOff, api.DHTPrivate, api.DHTPublic, c.DHT)
	}
	if c.HarborQuota == 0 {
		c.HarborQuota = DefaultHarborQuota
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return nil
}
