package nodetest

import (
	"os"
	"syscall"
	"testing"
)

const (
	// memoryDisk is where Linux keeps a file system in memory.
	memoryDisk = "/dev/shm"
	// memoryFree is what it must have free: homes of a hundred nodes weigh some
	// hundred MB, and in some containers it has 64.
	memoryFree = 4 << 30
	// memTable is how much a node's store gathers in memory: with the usual 16 MiB,
	// which are taken at once, they were four fifths of what a hundred nodes took.
	// The wraps of an epoch of 500 members, 0.6 MB, fit a transaction still.
	memTable = 6 << 20
)

// homesOf is a folder for homes, deleted after the test: in memory where there is
// room. Every node waits for its disk, and virtual time for every node, so on a
// real disk a story is mostly that. It gives nothing away: a node here is ended by
// [Cluster.Stop] or [Cluster.Crash], after which what was written is there, synced
// or not; power cuts and full disks are played in packages store, node and
// cmd/mutuals. (A run that is killed leaves its homes there, mutuals-*, as it would
// in a folder of temporary files.)
func homesOf(t *testing.T) string {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(memoryDisk, &s); err != nil || s.Bavail*uint64(s.Bsize) < memoryFree {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memoryDisk, "mutuals-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("deleting homes: %v", err)
		}
	})
	return dir
}
