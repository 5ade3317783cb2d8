package node

import (
	"flag"
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

var pageMessages = flag.Int("page-messages", 10_000, "how many messages the group of BenchmarkFirstPage holds, without -fill-home")

// BenchmarkFirstPage is C2: a newcomer to a group of 100 that said much, from the
// moment it counts itself in until the newest page of 50 is in its timeline,
// decrypted and the same as the sponsor's. Beside it, from the same
// sponsor to the same newcomer: a stream opened, hello and vector, and 50
// operations asked for and read. With -fill-home the group is that of TestFillHome.
func BenchmarkFirstPage(b *testing.B) {
	var ann *Node
	var g wire.GroupID
	if *fillHome != "" {
		ann = startNode(b, *fillHome, "Ann", nil)
		g = must[[]api.Group](b)(ann.Groups(b.Context()))[0].ID
	} else {
		ann = testNode(b, "Ann")
		seats := 128
		g = newGroup(b, ann, api.GroupCreate{Cap: &seats})
		fill(b, ann, g, crowdOf(b, ann, g, 99), *pageMessages, func() {})
	}
	newest := func(n *Node) (ids []wire.OpID) {
		page := must[api.MessagePage](b)(n.Messages(b.Context(), g, api.Page{Limit: 50}))
		for _, m := range page.Items {
			if m.Kind == "text" {
				ids = append(ids, m.ID)
			}
		}
		return ids
	}
	want := newest(ann)
	var pages, bare, joins []time.Duration
	var left []float64
	for b.Loop() {
		inv := invite(b, ann, g, 1, "")
		bo := startNode(b, b.TempDir(), "Bo", nil)
		pasted := time.Now()
		join(b, bo, inv)
		began := time.Now()
		joins = append(joins, began.Sub(pasted))
		within(b, bo, patience, "the newest page", func() bool {
			have := newest(bo)
			return len(have) > 40 && !slices.ContainsFunc(want[len(want)-40:], func(id wire.OpID) bool { return !slices.Contains(have, id) })
		})
		pages = append(pages, time.Since(began))
		inRoom(b, bo, g, func(r *room) {
			missing, _ := r.olderMissing()
			left = append(left, float64(missing))
		})
		bare = append(bare, onePage(b, bo, ann, g))
		if err := bo.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(medianMs(joins), "join-ms")
	b.ReportMetric(medianMs(pages), "page-ms")
	b.ReportMetric(medianMs(bare), "bare-ms")
	b.ReportMetric(slices.Max(left), "older-left")
}

// onePage has one node ask another for 50 operations, and reads them.
func onePage(b *testing.B, asker, server *Node, g wire.GroupID) time.Duration {
	b.Helper()
	began := time.Now()
	s, err := asker.mesh.Open(b.Context(), server.mesh.Self(), protocolSync)
	ok(b, err)
	defer s.Close()
	ok(b, writeSync(s, &groups.SyncHello{V: groups.SyncVersion, Group: g}))
	must[groups.SyncMessage](b)(readSync(s))
	vector := must[groups.Vector](b)(readVector(s))
	at := slices.IndexFunc(vector, func(e groups.VectorEntry) bool {
		return groups.ChainKind(e.Chain) == groups.Content && e.Seq >= 50
	})
	if at < 0 {
		b.Fatal("nobody said fifty things")
	}
	e := vector[at]
	ok(b, writeSync(s, &groups.SyncWant{Wants: []groups.Want{{Inc: e.Inc, Chain: e.Chain, From: e.Seq - 49, To: e.Seq}}, NewestFirst: true}))
	for {
		switch must[groups.SyncMessage](b)(readSync(s)).(type) {
		case *groups.SyncDone:
			return time.Since(began)
		case *groups.Segment:
		default:
			b.Fatal("neither segment nor done")
		}
	}
}
