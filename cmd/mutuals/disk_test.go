//go:build linux

package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestDiskScripts runs testdata/disk/*.txtar: the two programs on disks that
// fill up or take no writes. Beside the commands of TestScripts there are:
//
//	disk DIR MIB         mounts an empty disk of that size, in memory, at DIR
//	leave DIR MIB        fills it with a file until so many MiB are free
//	readonly DIR         makes it read-only, which the system allows only while nobody writes to it
//	writable DIR         the reverse
func TestDiskScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	if err := mountable(t.TempDir()); err != nil {
		if os.Getenv("MUTUALS_DISKS_MUST") != "" {
			t.Fatalf("this machine does not let the test mount a disk: %v", err)
		}
		t.Skipf("this machine does not let the test mount a disk (%v): full and read-only disks are NOT tested here", err)
	}
	t.Parallel()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){"disk": disk, "leave": leave, "readonly": remount(syscall.MS_RDONLY), "writable": remount(0)}
	maps.Copy(cmds, commands)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/disk",
		RequireExplicitExec: true,
		Cmds:                cmds,
		Setup: func(env *testscript.Env) error {
			prepare(t, env)
			env.Setenv("MUTUALS_LISTEN", "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1")
			env.Setenv("MUTUALS_MDNS", "off")
			return nil
		},
	})
}

func mountable(dir string) error {
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	return syscall.Unmount(dir, 0)
}

func disk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: disk DIR MIB")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(syscall.Mount("none", dir, "tmpfs", 0, "mode=700,size="+args[1]+"m"))
	ts.Defer(func() {
		// Its daemon first, or it is busy; endDaemons comes too late to find it.
		endDaemons(nil, filepath.Dir(dir))
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			ts.Logf("unmounting: %v", err)
		}
	})
}

const mib = 1 << 20

// filler is the file that takes the room of a disk.
const filler = "somebody-elses-film"

func leave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: leave DIR MIB")
	}
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(filepath.Join(ts.MkAbs(args[0]), filler), os.O_RDWR|os.O_CREATE, 0o600)
	ts.Check(err)
	defer f.Close()
	// The daemon may take some of what was free a moment ago: then look again.
	ts.Check(until(patience, "the disk to be filled", func() bool {
		var st syscall.Statfs_t
		ts.Check(syscall.Fstatfs(int(f.Fd()), &st))
		info, err := f.Stat()
		ts.Check(err)
		size := info.Size() + int64(st.Bavail)*st.Bsize - want*mib
		if size < info.Size() {
			ts.Check(f.Truncate(max(size, 0)))
			return true
		}
		err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			ts.Fatalf("filling the disk: %v", err)
		}
		return err == nil
	}))
}

func remount(flags uintptr) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: readonly DIR | writable DIR")
		}
		err := syscall.Mount("none", ts.MkAbs(args[0]), "", syscall.MS_REMOUNT|flags, "")
		if errors.Is(err, syscall.EBUSY) {
			ts.Fatalf("somebody writes there")
		}
		ts.Check(err)
	}
}
