package node

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// A step that cannot be written leaves the room as the disk has it; when there
// is space again the next message follows the last.
func TestStepNotWritten(t *testing.T) {
	a := startNode(t, t.TempDir(), "Ann", nil)
	b := testNode(t, "Bo")
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	say(t, a, g, "one")
	broken := errors.New("the disk broke")
	r := a.room(g)
	for range 3 {
		err := r.step(t.Context(), func(c *commit) error {
			if _, err := r.say(c, groups.ContentText, groups.Text{Text: "lost"}.Encode()); err != nil {
				return err
			}
			c.row(func(*store.Tx) error { return broken })
			return nil
		})
		if !errors.Is(err, broken) {
			t.Fatalf("a step on a broken disk: %v", err)
		}
	}
	say(t, a, g, "two")
	hears(t, b, g, "two")
	if slices.Contains(texts(t, a, g), "lost") || slices.Contains(texts(t, b, g), "lost") {
		t.Error("a message that was not written is shown")
	}
	var seqs []uint64
	for _, m := range must[api.MessagePage](t)(a.Messages(t.Context(), g, api.Page{})).Items {
		seqs = append(seqs, m.Seq)
	}
	for i := range seqs[1:] {
		if seqs[i+1] != seqs[i]+1 {
			t.Errorf("numbers of messages: %d", seqs)
		}
	}
	// An epoch that was not written is made again.
	err := r.step(t.Context(), func(c *commit) error {
		if _, err := r.own(c, groups.KindRemove, &groups.RemoveBody{Account: b.dev.account(), Pins: r.g.PinsFor(b.dev.account())}); err != nil {
			return err
		}
		c.row(func(*store.Tx) error { return broken })
		return nil
	})
	if !errors.Is(err, broken) || len(must[[]api.Member](t)(a.Members(t.Context(), g))) != 2 {
		t.Errorf("a removal on a broken disk: %v", err)
	}
}

