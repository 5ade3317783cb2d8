package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// dropUnmade removes logs that a killed process had made and not yet sized: Badger
// takes such a file for a new one and then refuses it. Nothing can lie in them. A
// log of a memtable has its size on the disk before anything in it is
// acknowledged, so only the newest may be empty; another one that is was cut, and
// Badger is to say so (SPEC.md D2).
func dropUnmade(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		return err
	}
	mems, err := filepath.Glob(filepath.Join(dir, "*"+memSuffix))
	if err != nil {
		return err
	}
	if len(mems) > 0 {
		slices.Sort(mems) // five digits each
		logs = append(logs, mems[len(mems)-1])
	}
	for _, path := range logs {
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a log without content: %w", err)
		}
	}
	return nil
}

// memSuffix ends the name of a memtable's log; a number of five digits or more
// stands before it.
const memSuffix = ".mem"
