package store

import (
	"fmt"
	"slices"
	"testing"
)

// TestScanInsideUpdate deletes and adds while it iterates, over more rows
// than are read ahead at once.
func TestScanInsideUpdate(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g := groupID("g")
	const rows = 3*scanChunk + 7
	update(t, s, func(tx *Tx) error {
		for i := range uint64(rows) {
			err := all(tx.PutTask(fmt.Sprintf("%05d", i), nil), tx.PutEntry(g, i, opID("o", i), Byline{}, nil))
			if err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, func(tx *Tx) error {
		var seen []string
		err := tx.EachTask(func(id string, _ []byte) error {
			seen = append(seen, id)
			if len(seen)%2 == 0 {
				return tx.DeleteTask(id)
			}
			return tx.PutTask(id, []byte("kept"))
		})
		if len(seen) != rows || !slices.IsSorted(seen) {
			t.Errorf("saw %d tasks", len(seen))
		}
		page, err2 := tx.PageEntries(g, Cursor{}, Before, rows)
		if len(page) != rows || page[0].OrderMs != 0 || page[rows-1].OrderMs != rows-1 {
			t.Errorf("page of %d", len(page))
		}
		return all(err, err2)
	})
	left := 0
	view(t, s, func(tx *Tx) error {
		return tx.EachTask(func(string, []byte) error { left++; return nil })
	})
	if left != (rows+1)/2 {
		t.Errorf("%d tasks are left", left)
	}
}
