package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// pen is a device that only writes: it has a seat and a key, and no node.
type pen struct {
	inc  wire.OpID
	keys identity.DeviceKeys
}

// seatPens lets people in by hand, all at once, and gives their devices.
func seatPens(b testing.TB, n *Node, g wire.GroupID, count int) (pens []pen) {
	b.Helper()
	r := n.room(g)
	err := r.step(b.Context(), func(c *commit) error {
		for range count {
			entropy, err := identity.NewEntropy(rand.Reader)
			if err != nil {
				return err
			}
			root := entropy.Root()
			keys, err := identity.NewDeviceKeys(rand.Reader)
			if err != nil {
				return err
			}
			_, kemPk, err := seal.GenerateKEM(rand.Reader)
			if err != nil {
				return err
			}
			chain := identity.NewChain(root, keys, 1, 1, n.nowMs())
			req := groups.JoinRequest{
				V: 1, Group: g, Inviter: n.dev.account(), Newcomer: root.Account(), Chain: chain, Pop: keys.Prove(chain.Leaf()),
				KemPk: kemPk, Follow: 1, Ms: n.nowMs(),
			}
			if _, err := io.ReadFull(rand.Reader, req.Nonce[:]); err != nil {
				return err
			}
			op, err := r.own(c, groups.KindAdmit, &groups.AdmitBody{Request: req, Sig: req.Sign(keys.Op)})
			if err != nil {
				return err
			}
			pens = append(pens, pen{op.ID, keys})
		}
		return r.rekey(c)
	})
	if err != nil {
		b.Fatal(err)
	}
	return pens
}

