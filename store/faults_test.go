package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	W "mutuals/identity/wire"
)

// copyOf gives a test its own copy of a store.
func copyOf(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// filled makes a store with tables on disk and operations that Check can
// verify (a frame is its own core), and returns its folder. Not clean: it is
// a copy of the files of an open store.
func filled(t *testing.T, clean bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s := openTest(t, dir, Options{})
	g, inc := groupID("g"), opID("inc", 0)
	update(t, s, func(tx *Tx) error {
		var id W.OpID
		for seq := uint64(1); seq <= 500; seq++ {
			frame := fmt.Appendf(nil, "frame %d %s", seq, strings.Repeat("x", 200))
			id = W.Hash(frame)
			err := all(tx.PutOp(g, inc, 1, seq, id, frame), tx.PutEntry(g, seq, id, Byline{}, frame),
				tx.Change(Change{Type: "message.created", Group: g, Object: id}))
			if err != nil {
				return err
			}
		}
		return tx.PutHead(g, inc, 1, Head{Seq: 500, ID: id})
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if clean {
		return dir
	}
	s = openTest(t, dir, Options{})
	update(t, s, func(tx *Tx) error { return tx.PutSetting("after", []byte("x")) })
	return copyOf(t, dir)
}

func hashOf(frame []byte) (W.OpID, error) { return W.Hash(frame), nil }

// mangle is one fault of the table in SPEC.md.
func mangle(t *testing.T, path string, how string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch how {
	case "deleted":
		err = os.Remove(path)
	case "cut":
		err = os.WriteFile(path, b[:len(b)/2], 0o600)
	case "emptied":
		err = os.WriteFile(path, b[:8], 0o600)
	case "flipped":
		for i := len(b) / 3; i < len(b)/3+8; i++ {
			b[i] ^= 0x55
		}
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tableFiles(t *testing.T, dir string) int {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	return len(tables)
}

// TestFaults is the fault table of SPEC.md: what Open says, that no table is
// deleted, and whether Restore mends it.
func TestFaults(t *testing.T) {
	made := map[bool]string{true: filled(t, true), false: filled(t, false)}
	for _, c := range []struct {
		file, fault string
		clean       bool
		opens       bool // Open succeeds and everything is there
		mends       bool // Restore makes it so
	}{
		{"db/MANIFEST", "deleted", true, false, true},
		{"db/MANIFEST", "cut", true, false, true},
		{"db/MANIFEST", "emptied", true, false, true},
		{"db/MANIFEST", "flipped", true, false, true},
		{"db/KEYREGISTRY", "deleted", true, false, true},
		{"db/KEYREGISTRY", "flipped", true, false, true},
		{"db/MANIFEST", "deleted", false, false, false},
		{"db/MANIFEST", "emptied", false, false, false},
		{"db/MANIFEST", "flipped", false, false, false},
		{"db/KEYREGISTRY", "deleted", false, false, false},
		{"store.json", "flipped", true, false, false},
		{"store.json", "deleted", true, true, false},
		{"lock", "deleted", true, true, false},
		{"lock", "deleted", false, true, false},
	} {
		t.Run(fmt.Sprintf("%s %s, clean %v", c.file, c.fault, c.clean), func(t *testing.T) {
			dir := copyOf(t, made[c.clean])
			tables := tableFiles(t, dir)
			mangle(t, filepath.Join(dir, c.file), c.fault)
			if tables == 0 {
				t.Fatal("the test needs tables")
			}
			if !c.opens {
				s, err := Open(dir, testKey, Options{})
				if err == nil {
					s.Close()
				}
				var d *DamagedError
				if !errors.As(err, &d) || d.Restorable != c.mends {
					t.Fatalf("Open: %v (%+v)", err, d)
				}
				if n := tableFiles(t, dir); n != tables {
					t.Fatalf("%d tables of %d are left", n, tables)
				}
				mended, err := Restore(dir)
				if (len(mended) == 1) != c.mends || !c.mends && !isDamaged(err) {
					t.Fatalf("Restore: %v %v", mended, err)
				}
				if !c.mends {
					return
				}
			}
			s := openTest(t, dir, Options{})
			rep, err := s.Check(context.Background(), hashOf)
			if err != nil || rep.Total != 0 || rep.Ops != 500 || rep.Entries != 500 || rep.Changes != 500 {
				t.Fatalf("%+v %v", rep, err)
			}
		})
	}
}

// TestDamagedTable flips bytes all over a table: what is read is right or an
// error, and Check names the damage.
func TestDamagedTable(t *testing.T) {
	dir := filled(t, true)
	tables, _ := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := len(b) / 4; at < len(b)/2; at += 4096 { // blocks of data, not the index behind them
		b[at] ^= 0x10
	}
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, dir, Options{})
	g, wrong, failed := groupID("g"), 0, 0
	for seq := uint64(1); seq <= 500; seq++ {
		id := W.Hash(fmt.Appendf(nil, "frame %d %s", seq, strings.Repeat("x", 200)))
		err := s.View(func(tx *Tx) error {
			op, ok, err := tx.OpByID(g, id)
			if err != nil || !ok {
				failed++
				return nil
			}
			if W.Hash(op.Frame) != id {
				wrong++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if wrong > 0 || failed == 0 {
		t.Errorf("%d wrong values, %d errors", wrong, failed)
	}
	rep, err := s.Check(context.Background(), hashOf)
	if rep.Total == 0 && err == nil {
		t.Error("Check found nothing")
	}
}

// TestSentinelKnowsItsDatabase edits store.json: fewer changes than it says
// mean that numbers will be given again (SPEC.md C4), another id means that
// it is of another database.
func TestSentinelKnowsItsDatabase(t *testing.T) {
	dir := filled(t, true)
	path := filepath.Join(dir, "store.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	epochOf := func() string {
		s, err := Open(dir, testKey, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.Epoch()
	}
	edit := func(old, with string) {
		if b, err = os.ReadFile(path); err != nil || !strings.Contains(string(b), old) {
			t.Fatal(err, string(b))
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, with, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := epochOf()
	if again := epochOf(); again != first {
		t.Error("the epoch changed for nothing")
	}
	edit(`"changes": 500`, `"changes": 510`)
	if after := epochOf(); after == first {
		t.Error("changes were lost, and the epoch is the same")
	}
	edit(`"id": "`, `"id": "0`)
	if _, err := Open(dir, testKey, Options{}); !isDamaged(err) {
		t.Errorf("sentinel of another database: %v", err)
	}
}

// anotherBoot makes a store one that was opened before the system was started.
func anotherBoot(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, sentinelFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(b), bootID(), "another", 1)
	if other == string(b) {
		t.Fatalf("%s does not name the start of the system: %s", sentinelFile, b)
	}
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEpochAfterPowerCut: after a stop of the system a store that was not closed
// may lack changes that readers were told of; after one of the process alone it
// lacks none, and they go on (SPEC.md C4).
func TestEpochAfterPowerCut(t *testing.T) {
	if !syncsItself {
		t.Skip("here each commit is synced")
	}
	for _, c := range []struct {
		name         string
		clean, other bool
		same         bool
	}{
		{"kill -9", false, false, true},
		{"power cut", false, true, false},
		{"closed before the system was started anew", true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			s := openTest(t, dir, Options{})
			update(t, s, func(tx *Tx) error { return tx.Change(Change{Type: "a"}) })
			epoch := s.Epoch()
			if c.clean {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			dir = copyOf(t, dir)
			if c.other {
				anotherBoot(t, dir)
			}
			if after := openTest(t, dir, Options{}).Epoch(); (after == epoch) != c.same {
				t.Errorf("the epoch was %s and is %s", epoch, after)
			}
		})
	}
}

func TestCheckFindsHoles(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g, inc := groupID("g"), opID("inc", 0)
	update(t, s, func(tx *Tx) error {
		for _, seq := range []uint64{1, 2, 5, 6} {
			frame := fmt.Appendf(nil, "frame %d", seq)
			if err := tx.PutOp(g, inc, 1, seq, W.Hash(frame), frame); err != nil {
				return err
			}
		}
		return all(
			tx.PutHead(g, inc, 1, Head{Seq: 8, ID: opID("h", 8)}),
			tx.PutHead(g, opID("gone", 0), 0, Head{Seq: 3}),
			tx.PutOp(g, inc, 0, 1, opID("liar", 1), []byte("not its id")),
			tx.PutHead(g, inc, 0, Head{Seq: 1, ID: opID("liar", 1)}),
		)
	})
	rep, err := s.Check(context.Background(), hashOf)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, p := range rep.Problems {
		got[fmt.Sprintf("%s %d %d–%d", p.Inc.Short(), p.Chain, p.From, p.To)] = true
	}
	for _, want := range []string{
		inc.Short() + " 1 3–4", inc.Short() + " 1 7–8",
		opID("gone", 0).Short() + " 0 1–3", inc.Short() + " 0 1–1",
	} {
		if !got[want] {
			t.Errorf("%s not found in %v", want, rep.Problems)
		}
	}
}

func TestFreeSpaceGuard(t *testing.T) {
	dir := t.TempDir()
	free := uint64(math.MaxUint64)
	o := Options{Ballast: 1 << 20, FreeSpace: func(string) (uint64, error) { return free, nil }}
	s := openTest(t, dir, o)
	ballast := filepath.Join(dir, "ballast")
	if info, err := os.Stat(ballast); err != nil || info.Size() != 1<<20 {
		t.Fatalf("ballast: %v", err)
	}
	put := func() error {
		return s.Update(context.Background(), func(tx *Tx) error { return tx.PutSetting("a", []byte("b")) })
	}
	if err := put(); err != nil || s.Disk().State != DiskOK {
		t.Fatalf("with room: %v", err)
	}
	if free = LowSpaceBytes - 1; put() != nil || s.Disk().State != DiskLow {
		t.Error("below 512 MiB: want writes, and a warning")
	}
	if free = MinSpaceBytes - 1; !errors.Is(put(), ErrDiskFull) {
		t.Error("below 128 MiB: want ErrDiskFull")
	}
	if d := s.Disk(); d.State != DiskFull || d.Free != free {
		t.Errorf("below 128 MiB the disk is %+v", d)
	}
	view(t, s, func(tx *Tx) error {
		if _, ok, err := tx.Setting("a"); !ok || err != nil {
			t.Error("reads must go on")
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, o) // opens, giving up its ballast
	if _, err := os.Stat(ballast); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ballast is still there: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free = 1 << 20
	if _, err := Open(dir, testKey, o); !errors.Is(err, ErrDiskFull) {
		t.Errorf("opening on a full disk: %v", err)
	}
}

func TestFormat(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	update(t, s, func(tx *Tx) error { return tx.setMetaNumber(metaFormat, 7) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, testKey, Options{})
	var newer *NewerFormatError
	if !errors.As(err, &newer) || !errors.Is(err, ErrNewerFormat) || newer.Found != 7 || newer.Known != Format {
		t.Fatalf("got %v", err)
	}
}

// TestMigrations interrupts a migration in the middle: it goes on from its
// checkpoint and does nothing twice (SPEC.md M2).
func TestMigrations(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true, steps: []migration{}})
	var calls []string
	crash := errors.New("crash")
	fail := true
	steps := []migration{
		{To: 2, Run: func(tx *Tx, at []byte) ([]byte, error) {
			calls = append(calls, "2 after "+string(at))
			switch {
			case at == nil:
				return []byte("half"), tx.PutSetting("first", nil)
			case fail:
				return nil, crash
			}
			return nil, tx.PutSetting("second", nil)
		}},
		{To: 3, Run: func(tx *Tx, at []byte) ([]byte, error) {
			calls = append(calls, "3 after "+string(at))
			return nil, nil
		}},
	}
	if err := s.migrate(steps); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	fail = false
	if err := s.migrate(steps); err != nil {
		t.Fatal(err)
	}
	if err := s.migrate(steps); err != nil { // nothing left to do
		t.Fatal(err)
	}
	if got := strings.Join(calls, ", "); got != "2 after , 2 after half, 2 after half, 3 after " {
		t.Errorf("calls: %s", got)
	}
	if err := s.migrate(steps[:1]); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("an older program: %v", err)
	}
}
