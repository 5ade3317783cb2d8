package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// by is a byline of a test.
func by(inc uint64) Byline {
	return Byline{Inc: opID("inc", inc), Data: func() []byte { return fmt.Appendf(nil, "written by %d", inc) }}
}

// bylineRows counts the bylines that lie in a store.
func bylineRows(t testing.TB, s *Store) (n int) {
	t.Helper()
	view(t, s, func(tx *Tx) error {
		n = 0
		return tx.scan(span{prefix: newKey(pByline)}, func(row, []byte) error { n++; return nil })
	})
	return n
}

// TestBylines: whatever is written, forgotten and opened again, beside what fails, each
// entry has the byline that it was put with, which lies in the store once.
func TestBylines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := openTest(t, dir, Options{MemTable: MemTableBytes / 8})
		defer func() { s.Close() }()
		type place struct {
			group string
			id    uint64
		}
		want, bylined := map[place]uint64{}, map[place]bool{}
		forget := func(group string) {
			maps.DeleteFunc(want, func(at place, _ uint64) bool { return at.group == group })
			maps.DeleteFunc(bylined, func(at place, _ bool) bool { return at.group == group })
		}
		read := func(tx *Tx) error {
			for at, inc := range want {
				e, ok, err := tx.Entry(groupID(at.group), opID("o", at.id))
				if err != nil || !ok || string(e.By) != string(by(inc).Data()) {
					return fmt.Errorf("entry %v: %q, %v, %v", at, e.By, ok, err)
				}
			}
			return nil
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			at := place{rapid.SampledFrom([]string{"g", "h"}).Draw(rt, "group"), rapid.Uint64Range(0, 9).Draw(rt, "op")}
			inc := at.id % 3
			put := func(tx *Tx) error { return tx.PutEntry(groupID(at.group), 7, opID("o", at.id), by(inc), nil) }
			failure := errors.New("failure")
			var err error
			switch rapid.SampledFrom([]string{"put", "put", "put", "fail", "forget", "forget and put", "open again"}).Draw(rt, "what") {
			case "put":
				err = s.Update(context.Background(), func(tx *Tx) error { return all(put(tx), read(tx)) })
				want[at], bylined[place{at.group, inc}] = inc, true
			case "fail":
				err = s.Update(context.Background(), func(tx *Tx) error {
					err := put(tx)
					_, _, err2 := tx.Entry(groupID(at.group), opID("o", at.id)) // by numbers that are given anew
					return all(err, err2, failure)
				})
				if errors.Is(err, failure) {
					err = nil
				}
			case "forget":
				err = s.ForgetGroup(context.Background(), groupID(at.group))
				forget(at.group)
			case "forget and put":
				forget(at.group)
				err = s.Update(context.Background(), func(tx *Tx) error {
					before := put(tx)
					_, err := tx.forgetSome(groupID(at.group))
					return all(before, err, put(tx))
				})
				want[at], bylined[place{at.group, inc}] = inc, true
			default:
				if err = s.Close(); err == nil {
					s = openTest(t, dir, Options{MemTable: MemTableBytes / 8})
				}
			}
			if err == nil {
				err = s.View(read)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		if n := bylineRows(t, s); n != len(bylined) {
			rt.Fatalf("%d bylines of %d who wrote", n, len(bylined))
		}
	})
}

// An entry whose byline is gone is damage, named as such, not an entry of nobody.
func TestBylineGone(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	g := groupID("g")
	update(t, s, func(tx *Tx) error { return tx.PutEntry(g, 7, opID("o", 1), by(1), []byte("entry")) })
	update(t, s, func(tx *Tx) error {
		return tx.scan(span{prefix: newKey(pByline)}, func(k row, _ []byte) error { return tx.del(append(key{pByline}, k.b...)) })
	})
	view(t, s, func(tx *Tx) error {
		if _, _, err := tx.Entry(g, opID("o", 1)); !errors.Is(err, ErrDamaged) {
			t.Errorf("read alone: %v", err)
		}
		if _, err := tx.PageEntries(g, Cursor{}, Before, 5); !errors.Is(err, ErrDamaged) {
			t.Errorf("read in a page: %v", err)
		}
		return nil
	})
	rep, err := s.Check(t.Context(), hashOf)
	if err != nil || rep.Total != 1 {
		t.Errorf("Check found %+v: %v", rep.Problems, err)
	}
}

// Check reads the disk, whatever readers remember.
func TestCheckMissesABylineThatIsRemembered(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	g := groupID("g")
	update(t, s, func(tx *Tx) error { return tx.PutEntry(g, 7, opID("o", 1), by(1), []byte("entry")) })
	view(t, s, func(tx *Tx) error { _, _, err := tx.Entry(g, opID("o", 1)); return err })
	update(t, s, func(tx *Tx) error { return tx.del(groupKey(pByline, 1).num(2)) })
	if rep, err := s.Check(t.Context(), hashOf); err != nil || rep.Total != 1 {
		t.Errorf("Check found %+v: %v", rep.Problems, err)
	}
}

