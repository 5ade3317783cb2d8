package store

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// reserve gives a file its blocks without writing them.
func reserve(f *os.File, size int64) error { return unix.Fallocate(int(f.Fd()), 0, 0, size) }

// bootID names the start of the system, and with it what the kernel holds of files
// in memory; empty if it does not say.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