// chatter has a group's devices say count messages of 300 bytes, in turn, as they
// would lie on the disk of a member that took them all in; pens write beside n.
// It returns how far each chain goes.
func chatter(b testing.TB, n *Node, g wire.GroupID, pens []pen, count int) (ends map[wire.OpID]uint64) {
	b.Helper()
	r := n.room(g)
	var all []pen
	inRoom(b, n, g, func(r *room) { all = append([]pen{{r.me, n.dev.keys}}, pens...) })
	ends = map[wire.OpID]uint64{}
	ms := n.nowMs()
	for said := 0; said < count; {
		err := r.step(b.Context(), func(c *commit) error {
			for range min(512, count-said) {
				p := all[said%len(all)]
				op, err := scribble(r, p, ms+uint64(said/len(all)), said)
				if err != nil {
					return err
				}
				r.take(c, op)
				ends[p.inc] = op.Seq
				said++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return ends
}

// scribble is one message of a pen under the group's newest epoch.
func scribble(r *room, p pen, ms uint64, number int) (*groups.Op, error) {
	e, ok := r.sendEpoch()
	if !ok {
		return nil, fmt.Errorf("no epoch to write under")
	}
	keys := r.keys.epochs[e.EID].keys
	plain, err := groups.EncodePlain(groups.Plain{Kind: groups.ContentText, Payload: (&groups.Text{Text: fmt.Sprintf("%0300d", number)}).Encode()})
	if err != nil {
		return nil, err
	}
	size, err := seal.SealedLen(len(plain))
	if err != nil {
		return nil, err
	}
	var salt [16]byte
	if _, err := io.ReadFull(rand.Reader, salt[:]); err != nil {
		return nil, err
	}
	return r.g.ComposeContent(p.inc, p.keys.Op, ms, e.EID, salt, size, func(aad []byte, seq uint64) ([]byte, error) {
		return keys.Sender(p.inc).Message(seq, salt).Seal(aad, plain), nil
	})
}

// hasAll tells whether a node's chains of content go as far as those of another.
func hasAll(b testing.TB, n *Node, g wire.GroupID, ends map[wire.OpID]uint64) (all bool) {
	all = true
	inRoom(b, n, g, func(r *room) {
		for inc, end := range ends {
			if seq, _, _ := r.g.ChainHead(inc, groups.Content); seq < end {
				all = false
			}
		}
	})
	return all
}

// BenchmarkAway is C1: a member was away for 100 000 messages by 100 devices.
// The time runs from its start until it has them all, verified, decrypted, in
// its timeline and synced to its disk. Both nodes run in this process, over
// loopback, so that cpu-µs/message counts the one that serves too. Beside it,
// on the same messages: naive, which verifies each signature and gives each
// message a transaction.
func BenchmarkAway(b *testing.B) {
	for _, missed := range []int{10_000, 100_000} {
		b.Run(strconv.Itoa(missed), func(b *testing.B) { benchAway(b, missed) })
	}
}

func benchAway(b *testing.B, missed int) {
	home := b.TempDir()
	ann, bo := testNode(b, "Ann"), startNode(b, home, "Bo", nil)
	g := newGroup(b, ann, api.GroupCreate{})
	join(b, bo, invite(b, ann, g, 1, ""))
	pens := seatPens(b, ann, g, 98)
	same(b, g, ann, bo)
	var wall, cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		if err := bo.Close(); err != nil {
			b.Fatal(err)
		}
		ends := chatter(b, ann, g, pens, missed)
		wallBefore, cpuBefore := time.Now(), processorTime(b)
		b.StartTimer()
		bo = startNode(b, home, "Bo", nil)
		within(b, bo, patience, "all that was missed", func() bool { return hasAll(b, bo, g, ends) })
		wall, cpu = wall+time.Since(wallBefore), cpu+processorTime(b)-cpuBefore
	}
	ops := float64(b.N * missed)
	b.ReportMetric(ops/wall.Seconds(), "messages/s")
	b.ReportMetric(float64(cpu.Microseconds())/ops, "cpu-µs/message")
	naive, naiveCPU := takeNaively(b, ann, g, 2_000)
	b.ReportMetric(naive, "naive/s")
	b.ReportMetric(naiveCPU, "naive-cpu-µs")
}

// takeNaively takes a node's messages, which it has with all their signatures,
// into another store the obvious way.
func takeNaively(b *testing.B, n *Node, g wire.GroupID, count int) (perSecond, cpuMicros float64) {
	b.Helper()
	var frames [][]byte
	inRoom(b, n, g, func(r *room) {
		for inc := range r.heads {
			if inc.chain != groups.Content {
				continue
			}
			err := n.store.View(func(tx *store.Tx) error {
				return tx.EachOp(g, inc.inc, uint8(groups.Content), 1, uint64(count), func(o store.StoredOp) error {
					if len(frames) < count {
						frames = append(frames, o.Frame)
					}
					return nil
				})
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	s, err := store.Open(filepath.Join(b.TempDir(), "naive"), [32]byte{1}, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	state := n.room(g).view.Load().state
	began, used := time.Now(), processorTime(b)
	for _, frame := range frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			b.Fatal(refusal)
		}
		inc, _ := state.Inc(op.IncID())
		if !op.Authenticate(g, inc.Device) {
			b.Fatal("a signature does not verify")
		}
		err := s.Update(context.Background(), func(tx *store.Tx) error {
			if err := tx.PutOp(g, op.IncID(), uint8(op.Chain), op.Seq, op.ID, frame); err != nil {
				return err
			}
			if err := tx.PutHead(g, op.IncID(), uint8(op.Chain), store.Head{Seq: op.Seq, ID: op.ID}); err != nil {
				return err
			}
			return tx.PutEntry(g, op.HLC, op.ID, frame[:min(len(frame), 380)])
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	return float64(len(frames)) / took.Seconds(), float64((processorTime(b) - used).Microseconds()) / float64(len(frames))
}

// BenchmarkLargeHistory is a home with many messages of 100 devices: S1, from
// Open until its group can be read; R1, the newest page and one somewhere in
// the middle, found by an id; what memory it takes after that; and what a
// message takes of the disk.
func BenchmarkLargeHistory(b *testing.B) {
	for _, count := range []int{10_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(count), func(b *testing.B) { benchLargeHistory(b, count) })
	}
}

func benchLargeHistory(b *testing.B, count int) {
	home := b.TempDir()
	ann := startNode(b, home, "Ann", nil)
	g := newGroup(b, ann, api.GroupCreate{})
	pens := seatPens(b, ann, g, 99)
	before := diskUse(b, home)
	chatter(b, ann, g, pens, count)
	if err := ann.Close(); err != nil {
		b.Fatal(err)
	}
	perMessage := float64(diskUse(b, home)-before) / float64(count)
	var opens, newest, middle []time.Duration
	for b.Loop() {
		began := time.Now()
		ann = startNode(b, home, "Ann", nil)
		must[api.Group](b)(ann.Group(b.Context(), g))
		opens = append(opens, time.Since(began))
		for range 20 {
			began = time.Now()
			page := must[api.MessagePage](b)(ann.Messages(b.Context(), g, api.Page{Limit: 50}))
			newest = append(newest, time.Since(began))
			if len(page.Items) != 50 {
				b.Fatalf("a page of %d", len(page.Items))
			}
		}
		ids := someIDs(b, ann, g, pens, 20)
		for _, id := range ids {
			began = time.Now()
			page := must[api.MessagePage](b)(ann.Messages(b.Context(), g, api.Page{Limit: 50, Around: id}))
			middle = append(middle, time.Since(began))
			if len(page.Items) < 25 {
				b.Fatalf("a page of %d", len(page.Items))
			}
		}
		b.StopTimer()
		if err := ann.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(medianMs(opens), "open-ms")
	b.ReportMetric(medianMs(newest), "newest-ms")
	b.ReportMetric(medianMs(middle), "around-ms")
	b.ReportMetric(perMessage, "disk-bytes/message")
}

// someIDs are messages out of the middle of some chains.
func someIDs(b *testing.B, n *Node, g wire.GroupID, pens []pen, count int) (ids []string) {
	b.Helper()
	err := n.store.View(func(tx *store.Tx) error {
		for _, p := range pens[:count] {
			head, _, err := tx.HeadOf(g, p.inc, uint8(groups.Content))
			if err != nil {
				return err
			}
			ops, err := tx.Op(g, p.inc, uint8(groups.Content), head.Seq/2)
			if err != nil || len(ops) == 0 {
				return fmt.Errorf("no operation %d of a chain: %w", head.Seq/2, err)
			}
			ids = append(ids, ops[0].ID.String())
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return ids
}

// diskUse is what the files of a folder take.
func diskUse(b *testing.B, dir string) (bytes int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return err
		}
		bytes += min(st.Blocks*512, info.Size())
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
