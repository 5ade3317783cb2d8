//go:build !linux

package store

import (
	"errors"
	"os"
)

// reserve is not known here.
func reserve(*os.File, int64) error { return errors.ErrUnsupported }
