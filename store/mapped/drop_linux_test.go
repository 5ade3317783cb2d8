package mapped

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// resident sums the pages of a file that are mapped now, in KiB.
func resident(t *testing.T, path string) (sum int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	of := false
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if !strings.HasSuffix(f[0], ":") {
			of = strings.HasSuffix(line, " "+path+"\n")
		} else if f[0] == "Rss:" && of {
			n := 0
			for _, c := range f[1] {
				n = 10*n + int(c-'0')
			}
			sum += n
		}
	}
	return sum
}

// mapFile maps a file of so many random-looking bytes.
func mapFile(t *testing.T, size, prot, flags int) (path string, b []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(path, bytes.Repeat([]byte("0123456789abcdef"), size/16), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err = unix.Mmap(int(f.Fd()), 0, size, prot, flags); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return path, b
}

const fileSize = 1 << 20

// A table that was read takes no room afterwards, and reads as before; what was
// written by the mapping is in the file.
func TestDropTable(t *testing.T) {
	path, b := mapFile(t, fileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	copy(b[5000:], "changed")
	before := bytes.Clone(b)
	if got := resident(t, path); got < fileSize>>10 {
		t.Fatalf("%d KiB are mapped of a file that was read", got)
	}
	if err := Drop(func(p string) bool { return p == path }); err != nil {
		t.Fatal(err)
	}
	if got := resident(t, path); got != 0 {
		t.Errorf("%d KiB are still mapped", got)
	}
	if !bytes.Equal(b, before) {
		t.Error("it reads otherwise now")
	}
}

// What this process changed for itself is nowhere else: it stays.
func TestDropKeepsChanges(t *testing.T) {
	path, b := mapFile(t, fileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	copy(b[5000:], "changed")
	if err := unix.Mprotect(b, unix.PROT_READ); err != nil { // as the linker does
		t.Fatal(err)
	}
	if err := Drop(func(p string) bool { return p == path }); err != nil {
		t.Fatal(err)
	}
	if string(b[5000:5007]) != "changed" {
		t.Error("a change was lost")
	}
}

// The program goes on without its pages.
func TestDropProgram(t *testing.T) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	before := resident(t, self)
	if err := DropProgram(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t, self); after >= before {
		t.Errorf("%d KiB were mapped before, %d after", before, after)
	}
}

// Whatever the kernel says of addresses is read, or refused.
func TestParse(t *testing.T) {
	all, err := parse(strings.NewReader("00400000-00e00000 r-xp 00000000 fe:00 42      /opt/a b/mutualsd (deleted)\nRss: 4 kB\nAnonymous:             0 kB\n" +
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \nAnonymous:             4 kB\n" +
		"7f0000001000-7f0000002000 r--p 00000000 fe:00 42   /lib/x\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{
		{0x400000, 0xe00000, "r-xp", "/opt/a b/mutualsd (deleted)", false},
		{0x7f0000000000, 0x7f0000001000, "rw-p", "", true},
		{0x7f0000001000, 0x7f0000002000, "r--p", "/lib/x", true},
	}
	for i, m := range want {
		if all[i] != m {
			t.Errorf("mapping %d is %+v, not %+v", i, all[i], m)
		}
	}
	if !all[0].clean() || all[1].clean() || all[2].clean() {
		t.Error("what may be let go of is not what is as its file has it")
	}
	if _, err := parse(strings.NewReader("zz-00e00000 r-xp 00000000 fe:00 42 /x\n")); err == nil {
		t.Error("no address was read")
	}
}
