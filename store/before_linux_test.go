package store

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A copy of a log is as the log is, and takes no more room: most of one is holes.
func TestCopyOfALogHasItsHoles(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "log"), filepath.Join(dir, "copy")
	want := make([]byte, 8<<20+17)
	want[0], want[5<<20], want[6<<20-1] = 1, 2, 3
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 5 << 20, 6<<20 - 1} {
		if _, err := f.WriteAt(want[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := all(f.Truncate(int64(len(want))), f.Close(), copyLog(from, to)); err != nil {
		t.Fatal(err)
	}
	if got := contentsOf(t, to); !bytes.Equal(got, want) {
		t.Error("the copy is another")
	}
	var st syscall.Stat_t
	if err := syscall.Stat(to, &st); err != nil || st.Blocks*512 > 1<<20 {
		t.Errorf("the copy takes %d bytes: %v", st.Blocks*512, err)
	}
}
