package groups_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

// family is a group told in a few words: "ann>bob" ann pulls bob in, "bob!" an
// ack, "bob-" bob leaves, "ann/bob" ann removes bob, "ann^bob" ann makes bob
// an admin, "bob*cid" cid comes by a code of bob's that ann lets in.
func family(t *testing.T, founder, story string) (w *groupstest.World, l *groups.Log) {
	t.Helper()
	w = groupstest.NewWorld(66)
	who := func(name string) *groupstest.Person {
		if p, err := w.Person(name); err == nil {
			return p
		}
		p := w.Add(name)
		if len(w.People) > 1 {
			p.Log = nil
			for _, o := range w.Ops {
				if o.Kind == groups.KindGenesis {
					p.Log = groupstest.Deliver(w.Ops, w.NowMs)
					break
				}
			}
		}
		return p
	}
	ann := who(founder)
	genesis := w.Found(ann, 50, groups.DefaultPolicy())
	for _, step := range strings.Fields(story) {
		at := strings.IndexAny(step, ">-/^*")
		me, other := who(step[:at]), step[at+1:]
		switch step[at] {
		case '>':
			q := who(other)
			q.Inc = write(t, w, me, groups.KindAdmit, w.Request(q, me, nil)).ID
		case '*':
			seed := sha256.Sum256([]byte(step))
			inv := groupstest.Invite{Key: ed25519.NewKeyFromSeed(seed[:]), Inviter: me}
			inv.ID = write(t, w, me, groups.KindInvite, groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)),
				MaxUses: 1, NotAfterMs: w.NowMs + day, Role: uint64(groups.RoleMember)}).ID
			q := who(other)
			q.Inc = write(t, w, ann, groups.KindAdmit, w.Request(q, ann, &inv)).ID
		case '-':
			write(t, w, me, groups.KindLeave, groups.LeaveBody{})
		case '/':
			write(t, w, me, groups.KindRemove, groups.RemoveBody{Account: who(other).Account})
		case '^':
			write(t, w, me, groups.KindRole, groups.RoleBody{OwnOp: genesis.ID, Account: who(other).Account, Role: uint64(groups.RoleAdmin)})
		}
	}
	return w, ann.Log
}

func nameIn(w *groupstest.World, a wire.AccountID) string {
	for _, p := range w.People {
		if p.Account == a {
			return p.Name
		}
	}
	return a.Short()
}

func TestTreeOfWhoCameThroughWhom(t *testing.T) {
	for name, c := range map[string]struct{ story, tree string }{
		"founder alone":      {"", "ann"},
		"pulled and invited": {"ann>bob bob>cid bob*dan ann>eve", "ann( bob( cid dan ) eve )"},
		"who left stands":    {"ann>bob bob>cid bob-", "ann( (bob)( cid ) )"},
		"removed leaf too":   {"ann>bob ann/bob", "ann( (bob) )"},
		"came back the other way round": {
			"ann>bob bob>cid bob- cid>bob bob>dan", "ann( (bob)( cid( bob( dan ) ) ) )"},
	} {
		w, l := family(t, "ann", c.story)
		var b strings.Builder
		depth := 0
		for i, d := range l.State().Tree() {
			for ; depth > d.Depth; depth-- {
				b.WriteString(" )")
			}
			if d.Depth > depth {
				b.WriteString("(")
				depth++
			}
			if i > 0 {
				b.WriteString(" ")
			}
			if d.Present {
				b.WriteString(nameIn(w, d.Account))
			} else {
				fmt.Fprintf(&b, "(%s)", nameIn(w, d.Account))
			}
		}
		b.WriteString(strings.Repeat(" )", depth))
		if b.String() != c.tree {
			t.Errorf("%s: %s, want %s", name, b.String(), c.tree)
		}
	}
}

func TestBranchThatWouldBeRemoved(t *testing.T) {
	for name, c := range map[string]struct{ story, by, root, out, stay string }{
		"all below":                {"ann>bob bob>cid bob*dan cid>eve ann>fay", "ann", "bob", "bob cid eve dan", ""},
		"below a leaf":             {"ann>bob bob>cid", "ann", "cid", "cid", ""},
		"of who left":              {"ann>bob bob>cid bob-", "ann", "bob", "cid", ""},
		"of who was removed":       {"ann>bob bob>cid ann/bob", "ann", "bob", "cid", ""},
		"by every life":            {"ann>bob bob>cid bob- ann>bob bob>dan", "ann", "bob", "cid bob dan", ""},
		"not again by another":     {"ann>bob bob>cid cid- ann>cid", "ann", "bob", "bob", ""},
		"the owner removes admins": {"ann>bob bob>cid ann^cid cid>dan", "ann", "bob", "bob cid dan", ""},
		"an admin does not, nor who came through them": {"ann>bob bob>cid bob>eve ann^cid ann>dan ann^dan cid>fay", "dan", "bob", "bob eve", "cid"},
		"nor themselves":  {"ann>bob bob>cid ann^cid cid>fay", "cid", "bob", "bob", "cid"},
		"a member nobody": {"ann>bob bob>cid", "cid", "bob", "", "bob"},
		"of a stranger":   {"ann>bob", "ann", "zoe", "", ""},
	} {
		w, l := family(t, "ann", c.story)
		names := func(list []wire.AccountID) string {
			var out []string
			for _, a := range list {
				out = append(out, nameIn(w, a))
			}
			return strings.Join(out, " ")
		}
		by, _ := w.Person(c.by)
		root, err := w.Person(c.root)
		if err != nil {
			root = w.Add(c.root)
		}
		out, stay := l.State().Branch(by.Account, root.Account)
		if names(out) != c.out || names(stay) != c.stay {
			t.Errorf("%s: out %q stay %q, want %q and %q", name, names(out), names(stay), c.out, c.stay)
		}
	}
}
