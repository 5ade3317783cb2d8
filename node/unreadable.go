package node

import (
	"context"
	"errors"
	"slices"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// unreadable is a group whose rows do not make a room: a damaged table of the store took
// some with it. The others are opened, and this one is listed as what it is: nothing on
// the disk is to look as if it had never been there, nor to be written over.
type unreadable struct {
	name  string // empty if not even that can be read
	keeps bool   // this node is its harbor
	err   error
}

// setAside notes that a group was not opened. It fails if that is not the group's fault:
// the node stops, or the store was closed.
func (n *Node) setAside(g wire.GroupID, why error) error {
	if n.ctx.Err() != nil || errors.Is(why, store.ErrClosed) {
		return why
	}
	u := unreadable{err: why}
	_ = n.store.View(func(tx *store.Tx) error { // each as far as it can be read
		if row, ok, err := tx.Group(g); ok && err == nil {
			var meta groupMeta
			if wire.Unmarshal(row.Meta, &meta) == nil {
				u.name = meta.Name
			}
		}
		_, ok, err := tx.Setting(officeKey(g))
		u.keeps = ok && err == nil
		return nil
	})
	n.log.Error("a group cannot be read, and stays closed", "group", g.Short(), "err", why)
	n.roomsMu.Lock()
	defer n.roomsMu.Unlock()
	if n.unreadable == nil {
		n.unreadable = map[wire.GroupID]unreadable{}
	}
	n.unreadable[g] = u
	return nil
}

// mayOpen tells why a group is not to be made or joined here: what is left of it on the
// disk would be written over.
func (n *Node) mayOpen(g wire.GroupID) error {
	if p := n.cannotRead(g); p != nil {
		return p
	}
	return nil
}

// cannotRead is the problem with a group that is not open, nil if there is none.
func (n *Node) cannotRead(g wire.GroupID) *api.Problem {
	return n.cannotReadAny(func(other wire.GroupID) bool { return other == g })
}

// cannotReadAny is the same of the group that is meant.
func (n *Node) cannotReadAny(meant func(wire.GroupID) bool) *api.Problem {
	n.roomsMu.RLock()
	defer n.roomsMu.RUnlock()
	for g, u := range n.unreadable { // rarely any
		if meant(g) {
			return u.problem()
		}
	}
	return nil
}

func (u unreadable) problem() *api.Problem {
	return api.NewProblem(api.GroupUnreadable, "why", u.err.Error())
}

// unreadableGroups lists those of this account, by their ids.
func (n *Node) unreadableGroups() []api.Group {
	n.roomsMu.RLock()
	defer n.roomsMu.RUnlock()
	var out []api.Group
	for g, u := range n.unreadable {
		if !u.keeps {
			out = append(out, api.Group{ID: g, Name: u.name, Role: api.RoleMember, Status: api.GroupIsUnreadable, Problem: u.problem()})
		}
	}
	slices.SortFunc(out, func(a, b api.Group) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
}

// unreadableFindings tells of all of them, those kept for others too.
func (n *Node) unreadableFindings() []api.Finding {
	n.roomsMu.RLock()
	defer n.roomsMu.RUnlock()
	var out []api.Finding
	for g, u := range n.unreadable {
		name := u.name
		if name == "" {
			name = g.Short()
		}
		out = append(out, api.NewFinding(api.FoundGroupUnreadable, name, u.err))
	}
	slices.SortFunc(out, func(a, b api.Finding) int { return slices.Compare(a.Args, b.Args) })
	return out
}

// StoreDamaged tells whether a home does not open because its store is damaged, and
// whether RestoreStore mends that.
func StoreDamaged(err error) (damaged, restorable bool) {
	var d *store.DamagedError
	if errors.As(err, &d) {
		return true, d.Restorable
	}
	return errors.Is(err, store.ErrDamaged), false
}

// RestoreStore puts back those files of a stopped home's store that say which tables it
// has, from the copies of its last close, and returns their names. It is what
// `mutualsd store restore` does (store/SPEC.md S5).
func RestoreStore(_ context.Context, dir string) ([]string, error) {
	h := home{dir: dir}
	lock, err := lockHome(h)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return store.Restore(h.path(dirStore))
}
