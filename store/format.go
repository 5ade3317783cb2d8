package store

import "fmt"

// Format is the number of the key table and value layouts that this program
// writes. It goes up with each change that an older program would misread.
const Format = 2

// migration brings a store from the format before it to format To. Run is
// idempotent: it is called again after a crash, with the checkpoint it left
// (SPEC.md M2).
type migration struct {
	To uint64
	// Run does one bounded piece of the work, starting behind checkpoint (nil
	// at first), and returns the next checkpoint, or nil when all is done.
	// The piece and its checkpoint are committed together.
	Run func(tx *Tx, checkpoint []byte) (next []byte, err error)
}

// steps lead from format 1 to Format, in order.
var steps = []migration{
	// Entries name their byline by number, frames are packed. Rows of format 1 are read as
	// they are: nothing is to be done but to keep older programs out.
	{To: 2, Run: func(*Tx, []byte) ([]byte, error) { return nil, nil }},
}

// newest is the format that a list of steps ends in.
func newest(steps []migration) uint64 {
	if n := len(steps); n > 0 {
		return steps[n-1].To
	}
	return 1
}

// migrate runs what is missing, or refuses a store of a newer program.
func (s *Store) migrate(steps []migration) error {
	newest := newest(steps)
	var have uint64
	err := s.raw(func(tx *Tx) (err error) {
		if have, err = tx.metaNumber(metaFormat); err != nil || have != 0 {
			return err
		}
		have = newest // a new store
		return tx.setMetaNumber(metaFormat, newest)
	})
	if err != nil {
		return err
	}
	if have > newest {
		return &NewerFormatError{Found: have, Known: newest}
	}
	for _, m := range steps {
		if m.To <= have {
			continue
		}
		if err := s.runMigration(m); err != nil {
			return fmt.Errorf("migrating store to format %d: %w", m.To, err)
		}
	}
	return nil
}

func (s *Store) runMigration(m migration) error {
	for done := false; !done; {
		err := s.raw(func(tx *Tx) error {
			at, _, err := tx.get(metaKey(metaStep))
			if err != nil {
				return err
			}
			next, err := m.Run(tx, at)
			if err != nil {
				return err
			}
			if done = next == nil; !done {
				return tx.set(metaKey(metaStep), next)
			}
			if err := tx.del(metaKey(metaStep)); err != nil {
				return err
			}
			return tx.setMetaNumber(metaFormat, m.To)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
