//go:build linux

package node

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mutuals/groups"
	"mutuals/node/api"
)

// cuts is how many power cuts a run has; -kills in make soak brings more.
func cuts() int { return max(1, *kills/10) }

// The power is cut while a process speaks: it is stopped in the middle of it,
// and what its disk has at that moment is copied. The file system is in a file,
// and what the kernel holds of it in memory is not in the copy; so this shows
// what kill -9 cannot, whether an acknowledged word was synced. From the copy,
// which the file system's own journal mends, a node starts by itself and has all
// that was acknowledged.
func TestPowerCut(t *testing.T) {
	if err := loopable(t); err != nil {
		if os.Getenv("MUTUALS_DISKS_MUST") != "" {
			t.Fatalf("this machine cannot mount a file system from a file: %v", err)
		}
		t.Skipf("this machine cannot mount a file system from a file (%v): power cuts are NOT tested here", err)
	}
	lost, total := 0, 0
	for cut := range cuts() {
		acked, back := powerCut(t, 20+60*(cut%5))
		total += acked
		lost += max(0, acked-back)
	}
	t.Logf("%d power cuts; messages acknowledged %d, lost %d", cuts(), total, lost)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged messages are lost", lost, total)
	}
}

// powerCut cuts the power once a number of words are acknowledged, and returns
// how many were by the last moment and how many are there afterwards.
func powerCut(t *testing.T, words int) (acked, back int) {
	t.Helper()
	a := testNode(t, "Ann")
	g := newGroup(t, a, api.GroupCreate{})
	s := startPowered(t)
	s.do(t, "join "+invite(t, a, g, 1, "").Passcode)
	s.reads(t, "joined")
	s.do(t, fmt.Sprintf("say %s w-", g))
	s.reads(t, fmt.Sprintf("ack %d", words))
	copied := s.cut(t)
	s.cmd.Process.Kill()
	acked = max(words, s.lastAck(t, nil)) // what it had said before it stood still
	s.kill()

	// Ann has a copy of what was said: what comes back must be from the disk.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	home := powerBack(t, copied)
	n := startNode(t, home, "Sam", nil)
	got := withPrefix(t, n, g, "w-")
	for i, text := range numbered("w-", len(got)) {
		if got[i] != text {
			t.Fatalf("after the cut the %d. word is %q", i, got[i])
		}
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	findings := must[[]api.Finding](t)(CheckStore(t.Context(), home, true))
	for _, f := range findings {
		if f.Level == "error" {
			t.Errorf("the store: %s %s", f.Title, f.Detail)
		}
	}
	return acked, len(got)
}

// The power of a reader is cut in the moment in which the author learns that it
// has what he said: what it said of that before it was synced would be a lie. What
// it has shown and not spoken of yet may be gone, and comes again.
func TestPowerCutOfReader(t *testing.T) {
	if err := loopable(t); err != nil {
		t.Skipf("no file system can be mounted from a file (TestPowerCut says whether that may be): %v", err)
	}
	annHome := t.TempDir()
	a := startNode(t, annHome, "Ann", nil)
	g := newGroup(t, a, api.GroupCreate{})
	s := startPowered(t)
	s.do(t, "join "+invite(t, a, g, 1, "").Passcode)
	s.reads(t, "joined")
	r := a.room(g)
	held := func() uint64 { v := r.view.Load(); return r.heldElsewhere(v, chainOf{v.me, groups.Content}) }
	// What the reader says it has ends with what it has just written.
	for i := 0; held() < 30; i++ {
		say(t, a, g, fmt.Sprint("m-", i))
	}
	copied := s.cut(t)
	told := held()
	s.kill()

	// Ann's copy is out of reach: what is there is from the disk.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, powerBack(t, copied), "Sam", nil)
	there := uint64(0)
	for _, m := range timelineOf(t, n, g) {
		if m.Author == a.dev.account() {
			there = max(there, m.Seq)
		}
	}
	if there < told {
		t.Errorf("the reader said that it has %d words, and %d are on its disk", told, there)
	}
	t.Logf("%d told, %d there", told, there)
	same(t, g, startNode(t, annHome, "Ann", nil), n)
}

// powered is a child whose home is on a disk of its own.
type powered struct {
	*process
	dir, image string
}

func startPowered(t *testing.T) *powered {
	t.Helper()
	dir := t.TempDir()
	image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	makeDisk(t, image)
	mountDisk(t, image, disk)
	return &powered{startChild(t, filepath.Join(disk, "home")), dir, image}
}

// cut stops the process and copies what its disk has; it returns the copy.
func (s *powered) cut(t *testing.T) (copied string) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	copied = filepath.Join(s.dir, "copy")
	execute(t, "cp", "--sparse=always", s.image, copied)
	return copied
}

// powerBack mounts a copied disk and returns the home on it.
func powerBack(t *testing.T, copied string) (home string) {
	t.Helper()
	after := filepath.Join(filepath.Dir(copied), "after")
	mountDisk(t, copied, after)
	return filepath.Join(after, "home")
}

// diskMiB is the size of the disks made here: what the guard of free space asks
// for, and some.
const diskMiB = 640

func makeDisk(t *testing.T, image string) {
	t.Helper()
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(diskMiB << 20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, "mkfs.ext4", "-q", image)
}

func mountDisk(t *testing.T, image, at string) {
	t.Helper()
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	execute(t, "mount", "-o", "loop", image, at)
	t.Cleanup(func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
}

func execute(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, strings.TrimSpace(string(out)))
	}
}

// loopable tells why no file system can be mounted from a file here.
func loopable(t *testing.T) error {
	t.Helper()
	dir := t.TempDir()
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "at")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	for _, line := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, at}, {"umount", at}} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line[0], err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
