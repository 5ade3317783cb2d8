package node

import (
	"path/filepath"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// ruin makes the rows of a group in a home, which must be closed, no group; the function
// it returns mends them.
func ruin(t *testing.T, dir string, g wire.GroupID) (mend func()) {
	t.Helper()
	change := func(fn func(*store.Tx) error) {
		n := &Node{home: home{dir: dir}}
		dev := must[*device](t)(n.readDevice())
		s := must[*store.Store](t)(store.Open(n.home.path(dirStore), dev.storeKey(), store.Options{}))
		if err := s.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	row := wire.OpID{7}
	change(func(tx *store.Tx) error { return tx.PutParked(g, row, []byte("no row of this table")) })
	return func() { change(func(tx *store.Tx) error { return tx.DeleteParked(g, row) }) }
}

// TestGroupWithoutItsFounding: where even the operation that founded a group is gone, the
// others are open, and a repair brings the group back from its second copy and a member.
func TestGroupWithoutItsFounding(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := startNode(t, dir, "Ann", nil), testNode(t, "Bo")
	hit, whole := newGroup(t, a, api.GroupCreate{Name: "Hit"}), newGroup(t, a, api.GroupCreate{Name: "Whole"})
	join(t, b, invite(t, a, hit, 1, ""))
	say(t, a, hit, "kept")
	hears(t, b, hit, "kept")
	ok(t, a.Close())
	n := &Node{home: home{dir: dir}}
	dev := must[*device](t)(n.readDevice())
	s := must[*store.Store](t)(store.Open(n.home.path(dirStore), dev.storeKey(), store.Options{}))
	ok(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Rearrive(hit, nil) }))
	ok(t, s.Close())

	a = startNode(t, dir, "Ann", nil)
	say(t, a, whole, "goes on")
	if g := must[api.Group](t)(a.Group(t.Context(), hit)); g.Status != api.GroupIsUnreadable {
		t.Errorf("listed as %q", g.Status)
	}
	ok(t, a.Close())
	must[[]api.Finding](t)(MendStore(t.Context(), dir))
	a = startNode(t, dir, "Ann", nil)
	hears(t, a, hit, "kept")
	say(t, a, hit, "back")
	hears(t, b, hit, "back")
}

// What is damaged of one group keeps that group closed, and says so wherever people
// look; the others are open, nothing of it is written over, and it is all there once its
// rows can be read.
func TestGroupThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := startNode(t, dir, "Ann", nil), testNode(t, "Bo")
	hit, whole := newGroup(t, a, api.GroupCreate{Name: "Hit"}), newGroup(t, a, api.GroupCreate{Name: "Whole"})
	join(t, b, invite(t, a, hit, 1, ""))
	join(t, b, invite(t, a, whole, 1, ""))
	say(t, a, hit, "kept")
	hears(t, b, hit, "kept")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	mend := ruin(t, dir, hit)
	say(t, b, hit, "meanwhile")

	a = startNode(t, dir, "Ann", nil)
	say(t, a, whole, "goes on")
	hears(t, b, whole, "goes on")
	list := must[[]api.Group](t)(a.Groups(t.Context()))
	i := slices.IndexFunc(list, func(g api.Group) bool { return g.ID == hit })
	if len(list) != 2 || i < 0 {
		t.Fatalf("groups: %v", list)
	}
	for _, g := range []api.Group{list[i], must[api.Group](t)(a.Group(t.Context(), hit))} {
		if g.Name != "Hit" || g.Status != api.GroupIsUnreadable || g.Problem == nil || g.Problem.Code != api.GroupUnreadable {
			t.Errorf("listed as %q, %q, %v", g.Name, g.Status, g.Problem)
		}
	}
	_, reading := a.Messages(t.Context(), hit, api.Page{})
	_, saying := a.Send(t.Context(), hit, api.MessageCreate{Text: "lost"})
	_, coming := a.JoinByPasscode(t.Context(), invite(t, b, whole, 1, "").Passcode)
	if isCode(coming, api.GroupUnreadable) {
		t.Error("a passcode of another group is taken for one of it")
	}
	_, again := a.JoinByPasscode(t.Context(), invite(t, b, hit, 1, "").Passcode)
	for what, err := range map[string]error{"reading": reading, "saying": saying, "joining again": again} {
		if !isCode(err, api.GroupUnreadable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	genesis := must[*groups.Op](t)(genesisOf(b, hit))
	if _, err := a.prepareRoom(t.Context(), genesis, make([]byte, 32), [32]byte{1}, b.mesh.Self()); !isCode(err, api.GroupUnreadable) {
		t.Errorf("making a room over it: %v", err)
	}
	findings := must[[]api.Finding](t)(a.Doctor(t.Context()))
	if !slices.ContainsFunc(findings, func(f api.Finding) bool { return f.Code == api.FoundGroupUnreadable && f.Args[0] == "Hit" }) {
		t.Errorf("doctor does not tell of it: %v", findings)
	}
	file := filepath.Join(t.TempDir(), "backup")
	task := waitTask(t, a, must[api.Task](t)(a.Backup(t.Context(), api.BackupCreate{File: file})).ID)
	if made := task.Result.Backup; made.Groups != 1 || !slices.Equal(made.Unreadable, []string{"Hit"}) {
		t.Errorf("the backup holds %d groups and tells of %q", made.Groups, made.Unreadable)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	mend()
	a = startNode(t, dir, "Ann", nil)
	hears(t, a, hit, "meanwhile")
	if got := texts(t, a, hit); !slices.Equal(got, []string{"kept", "meanwhile"}) {
		t.Errorf("once it can be read there are %q", got)
	}
}

func genesisOf(n *Node, g wire.GroupID) (*groups.Op, error) {
	op, refusal := groups.Decode(n.room(g).genesis)
	if refusal != nil {
		return nil, refusal
	}
	return op, nil
}