// A damaged byline is written anew by who has it, as soon as they say something: all they
// said can be read again.
func TestBylineMended(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	g := groupID("g")
	update(t, s, func(tx *Tx) error { return tx.PutEntry(g, 7, opID("o", 1), by(1), nil) })
	update(t, s, func(tx *Tx) error {
		tx.rows++ // so that it is committed
		return tx.txn.Set(groupKey(pByline, 1).num(2), []byte("nonsense"))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, Options{})
	update(t, s, func(tx *Tx) error { return tx.PutEntry(g, 8, opID("o", 2), by(1), nil) })
	view(t, s, func(tx *Tx) error {
		rows, err := tx.PageEntries(g, Cursor{}, Before, 5)
		if len(rows) != 2 || string(rows[0].By) != string(by(1).Data()) {
			t.Errorf("%+v", rows)
		}
		return err
	})
}

// What readers remember is bounded.
func TestBylinesAreBounded(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g := groupID("g")
	for from := uint64(0); from <= maxBylines; from += 1000 {
		update(t, s, func(tx *Tx) error {
			for i := from; i < from+1000; i++ {
				if err := tx.PutEntry(g, i, opID("o", i), by(i), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	view(t, s, func(tx *Tx) error {
		return tx.eachEntry(g, Cursor{}, After, false, func(e EntryRow) error {
			if string(e.By) != string(by(e.OrderMs).Data()) {
				return fmt.Errorf("entry %d: %q", e.OrderMs, e.By)
			}
			return nil
		})
	})
	if n := len(s.bylines.of); n > maxBylines {
		t.Errorf("%d are remembered", n)
	}
}

// A commit takes no longer for all who ever wrote.
func BenchmarkCommitAmongMany(b *testing.B) {
	for _, writers := range []int{0, 100_000} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := openTest(b, "", Options{InMemory: true})
			for i := range writers {
				s.bylined[bylineKey{num(i/100 + 1), num(i)}] = 0
			}
			for b.Loop() {
				update(b, s, func(tx *Tx) error { return tx.PutSetting("a", nil) })
			}
		})
	}
}

// What is left of a group that is half forgotten has its bylines.
func TestBylineOfHalfAGroup(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{MemTable: MemTableBytes / 8})
	g := groupID("g")
	for put, full := uint64(0), 0; full < 6; full++ {
		update(t, s, func(tx *Tx) error {
			for ; !tx.Full(); put++ {
				if err := tx.PutEntry(g, put, opID("o", put), by(1), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	update(t, s, func(tx *Tx) error {
		more, err := tx.forgetSome(g)
		if err == nil && !more {
			t.Fatal("all of it is forgotten")
		}
		return err
	})
	view(t, s, func(tx *Tx) error {
		page, err := tx.PageEntries(g, Cursor{}, Before, 5)
		if len(page) != 5 || string(page[0].By) != "written by 1" {
			t.Errorf("%d entries are left: %v", len(page), err)
		}
		return err
	})
}

// What a program of format 1 wrote is read, and written anew in this one's way; the older
// program refuses the store then, by number.
func TestFormatOne(t *testing.T) {
	dir := t.TempDir()
	one := Options{steps: []migration{}}
	s := openTest(t, dir, one)
	g, inc := groupID("g"), opID("inc", 0)
	frame := append([]byte{0x85, 1}, make([]byte, 100)...)
	entry := []byte{0x94, 1, 'x'}
	id, _ := hashOf(frame)
	update(t, s, func(tx *Tx) error {
		gn, err := tx.intern(g)
		in, err2 := tx.intern(inc)
		return all(err, err2,
			tx.set(opKey(gn, in, chainContent, 1, id), id[16:], frame),
			tx.set(entryKey(gn, 7, id), id[16:], entry),
			tx.writeWhere(gn, id, where{inc: in, chain: chainContent, seq: 1, entered: true, order: 7}),
			tx.PutHead(g, inc, chainContent, Head{Seq: 1, ID: id}))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, Options{})
	read := func(by string, data []byte) {
		t.Helper()
		view(t, s, func(tx *Tx) error {
			op, _, err := tx.OpByID(g, id)
			e, ok, err2 := tx.Entry(g, id)
			if string(op.Frame) != string(frame) || !ok || string(e.By) != by || string(e.Data) != string(data) {
				t.Errorf("frame %x, entry %q by %q", op.Frame, e.Data, e.By)
			}
			return all(err, err2)
		})
		if rep, err := s.Check(t.Context(), hashOf); err != nil || rep.Total != 0 || rep.Ops != 1 || rep.Entries != 1 {
			t.Errorf("Check: %+v, %v", rep, err)
		}
	}
	read("", entry)
	update(t, s, func(tx *Tx) error {
		return all(tx.PutOp(g, inc, chainContent, 1, id, frame), tx.PutEntry(g, 7, id, by(0), []byte("new")))
	})
	read("written by 0", []byte("new"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var newer *NewerFormatError
	if _, err := Open(dir, testKey, one); !errors.As(err, &newer) || newer.Found != 2 || newer.Known != 1 {
		t.Errorf("the older program says: %v", err)
	}
}
