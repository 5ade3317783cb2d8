package store

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// backStep is how many bytes of small transactions are written before more of
	// the log is backed, and backAhead how far it is then: some three hundred messages
	// said one by one, and 0.6 to 0.7 ms, after one of a hundred and fifty.
	backStep  = 256 << 10
	backAhead = 2 * backStep
	// backMost is the largest transaction that counts: what is larger shares its
	// sync, and writing its pages twice would cost more than that takes.
	backMost = 16 << 10
	// logPage is what the log is backed by at a time: the page of the system. Of what
	// is written in one piece Linux makes one folio, and syncs all of it for a byte
	// that a mapping changed: pages of 1 MiB took three times as long as having none.
	logPage = 4 << 10
)

// grew counts a transaction, and tells whether the log is to be backed.
func (w *wal) grew(bytes int) bool {
	if bytes > backMost {
		return false
	}
	w.grown += bytes
	return w.grown >= backStep
}

// back has the disk hold a place for what the log comes to next. Badger makes it as
// a file of holes, and a sync of what lies in a hole waits for the journal of the file
// system besides: a message takes half a page, so every other one did. It
// writes what it reads there, zeros, so nothing changes but that;
// nobody may write meanwhile.
func (w *wal) back() error {
	w.grown = 0
	// Not to read on ahead: that would make large folios.
	if err := unix.Fadvise(int(w.f.Fd()), 0, 0, unix.FADV_RANDOM); err != nil {
		return fmt.Errorf("backing the log: %w", err)
	}
	page := make([]byte, logPage)
	for ; ; w.ended += logPage {
		empty, err := w.empty(page, w.ended)
		if err != nil {
			return err
		}
		if empty {
			break
		}
	}
	for w.backed = max(w.backed, w.ended); w.backed < w.ended+backAhead; w.backed += logPage {
		empty, err := w.empty(page, w.backed)
		if err != nil {
			return err
		}
		if !empty {
			continue
		}
		if _, err := w.f.WriteAt(page, w.backed); err != nil {
			return fmt.Errorf("backing the log: %w", err)
		}
	}
	return nil
}

// empty tells whether a whole page lies there and nothing is on it; it fails with
// io.EOF where the file ends.
func (w *wal) empty(page []byte, at int64) (bool, error) {
	if _, err := w.f.ReadAt(page, at); err != nil {
		return false, err
	}
	for _, b := range page {
		if b != 0 {
			return false, nil
		}
	}
	return true, nil
}
