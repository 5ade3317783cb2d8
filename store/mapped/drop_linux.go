package mapped

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapping is one stretch of addresses, as proc_pid_smaps(5) tells it.
type mapping struct {
	from, to  uintptr
	perms     string // "r-xp"
	path      string // empty: no file
	anonymous bool   // some of its pages are not the file's any more
}

// Drop lets go of the mapped pages of files whose path which accepts. Each of
// these must stay mapped until Drop returns: what took its place meanwhile would
// lose what it holds.
func Drop(which func(path string) bool) error {
	all, err := mappings()
	if err != nil {
		return fmt.Errorf("reading what is mapped: %w", err)
	}
	for _, m := range all {
		if !m.clean() || !which(m.path) {
			continue
		}
		// x/sys takes a slice, and these addresses are none of Go's.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("letting go of %s: %w", m.path, errno)
		}
	}
	return nil
}

// DropProgram lets go of the pages of the program itself: its code, and the data
// it never writes.
func DropProgram() error {
	// With " (deleted)" after it where the file was replaced, as in the mappings.
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	return Drop(func(path string) bool { return path == self })
}

// clean tells whether each page is as its file has it, or will be: then none is
// lost. A private mapping that may be written could change while we look.
func (m mapping) clean() bool {
	shared := strings.HasSuffix(m.perms, "s")
	return strings.HasPrefix(m.path, "/") && !m.anonymous && (shared || !strings.Contains(m.perms, "w"))
}

// mappings reads those of this process.
func mappings() ([]mapping, error) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(f)
}

func parse(smaps io.Reader) ([]mapping, error) {
	var out []mapping
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Bytes()
		first, rest, _ := bytes.Cut(line, []byte{' '})
		switch {
		case string(first) == "Anonymous:" && len(out) > 0:
			out[len(out)-1].anonymous = string(bytes.TrimSpace(rest)) != "0 kB"
		case !bytes.HasSuffix(first, []byte{':'}):
			m, ok := mappingOf(string(line))
			if !ok {
				return nil, fmt.Errorf("no mapping: %.80q", line)
			}
			out = append(out, m)
		}
	}
	return out, lines.Err()
}

// mappingOf reads the first line of one.
func mappingOf(line string) (mapping, bool) {
	f := strings.Fields(line)
	if len(f) < 5 {
		return mapping{}, false
	}
	from, to, _ := strings.Cut(f[0], "-")
	a, err1 := strconv.ParseUint(from, 16, 64)
	z, err2 := strconv.ParseUint(to, 16, 64)
	// Until its own line has said otherwise it may hold anything.
	m := mapping{from: uintptr(a), to: uintptr(z), perms: f[1], anonymous: true}
	if _, path, ok := strings.Cut(line, " /"); ok {
		m.path = "/" + path
	}
	return m, err1 == nil && err2 == nil && a <= z
}
