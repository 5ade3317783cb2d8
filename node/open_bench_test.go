package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/store"
)

// BenchmarkOpenGroup is what a node that starts does for one group of 500 with
// 4 000 control operations, of which it is the founder and holds all keys: from
// the store until the room answers, 2 000 and a hundred beside it.
func BenchmarkOpenGroup(b *testing.B) {
	for _, c := range []groupstest.Crowd{
		{Members: 100, Ops: 2000, Branches: 8, Apart: 10},
		{Members: 500, Ops: 4000, Branches: 8, Apart: 10},
	} {
		b.Run(fmt.Sprint(c.Members), func(b *testing.B) {
			n := testNode(b, "Ann")
			g, _ := storeCrowd(b, n, c, c.Ops)
			var wall, cpu []time.Duration
			for b.Loop() {
				began, used := time.Now(), processorTime(b)
				r := n.newRoom(g)
				if err := r.load(); err != nil {
					b.Fatal(err)
				}
				r.show()
				wall, cpu = append(wall, time.Since(began)), append(cpu, processorTime(b)-used)
			}
			b.ReportMetric(medianMs(wall), "ms")
			b.ReportMetric(medianMs(cpu), "cpu-ms")
		})
	}
}

func medianMs(of []time.Duration) float64 {
	slices.Sort(of)
	return float64(of[len(of)/2].Microseconds()) / 1000
}

// BenchmarkTakeControl is what the other half of 4 000 control operations costs
// a member who was away, as sync brings them, many at once, and as gossip does,
// one by one: signatures, rules, disk, and what others see.
func BenchmarkTakeControl(b *testing.B) {
	for _, c := range []struct {
		how         string
		many, batch int
	}{{"sync", 2000, 256}, {"gossip", 200, 1}} {
		b.Run(c.how, func(b *testing.B) { benchTakeControl(b, c.many, c.batch) })
	}
}

func benchTakeControl(b *testing.B, many, batch int) {
	const ops, stored = 4000, 2000
	later := time.UnixMilli(groupstest.StartMs).AddDate(1, 0, 0)
	var wall, cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		n := startNode(b, b.TempDir(), "Ann", func(cfg *Config) { cfg.Now = func() time.Time { return later } })
		g, all := storeCrowd(b, n, groupstest.Crowd{Members: 500, Ops: ops, Branches: 8, Apart: 10}, stored)
		r := must[*room](b)(n.openRoom(g))
		var missed []*groups.Op
		for _, o := range all[stored : stored+many] {
			fresh, refusal := groups.Decode(o.Frame())
			if refusal != nil {
				b.Fatal(refusal)
			}
			missed = append(missed, fresh)
		}
		began, used := time.Now(), processorTime(b)
		b.StartTimer()
		for part := range slices.Chunk(missed, batch) {
			err := r.step(b.Context(), func(c *commit) error {
				if got := r.ingest(c, wire.PeerKey{}, part, false); got != len(part) {
					return fmt.Errorf("%d of %d taken", got, len(part))
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		wall, cpu = wall+time.Since(began), cpu+processorTime(b)-used
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N*many), "cpu-µs/operation")
	b.ReportMetric(float64(b.N*many)/wall.Seconds(), "operations/s")
}

// storeCrowd puts the first operations of a made-up group on a node's disk,
// founded by its device, and gives all.
func storeCrowd(b *testing.B, n *Node, c groupstest.Crowd, upto int) (wire.GroupID, []*groups.Op) {
	b.Helper()
	c.Founder = &groupstest.Person{Name: "Ann", Account: n.dev.account(), Keys: n.dev.keys, Chain: n.dev.chain, KEMSeed: [32]byte{1}}
	founder, ops := c.Play(4)
	g := founder.Log.Group()
	for chunk := range slices.Chunk(ops[:upto], 500) {
		err := n.store.Update(b.Context(), func(tx *store.Tx) error {
			if err := tx.PutGroup(store.GroupRow{ID: g, Meta: wire.Marshal(groupMeta{V: 1, CreatedMs: ops[0].HLC})}); err != nil {
				return err
			}
			if err := tx.PutKEM(g, kemSlot(seal.KEMPublic(founder.KEMSeed)), founder.KEMSeed, 1); err != nil {
				return err
			}
			for _, o := range chunk {
				if err := tx.PutOp(g, o.IncID(), uint8(o.Chain), o.Seq, o.ID, o.Frame()); err != nil {
					return err
				}
				if err := tx.PutHead(g, o.IncID(), uint8(o.Chain), store.Head{Seq: o.Seq, ID: o.ID}); err != nil {
					return err
				}
				if body, ok := o.Body.(*groups.RekeyBody); ok {
					if err := tx.PutEpoch(g, body.EID, body.WrapRoot, o.HLC); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return g, ops
}
