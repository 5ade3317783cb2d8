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
			g := storeCrowd(b, n, c)
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

// storeCrowd puts a made-up group on a node's disk, founded by its device.
func storeCrowd(b *testing.B, n *Node, c groupstest.Crowd) wire.GroupID {
	b.Helper()
	c.Founder = &groupstest.Person{Name: "Ann", Account: n.dev.account(), Keys: n.dev.keys, Chain: n.dev.chain, KEMSeed: [32]byte{1}}
	founder, ops := c.Play(4)
	g := founder.Log.Group()
	for chunk := range slices.Chunk(ops, 500) {
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
	return g
}
