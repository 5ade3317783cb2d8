//go:build !linux

package store

import (
	"errors"
	"os"
)

// reserve is not known here.
func reserve(*os.File, int64) error { return errors.ErrUnsupported }

// bootID is not asked for where Badger syncs each commit.
func bootID() string { return "" }
