package node

import (
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// whisper is what one member alone is told.
type whisper struct {
	to  *Node
	ops []*groups.Op
}

// tell sends it over the link, as long as there is one. What is told may be
// lost with a stream, so a test tells it again.
func (w whisper) tell(r *room) {
	if l := r.links[w.to.mesh.Self()]; l != nil {
		for _, seg := range segmentsOf(w.ops) {
			l.tellIt(seg)
		}
	}
}

func faults(t *testing.T, n *Node, g wire.GroupID) (count int) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		for _, op := range r.g.Ops() {
			if op.Kind == groups.KindFault {
				count++
			}
		}
	})
	return count
}

// twoBranches tells Ann one thing, and Bo others in the same place.
func twoBranches(c *commit, r *room, ann, bo *Node, others int) ([]whisper, error) {
	e, _ := r.sendEpoch()
	one, err := craft(r, e, "I never said that")
	if err != nil {
		return nil, err
	}
	said := whisper{to: bo}
	for range others {
		op, err := craft(r, e, "I said that, and more")
		if err != nil {
			return nil, err
		}
		r.take(c, op)
		said.ops = append(said.ops, op)
	}
	return []whisper{{ann, []*groups.Op{one}}, said}, nil
}

// A device that tells one member this and another member that is found out by
// whoever compares, and is stopped on every device alike: what it said stays,
// it says nothing more, and the next epoch is not for it.
func TestEquivocatorIsStopped(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(c *commit, r *room, ann, bo *Node) ([]whisper, error){
		"control": func(_ *commit, r *room, ann, bo *Node) (out []whisper, err error) {
			for i, to := range []*Node{ann, bo} {
				op, err := r.g.ComposeControl(r.me, r.n.dev.keys.Op, r.n.nowMs()+uint64(i), groups.KindAck, &groups.AckBody{})
				if err != nil {
					return nil, err
				}
				out = append(out, whisper{to, []*groups.Op{op}})
			}
			return out, nil
		},
		"content": func(c *commit, r *room, ann, bo *Node) ([]whisper, error) {
			return twoBranches(c, r, ann, bo, 2)
		},
		// What Bo holds is signed at some places only: it came as segments.
		"content, much of it": func(c *commit, r *room, ann, bo *Node) ([]whisper, error) {
			return twoBranches(c, r, ann, bo, groups.SignedEvery+4)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ann, bo, cy := testNode(t, "Ann"), startNode(t, dir, "Bo", nil), testNode(t, "Cy")
			g := newGroup(t, ann, api.GroupCreate{})
			inv := invite(t, ann, g, 5, "")
			join(t, bo, inv)
			join(t, cy, inv)
			say(t, cy, g, "hello from Cy")
			hears(t, ann, g, "hello from Cy")
			hears(t, bo, g, "hello from Cy")
			linked := func(to *Node) (up bool) {
				inRoom(t, cy, g, func(r *room) { up = r.links[to.mesh.Self()] != nil })
				return up
			}
			within(t, cy, patience, "links", func() bool { return linked(ann) && linked(bo) })
			var inc wire.OpID
			var lies []whisper
			if err := cy.room(g).step(t.Context(), func(c *commit) (err error) {
				inc = cy.room(g).me
				lies, err = lie(c, cy.room(g), ann, bo)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			honest := []*Node{ann, bo}
			for _, n := range append(honest, cy) {
				within(t, n, patience, n.ownName()+" to see the fault", func() bool {
					if it, ok := n.room(g).view.Load().state.Inc(inc); ok && it.Cut {
						return true
					}
					inRoom(t, cy, g, func(r *room) {
						for _, w := range lies {
							w.tell(r)
						}
					})
					return false
				})
			}
			_, err := cy.Send(t.Context(), g, api.MessageCreate{Text: "still here?"})
			if code(err) != api.Cloned {
				t.Errorf("who was stopped speaks on, or is not told why: %v", err)
			}
			if !slices.ContainsFunc(must[[]api.Finding](t)(cy.Doctor(t.Context())), func(f api.Finding) bool { return f.Check == "clone" && f.Level == "error" }) {
				t.Error("the doctor sees nothing wrong with a device that was stopped")
			}
			say(t, ann, g, "without Cy")
			hears(t, bo, g, "without Cy")
			say(t, bo, g, "good")
			hears(t, ann, g, "good")

			// Both branches of the control chain, the same state, a fault or two.
			control := func(n *Node) (d [32]byte) {
				inRoom(t, n, g, func(r *room) { d = groups.Digest(r.vectorNow().Control()) })
				return d
			}
			alike := func() bool { return control(ann) == control(bo) }
			within(t, bo, patience, "the same control chains", alike)
			for _, n := range honest {
				if got := faults(t, n, g); got < 1 || got > 2 {
					t.Errorf("%s holds %d faults", n.ownName(), got)
				}
				hears(t, n, g, "hello from Cy")
				inRoom(t, n, g, func(r *room) {
					e := r.g.Eligible()[0]
					for _, to := range r.g.Recipients(e.Rekey) {
						if to.Inc == inc {
							t.Errorf("%s sends under an epoch of the one stopped", n.ownName())
						}
					}
				})
			}
			if err := bo.Close(); err != nil {
				t.Fatal(err)
			}
			bo = startNode(t, dir, "Bo", nil)
			within(t, bo, patience, "the same after a restart", alike)

			// And of its words the same version, which both hold.
			shown := func(n *Node) (out []string) {
				for _, m := range timelineOf(t, n, g) {
					if m.Folded == "" {
						out = append(out, m.ID.String()+m.Text)
					}
				}
				return out
			}
			within(t, bo, patience, "the same words shown to both", func() bool { return slices.Equal(shown(ann), shown(bo)) })
			same(t, g, ann, bo)
		})
	}
}

// Who was away while much was administrated, and was removed at the end of it,
// is told to the end.
func TestRemovedAfterMuch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ann, cy := testNode(t, "Ann"), startNode(t, dir, "Cy", nil)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, cy, invite(t, ann, g, 1, ""))
	same(t, g, ann, cy)
	if err := cy.Close(); err != nil {
		t.Fatal(err)
	}
	const much = 3 * groups.MaxRefusedFrames
	for done := 0; done < much; done += 64 {
		if err := ann.room(g).step(t.Context(), func(c *commit) error {
			for range 64 {
				if _, err := ann.room(g).own(c, groups.KindAck, &groups.AckBody{}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	must[api.Member](t)(ann.RemoveMember(t.Context(), g, cy.dev.account(), ""))
	cy = startNode(t, dir, "Cy", nil)
	within(t, cy, patience, "C to see that it was removed", func() bool {
		return must[api.Group](t)(cy.Group(t.Context(), g)).Status == api.MemberRemoved
	})
}
