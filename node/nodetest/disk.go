package nodetest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/store"
)

// Disk is what lies in the home of somebody whose node is off: which epochs of
// the group it can read, and every operation it was handed.
type Disk struct {
	Epochs  map[[32]byte]bool // by eid
	Content map[wire.OpID]*groups.Op
	Rekeys  map[wire.OpID][32]byte // eids
}

// Disk reads somebody's home, as whoever takes it would.
func (c *Cluster) Disk(p *Person) *Disk {
	c.T.Helper()
	d, err := readDisk(p.home, c.Group)
	if err != nil {
		c.T.Fatalf("reading the home of %s: %v", p.Name, err)
	}
	return d
}

// Acquaint writes the signed addresses that somebody has into the homes of all the
// others, whose nodes are off, as if each had heard them in hellos: those carry 32
// at a time, and who has few looks for everybody it can find.
func (c *Cluster) Acquaint(by *Person) {
	c.T.Helper()
	records := map[wire.PeerKey][]byte{}
	home := func(p *Person, fn func(*store.Store) error) {
		s, err := openHome(p.home)
		if err == nil {
			err = errors.Join(fn(s), s.Close())
		}
		if err != nil {
			c.T.Fatalf("addresses in the home of %s: %v", p.Name, err)
		}
	}
	home(by, func(s *store.Store) error {
		return s.View(func(tx *store.Tx) error {
			return tx.EachRecord(func(peer wire.PeerKey, b []byte) error {
				records[peer] = bytes.Clone(b)
				return nil
			})
		})
	})
	for _, p := range c.People {
		if p == by || p.Out {
			continue
		}
		home(p, func(s *store.Store) error {
			return s.Update(c.ctx(), func(tx *store.Tx) error {
				for peer, b := range records {
					if peer == p.Peer {
						continue
					}
					if err := tx.PutRecord(peer, b); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// openHome opens the store of a node that is off.
func openHome(home string) (*store.Store, error) {
	b, err := os.ReadFile(filepath.Join(home, "keys.sealed"))
	if err != nil {
		return nil, err
	}
	keys, err := identity.OpenKeys(b, nil)
	if err != nil {
		return nil, err
	}
	return store.Open(filepath.Join(home, "store"), keys.StoreKey(), store.Options{
		FreeSpace: func(string) (uint64, error) { return 1 << 40, nil }, MemTable: memTable,
	})
}

func readDisk(home string, g wire.GroupID) (*Disk, error) {
	s, err := openHome(home)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	d := &Disk{Epochs: map[[32]byte]bool{}, Content: map[wire.OpID]*groups.Op{}, Rekeys: map[wire.OpID][32]byte{}}
	return d, s.View(func(tx *store.Tx) error {
		epochs, err := tx.Epochs(g)
		if err != nil {
			return err
		}
		for _, e := range epochs {
			d.Epochs[e.EID] = true
		}
		heads, err := tx.Heads(g)
		if err != nil {
			return err
		}
		for _, h := range heads {
			err := tx.EachOp(g, h.Inc, h.Chain, 0, h.Seq, func(o store.StoredOp) error {
				op, refusal := groups.Decode(o.Frame)
				switch {
				case refusal != nil:
					return refusal
				case op.Chain == groups.Content:
					d.Content[op.ID] = op
				case op.Kind == groups.KindRekey:
					d.Rekeys[op.ID] = op.Body.(*groups.RekeyBody).EID
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
