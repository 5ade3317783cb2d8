package node

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mutuals/groups"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// measures are counts since the start. They and what Metrics makes of them name
// nobody and no group: a label is one of a closed list.
type measures struct {
	in, out atomic.Uint64 // operations of content of others, and of this device
}

// count notes what a commit took in.
func (n *Node) count(taken, own []*groups.Op) {
	words := func(ops []*groups.Op) (count uint64) {
		for _, op := range ops {
			if op.Chain == groups.Content {
				count++
			}
		}
		return count
	}
	out := words(own)
	n.measures.out.Add(out)
	n.measures.in.Add(words(taken) - out)
}

// Metrics gives what can be measured of this node, as of when it is gathered.
func (n *Node) Metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(meter{n}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// meter reads the node when it is asked.
type meter struct{ n *Node }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mutuals_"+name, help, labels, nil)
}

// What is measured. A rule for whoever adds to it: no label may hold a name, an
// id or an address of anybody.
var (
	descBuild    = desc("build_info", "1, with the version of this node.", "version")
	descReady    = desc("ready", "1 once there is an identity and the node serves it.")
	descContent  = desc("content_operations_total", "What was said, taken in of others (in) and by this device (out): messages, changes to them and profiles, which a harbor cannot tell apart.", "direction")
	descFrames   = desc("gossip_frames_total", "Frames of gossip.", "event")
	descDrops    = desc("drops_total", "What was not taken, kept or passed on, by cause.", "cause")
	descStreams  = desc("stream_bytes_total", "Bytes of whole frames read (in) and written (out) on streams, by protocol.", "protocol", "direction")
	descGroups   = desc("groups", "Groups by how this node stands in them.", "standing")
	descPeers    = desc("peers", "Linked peers by the way the link goes.", "path")
	descAddrs    = desc("addresses", "Own addresses that are told others, by from where they can be dialled.", "reach")
	descReach    = desc("reachable", "Whether others say they can dial this node at a public address: 1 yes, 0 no, -1 not known.")
	descStore    = desc("store_bytes", "Bytes of the store's files.")
	descFree     = desc("disk_free_bytes", "Bytes that may still be written on the store's disk.")
	descKept     = desc("harbor_used_bytes", "Bytes kept for groups of others.")
	descQuota    = desc("harbor_quota_bytes", "Bytes that may be kept for groups of others; 0 if this is no harbor.")
	descPlaces   = desc("relay_places", "Peers with a place at this relay.")
	descCircuits = desc("relay_circuits", "Links carried by this relay now.")
	descCarried  = desc("relay_bytes_total", "Bytes carried by this relay.")
)

// Describe tells that what is collected is not known beforehand: without an
// identity there is little.
func (meter) Describe(chan<- *prometheus.Desc) {}

func (m meter) Collect(to chan<- prometheus.Metric) {
	n := m.n
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descBuild, 1, n.cfg.Version)
	if !n.begun.Load() {
		gauge(descReady, 0)
		return
	}
	gauge(descReady, 1)
	counter(descContent, n.measures.in.Load(), "in")
	counter(descContent, n.measures.out.Load(), "out")

	s := n.mesh.Stats()
	for event, v := range map[string]uint64{"published": s.Published, "delivered": s.Delivered, "duplicate": s.Duplicates} {
		counter(descFrames, v, event)
	}
	for cause, v := range map[string]uint64{
		"rejected": s.Rejected, "ignored": s.Ignored, "stranger": s.Strangers, "queue_out": s.DropsOut, "queue_in": s.DropsIn,
		"room_full": n.stats.dropped.Load(), "streams": s.StreamsRefused, "undialled": s.Undialled, "relay_refused": s.RelayRefused,
	} {
		counter(descDrops, v, cause)
	}
	traffic := n.mesh.Traffic()
	for _, proto := range slices.Sorted(maps.Keys(traffic)) {
		counter(descStreams, traffic[proto].In, proto, "in")
		counter(descStreams, traffic[proto].Out, proto, "out")
	}

	standing := map[string]int{"member": 0, "waiting": 0, "harbor": 0, "left": 0}
	for _, r := range n.openRooms() {
		switch v := r.view.Load(); {
		case v.office.Appointed:
			standing["harbor"]++
		case v.seated():
			standing["member"]++
		case v.waits():
			standing["waiting"]++
		default:
			standing["left"]++
		}
	}
	for name, v := range standing {
		gauge(descGroups, float64(v), name)
	}
	paths := map[mesh.Path]int{mesh.PathDirect: 0, mesh.PathPunched: 0, mesh.PathRelayed: 0}
	for _, p := range n.mesh.Peers() {
		paths[p.Path]++
	}
	for path, v := range paths {
		gauge(descPeers, float64(v), path.String())
	}
	reach := map[string]int{"public": 0, "lan": 0, "loopback": 0, "relayed": 0}
	for _, a := range n.mesh.Addrs() {
		reach[reachWord(a)]++
	}
	for word, v := range reach {
		gauge(descAddrs, float64(v), word)
	}
	gauge(descReach, map[string]float64{api.Public: 1, api.Private: 0, api.Unguessed: -1}[n.reachability()])

	gauge(descStore, float64(sizeOf(n.home.path(dirStore))))
	gauge(descFree, float64(n.store.Disk().Free))
	quota := uint64(0)
	if n.cfg.Harbor {
		quota = n.cfg.HarborQuota
	}
	gauge(descQuota, float64(quota))
	gauge(descKept, float64(n.harbored.Load()))
	relay := n.mesh.Relayed()
	gauge(descPlaces, float64(relay.Places))
	gauge(descCircuits, float64(relay.Circuits))
	counter(descCarried, relay.Bytes)
}

// sizeOf adds up the files of a folder; what goes meanwhile is not counted.
func sizeOf(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += blocks(info)
		}
		return nil
	})
	return sum
}
