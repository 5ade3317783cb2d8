package node

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/node/api"
)

// metricLabels are the labels there are and what each may be: lists that are
// closed in the code, or numbers. Whoever adds one decides here that it can
// name nobody.
var metricLabels = map[string]*regexp.Regexp{
	"mutuals_build_info version":                 regexp.MustCompile(`^v0-test$`),
	"mutuals_content_operations_total direction": regexp.MustCompile(`^(in|out)$`),
	"mutuals_gossip_frames_total event":          regexp.MustCompile(`^(published|delivered|duplicate)$`),
	"mutuals_drops_total cause":                  regexp.MustCompile(`^[a-z_]{1,16}$`),
	"mutuals_stream_bytes_total protocol":        regexp.MustCompile(`^/mutuals/[a-z]{1,12}/[0-9]$`),
	"mutuals_stream_bytes_total direction":       regexp.MustCompile(`^(in|out)$`),
	"mutuals_groups standing":                    regexp.MustCompile(`^(member|waiting|harbor|left)$`),
	"mutuals_peers path":                         regexp.MustCompile(`^(direct|punched|relayed)$`),
	"mutuals_addresses reach":                    regexp.MustCompile(`^(public|lan|loopback|relayed)$`),
	"go_info version":                            regexp.MustCompile(`^go1\.|^devel`),
	"go_gc_duration_seconds quantile":            regexp.MustCompile(`^[0-9.]+$`),
}

// The metrics of a node that knows people, is in a group and keeps another's
// count what happened, and no label of them names a person, a group, a peer or an
// address.
func TestMetricsNameNobody(t *testing.T) {
	t.Parallel()
	change := func(c *Config) {
		c.Harbor, c.Version, c.Relaying = true, "v0-test", Relaying{Service: api.On, For: api.RelayForAnyone}
	}
	ann, bo := startNode(t, t.TempDir(), "Annabel", change), startNode(t, t.TempDir(), "Bonaventure", change)
	appoint(t, bo, ann, newGroup(t, bo, api.GroupCreate{Name: "Kingfisher"}), api.RightStore)
	g := newGroup(t, ann, api.GroupCreate{Name: "Nightingale"})
	join(t, bo, invite(t, ann, g, 1, "1d"))
	say(t, bo, g, "first")
	hears(t, ann, g, "first")
	say(t, ann, g, "second")
	say(t, ann, g, "third")
	within(t, ann, patience, "all that is held to be counted", func() bool {
		in, out := contents(t, ann)
		now := gathered(t, ann)
		return out >= 2 && now["mutuals_content_operations_total in"] == in && now["mutuals_content_operations_total out"] == out
	})

	got := gathered(t, ann)
	for name, want := range map[string]float64{
		"mutuals_groups member": 1, "mutuals_groups harbor": 1,
		"mutuals_ready": 1, "mutuals_peers direct": 1, "mutuals_reachable": -1, "mutuals_harbor_quota_bytes": float64(ann.cfg.HarborQuota),
	} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for _, name := range []string{"mutuals_store_bytes", "mutuals_disk_free_bytes", "mutuals_stream_bytes_total in /mutuals/sync/1", "mutuals_stream_bytes_total out /mutuals/sync/1"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
}

// contents counts the operations of content that a node holds, of others and
// its own.
func contents(t *testing.T, n *Node) (in, out float64) {
	t.Helper()
	for _, r := range n.openRooms() {
		inRoom(t, n, r.group, func(r *room) {
			for at, e := range r.heads {
				switch {
				case at.chain != groups.Content:
				case at.inc == r.view.Load().me:
					out += float64(e.Seq)
				default:
					in += float64(e.Seq)
				}
			}
		})
	}
	return in, out
}

// gathered returns the values of a node's metrics by name and labels, all of
// which it holds against what they may be.
func gathered(t *testing.T, n *Node) map[string]float64 {
	t.Helper()
	families, err := n.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{n.ownName(), n.dev.account().String(), n.mesh.Self().String(), n.mesh.Self().Short()}
	for _, r := range n.openRooms() {
		names = append(names, r.group.String(), r.group.Short())
		if name := r.view.Load().meta.Name; name != "" {
			names = append(names, name)
		}
	}
	for _, p := range n.mesh.Peers() {
		names = append(names, p.Peer.String(), p.Peer.Short(), p.Addr)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				at, v := f.GetName()+" "+l.GetName(), l.GetValue()
				name += " " + v
				if may := metricLabels[at]; may == nil || !may.MatchString(v) {
					t.Errorf("the label %s is %q: is it sure to name nobody?", at, v)
				}
				if _, err := netip.ParseAddr(v); err == nil || slices.ContainsFunc(names, func(s string) bool { return strings.Contains(v, s) }) {
					t.Errorf("the label %s names somebody: %q", at, v)
				}
			}
			out[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() // it is one of them
		}
	}
	return out
}

func TestPublicWords(t *testing.T) {
	t.Parallel()
	lan, public := []string{"/ip4/192.168.0.4/tcp/4101"}, []string{"/ip4/10.0.0.4/tcp/4101", "/ip4/8.8.4.4/tcp/4101"}
	for _, c := range []struct {
		relay, reachability string
		addrs               []string
		level, title        string
	}{
		{api.RelayOnly, api.Private, nil, "warning", "by relays only"},
		{api.RelayAuto, api.Private, public, "warning", "its port is closed"},
		{api.RelayAuto, api.Unguessed, lan, "warning", "no public address"},
		{api.RelayAuto, api.Public, nil, "warning", "no public address"},
		{api.RelayAuto, api.Unguessed, public, "warning", "at /ip4/8.8.4.4/tcp/4101; nobody has tried"},
		{api.RelayOff, api.Public, public, "ok", "others dial it at /ip4/8.8.4.4/tcp/4101"},
	} {
		f := publicWords("a relay", c.relay, c.reachability, c.addrs)
		if f.Level != c.level || !strings.Contains(f.Title, c.title) || f.Level != "ok" && f.Hint == "" {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}