// A room that cannot be read again ends; the node lives.
func TestRoomNotReadable(t *testing.T) {
	a := startNode(t, t.TempDir(), "Ann", nil)
	g, other := newGroup(t, a, api.GroupCreate{Name: "Lost"}), newGroup(t, a, api.GroupCreate{Name: "Well"})
	if err := a.store.ForgetGroup(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	r := a.room(g)
	broken := errors.New("the disk broke")
	r.step(t.Context(), func(c *commit) error {
		c.dirty = true
		return broken
	})
	if _, err := a.Send(t.Context(), g, api.MessageCreate{Text: "hello?"}); err == nil {
		t.Error("a message was stored in a group that is not there")
	}
	say(t, a, other, "still here")
}

// What a room is told happens in the order it was told in: a link that came and
// went is gone.
func TestToldInOrder(t *testing.T) {
	a := startNode(t, t.TempDir(), "Ann", nil)
	r := a.room(newGroup(t, a, api.GroupCreate{}))
	var got []int
	var done sync.WaitGroup
	done.Add(500)
	for i := range 500 {
		r.tell(func(*commit) error { got = append(got, i); done.Done(); return nil })
	}
	done.Wait()
	if !slices.IsSorted(got) {
		t.Error("steps were done out of order")
	}
}

// An identity that did not come up is not there: the next try begins anew, and
// nothing of the first is in its way.
func TestIdentityThatFailed(t *testing.T) {
	dir := t.TempDir()
	fail := true
	n, err := Open(context.Background(), Config{
		Home: dir, NoMDNS: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Mesh: func(c *mesh.Config) {
			if fail {
				c.Key = nil
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if _, err := n.CreateIdentity(t.Context(), api.IdentityCreate{Name: "Ann"}); err == nil {
		t.Fatal("an identity without a network came up")
	}
	if got := n.Status(t.Context()).Identity; got != api.IdentityNone {
		t.Errorf("status after a failure: %s", got)
	}
	fail = false
	id, err := n.CreateIdentity(t.Context(), api.IdentityCreate{Name: "Ann"})
	if err != nil {
		t.Fatalf("the second try: %v", err)
	}
	n.Close()
	again := startNode(t, dir, "", nil)
	if got := must[api.Identity](t)(again.Identity(t.Context())); got.Account != id.Account {
		t.Errorf("after a restart: %v, made was %v", got.Account, id.Account)
	}
}

// A kill at any moment of making an identity leaves none, or a whole one.
func TestIdentityKilled(t *testing.T) {
	whole := t.TempDir()
	n := startNode(t, whole, "Ann", nil)
	made := must[api.Identity](t)(n.Identity(t.Context()))
	n.Close()
	for i := range 4 {
		dir := t.TempDir()
		for _, name := range []string{fileRoot, fileDevice, fileKeys}[:i] {
			b, err := os.ReadFile(filepath.Join(whole, name))
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		os.WriteFile(filepath.Join(dir, fileKeys+".new"), []byte("half"), 0o600)
		n := startNode(t, dir, "Bea", nil)
		id, err := n.Identity(t.Context())
		if err != nil {
			t.Errorf("killed after %d files: %v", i, err)
			continue
		}
		if (id.Account == made.Account) != (i == 3) {
			t.Errorf("killed after %d files: account %v", i, id.Account)
		}
		if words := must[api.Words](t)(n.ConfirmWords(t.Context(), false)); words.Confirmed || len(strings.Fields(words.Words)) != 24 {
			t.Errorf("killed after %d files: the words are gone", i)
		}
		// It can be used: a name is given, a group is made.
		name := "Bea"
		must[api.Profile](t)(n.SetProfile(t.Context(), api.ProfilePatch{Name: &name}))
		say(t, n, newGroup(t, n, api.GroupCreate{}), "hello")
		n.Close()
	}
}

// The words can be read until they are known to be erased.
func TestWordsNotErased(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, "Ann", nil)
	words := must[api.Words](t)(n.ConfirmWords(t.Context(), false))
	// A folder in the way of the new file: writing fails.
	if err := os.MkdirAll(filepath.Join(dir, fileKeys+".new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ConfirmWords(t.Context(), true); err == nil {
		t.Fatal("words confirmed on a disk that takes nothing")
	}
	if again, err := n.ConfirmWords(t.Context(), false); err != nil || again.Words != words.Words {
		t.Errorf("after a failed erasure: %+v, %v", again.Confirmed, err)
	}
	os.RemoveAll(filepath.Join(dir, fileKeys+".new"))
	if done := must[api.Words](t)(n.ConfirmWords(t.Context(), true)); !done.Confirmed || done.Words != "" {
		t.Errorf("confirmed: %+v", done.Confirmed)
	}
}

// Who is killed after asking and before the answer is a member at the next
// start if it was let in, and can ask again if it was not.
func TestJoinKilled(t *testing.T) {
	t.Parallel()
	a := testNode(t, "Ann")
	g := newGroup(t, a, api.GroupCreate{})
	inv := invite(t, a, g, 3, "")
	for _, asked := range []bool{true, false} {
		dir := t.TempDir()
		b := startNode(t, dir, "Bo", nil)
		code := must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode
		if err := b.mesh.Connect(t.Context(), a.mesh.Self(), a.mesh.Bound()); err != nil {
			t.Fatal(err)
		}
		if asked {
			if _, err := b.ask(t.Context(), a.mesh.Self(), code); err != nil {
				t.Fatal(err)
			}
		} else {
			var genesis *groups.Op
			inRoom(t, a, g, func(r *room) { genesis = r.g.Op(wire.OpID(g)) })
			var seed [32]byte
			must[*room](t)(b.prepareRoom(t.Context(), genesis, make([]byte, 32), seed, a.mesh.Self()))
		}
		b.Close()
		b = startNode(t, dir, "", nil)
		if !asked {
			join(t, b, inv)
		}
		within(t, b, patience, "Bo to be a member", func() bool {
			r := b.room(g)
			return r != nil && r.view.Load().seated()
		})
		text := "asked"
		if !asked {
			text = "asked again"
		}
		say(t, a, g, text)
		hears(t, b, g, text)
		b.Close()
	}
}

// A passcode that is refused does not take the room from under an offer that
// was accepted: the admit for it may be on its way.
func TestRefusedJoinKeepsOffer(t *testing.T) {
	t.Parallel()
	a, b, c := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy")
	g := newGroup(t, a, api.GroupCreate{})
	inv := invite(t, a, g, 1, "")
	join(t, c, inv)
	var genesis *groups.Op
	inRoom(t, a, g, func(r *room) { genesis = r.g.Op(wire.OpID(g)) })
	var seed [32]byte
	kemPk := []byte("the key the offer was answered with")
	offered := must[*room](t)(b.prepareRoom(t.Context(), genesis, kemPk, seed, a.mesh.Self()))
	if task := tryJoin(t, b, inv); problemCode(task) != api.InviteUsed {
		t.Fatalf("a used-up passcode: %+v", task)
	}
	if b.room(g) != offered {
		t.Fatal("the room of the offer is gone")
	}
	inRoom(t, b, g, func(r *room) {
		if _, ok := r.keys.kem[kemSlot(kemPk)]; !ok {
			t.Error("the key of the offer is gone")
		}
	})
}

// dryRand gives randomness until it is told to run dry after some reads.
type dryRand struct{ left atomic.Int64 }

func (d *dryRand) Read(b []byte) (int, error) {
	if d.left.Add(-1) < 0 {
		return 0, errors.New("no randomness")
	}
	return rand.Read(b)
}

// A group whose making was cut off is not there: neither at once nor after a
// restart.
func TestGroupCutOff(t *testing.T) {
	dry := &dryRand{}
	dry.left.Store(1 << 40)
	dir := t.TempDir()
	n := startNode(t, dir, "Ann", func(c *Config) { c.Rand = dry })
	whole := newGroup(t, n, api.GroupCreate{Name: "Whole"})
	for reads := range 5 {
		dry.left.Store(int64(reads))
		_, err := n.CreateGroup(t.Context(), api.GroupCreate{Name: "Half"})
		dry.left.Store(1 << 40)
		if err == nil {
			t.Logf("%d reads are enough", reads)
			break
		}
		if got := must[[]api.Group](t)(n.Groups(t.Context())); len(got) != 1 {
			t.Fatalf("after %d reads and %v: %d groups, want the whole one", reads, err, len(got))
		}
	}
	// The kill itself: genesis is on disk, the first epoch is not.
	seed, pk := must2(t)(seal.GenerateKEM(rand.Reader))
	genesis := groups.ComposeGenesis(n.dev.keys, n.dev.chain, pk, [16]byte{1}, 10, groups.DefaultPolicy(), n.nowMs())
	must[*room](t)(n.prepareRoom(t.Context(), genesis, pk, seed, wire.PeerKey{}))
	n.Close()
	n = startNode(t, dir, "", nil)
	for _, g := range must[[]api.Group](t)(n.Groups(t.Context())) {
		if g.ID == wire.GroupID(genesis.ID) {
			t.Error("a group without an epoch is shown")
		}
	}
	say(t, n, whole, "still here")
}
