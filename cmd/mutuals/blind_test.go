package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"mutuals/node/api"
)

// blind demands that none of some words is in the memory of the daemon of a
// home, or, negated, that each is. Where the system does not let one look (it is
// not Linux, or forbids it) it says so.
func blind(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: blind HOME WORD…")
	}
	dir := ts.MkAbs(args[0])
	e, err := api.Home{Runtime: dir, State: dir}.ReadEndpoint()
	ts.Check(err)
	found, err := inMemory(e.PID, args[1:])
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		ts.Logf("not looked into: %v", err)
		return
	}
	ts.Check(err)
	for _, word := range args[1:] {
		if found[word] == neg {
			continue
		}
		ts.Fatalf("%q in the memory of %s: %v", word, args[0], found[word])
	}
}

// inMemory tells which words are anywhere in the writable memory of a process.
func inMemory(pid int, words []string) (map[string]bool, error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	found, read := map[string]bool{}, 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		const chunk, overlap = 1 << 20, 256
		for at := from; at < to; at += chunk - overlap {
			b := make([]byte, min(chunk, to-at))
			n, _ := mem.ReadAt(b, int64(at)) // a page may be gone meanwhile
			read += n
			for _, word := range words {
				found[word] = found[word] || bytes.Contains(b[:n], []byte(word))
			}
			if to-at <= chunk {
				break
			}
		}
	}
	if read == 0 {
		return nil, fmt.Errorf("%w: nothing of the memory of %d could be read", fs.ErrPermission, pid)
	}
	return found, nil
}
