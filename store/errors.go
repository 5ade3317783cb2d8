package store

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed means the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrDiskFull means that less than MinSpaceBytes are free. Nothing of the
	// function was kept. Reads still work.
	ErrDiskFull = errors.New("disk is full")
	// ErrReadOnly means that the file system takes no writes at all.
	ErrReadOnly = errors.New("disk is read-only")
	// ErrPruned means that changes after the given number are no longer
	// kept: the reader has to start from a snapshot.
	ErrPruned = errors.New("changes are no longer kept")
	// ErrAhead means that the given change number was not reached yet, so it
	// is another store's, or this store lost its end. Start from a snapshot.
	ErrAhead = errors.New("change number is ahead of the store")
	// ErrTooLarge means that a value, or the sum of one function's writes, is
	// past its bound. See [Tx.Full].
	ErrTooLarge = errors.New("too large for one transaction")
	// ErrWrongKey means that the files are encrypted under another key.
	ErrWrongKey = errors.New("store key does not fit")
)

// InUseError says that another process has the store open. It matches
// [ErrInUse] with errors.Is.
type InUseError struct {
	Dir string // the folder given to Open
	PID int    // process id of the holder, 0 if it could not be read
}

// ErrInUse matches every *InUseError.
var ErrInUse = errors.New("store is in use")

func (e *InUseError) Error() string {
	return fmt.Sprintf("store %q is in use by process %d", e.Dir, e.PID)
}

// Is reports whether target is ErrInUse.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// NewerFormatError says that a newer program wrote the store. It matches
// [ErrNewerFormat] with errors.Is.
type NewerFormatError struct {
	Found uint64 // format of the store on disk
	Known uint64 // newest format this program knows
}

// ErrNewerFormat matches every *NewerFormatError.
var ErrNewerFormat = errors.New("store has a newer format")

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("store has format %d, this program knows up to %d", e.Found, e.Known)
}

// Is reports whether target is ErrNewerFormat.
func (e *NewerFormatError) Is(target error) bool { return target == ErrNewerFormat }

// DamagedError says what is broken on disk and whether the copies made at
// the last clean close would mend it ([Restore]). It matches [ErrDamaged]
// with errors.Is.
type DamagedError struct {
	What       string // which file or row, and how
	Restorable bool   // Restore would put back an exact copy
}

// ErrDamaged matches every *DamagedError.
var ErrDamaged = errors.New("store is damaged")

func (e *DamagedError) Error() string { return "store is damaged: " + e.What }

// Is reports whether target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

func damaged(format string, args ...any) error {
	return &DamagedError{What: fmt.Sprintf(format, args...)}
}

func isDamaged(err error) bool { return errors.Is(err, ErrDamaged) }
