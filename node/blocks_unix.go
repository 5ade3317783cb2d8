//go:build unix

package node

import (
	"io/fs"
	"syscall"
)

// blocks is what a file takes of the disk: Badger's are sparse while open.
func blocks(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks) * 512
	}
	return info.Size()
}
