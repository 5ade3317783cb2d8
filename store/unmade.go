package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// dropUnmade removes empty logs, which Badger takes for new ones and then refuses. A
// killed process leaves one that it had made and not yet sized, or one that it was
// deleting once its rows lay in tables: Badger cuts it before it takes its name
// away, and the next is in use by then. What lay in one that somebody else emptied is
// gone, like the end of one that was cut.
func dropUnmade(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		return err
	}
	mems, err := filepath.Glob(filepath.Join(dir, "*"+memSuffix))
	if err != nil {
		return err
	}
	logs = append(logs, mems...)
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
