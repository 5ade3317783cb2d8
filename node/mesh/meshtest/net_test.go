package meshtest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

// Twenty nodes keep links to four others each, are cut in half for an hour,
// by when every wait for a redial has grown to minutes, and are one group
// again within 15 virtual seconds after healing, without anybody dialling by
// hand.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		net := meshtest.NewNet(meshtest.Link{Jitter: 30 * time.Millisecond})
		defer net.Close()
		var nodes []*mesh.Mesh
		var keys []wire.PeerKey
		var got [n]atomic.Int32
		var tops []*mesh.Topic
		for i := range n {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mesh.New(context.Background(), net.Config(mesh.Config{Key: key}))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			top, err := m.Join("talk", mesh.Gate{
				Allow:   func(wire.PeerKey) bool { return true },
				Judge:   func(wire.PeerKey, []byte, bool) (mesh.Verdict, any) { return mesh.Accept, nil },
				Deliver: func(wire.PeerKey, []byte, any) { got[i].Add(1) },
			})
			if err != nil {
				t.Fatal(err)
			}
			nodes, keys, tops = append(nodes, m), append(keys, m.Self()), append(tops, top)
		}
		for i, m := range nodes {
			for _, d := range []int{1, 2, 5, 9} {
				j := (i + d) % n
				m.Keep(keys[j], func() []string { return []string{net.Addr(keys[j])} })
			}
		}
		reached := func(from int) (c int) {
			for i := range got {
				got[i].Store(0)
			}
			if err := tops[from].Publish(context.Background(), fmt.Appendf(nil, "%d %v", from, time.Now())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for i := range got {
				c += int(got[i].Load())
			}
			return c
		}
		time.Sleep(5 * time.Second)
		if c := reached(0); c != n-1 {
			t.Errorf("before the cut: reached %d of %d", c, n-1)
		}
		net.Partition(keys[:n/2], keys[n/2:])
		time.Sleep(time.Hour)
		if c := reached(0); c != n/2-1 {
			t.Errorf("during the cut: reached %d of %d", c, n/2-1)
		}
		net.Heal()
		healed := time.Now()
		for reached(0) != n-1 || reached(n/2) != n-1 {
			if time.Since(healed) > 5*time.Minute {
				t.Fatal("the halves never met again")
			}
		}
		t.Logf("whole again %v after healing", time.Since(healed))
		if time.Since(healed) > 15*time.Second {
			t.Error("that is too long")
		}
	})
}
