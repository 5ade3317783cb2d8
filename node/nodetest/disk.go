package nodetest

import (
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

func readDisk(home string, g wire.GroupID) (*Disk, error) {
	b, err := os.ReadFile(filepath.Join(home, "keys.sealed"))
	if err != nil {
		return nil, err
	}
	keys, err := identity.OpenKeys(b, nil)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(filepath.Join(home, "store"), keys.StoreKey(), store.Options{
		FreeSpace: func(string) (uint64, error) { return 1 << 40, nil },
	})
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
