package node

import (
	"context"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// Audit tells who was in a group at a time, by what right, and every act of
// membership until then; the zero time is now. What is told of a time that is
// over is what is known of it now (groups/SPEC.md R67).
func (n *Node) Audit(ctx context.Context, g wire.GroupID, at time.Time) (api.Audit, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Audit{}, err
	}
	s, when := r.view.Load().state, n.now().UTC()
	if !at.IsZero() {
		when = at.UTC()
		began := s.CreatedMs()
		ok := false
		if ms := at.UnixMilli(); ms > 0 {
			err := r.step(ctx, func(*commit) error {
				s, ok = r.g.Until(uint64(ms))
				return nil
			})
			if err != nil {
				return api.Audit{}, err
			}
		}
		if !ok {
			return api.Audit{}, api.NewProblem(api.NotFound).Explain("the group was made at %s", msTime(began).Format(time.RFC3339))
		}
	}
	out := api.Audit{Group: g, At: when, Owner: s.Owner(), Cap: s.Cap(), Policy: policyAPI(s.Policy()), Acts: n.actsOf(s.Acts())}
	for _, m := range s.Members() {
		right := s.Right(m)
		out.Members = append(out.Members, api.AuditMember{
			Member: n.memberOf(s, m), Way: right.Way.String(), Admission: right.Via, Invite: right.Invite, Sponsor: right.Sponsor, RoleBy: right.RoleBy,
		})
	}
	return out, r.addReasons(out.Acts)
}

// Tree tells who came through whom.
func (n *Node) Tree(_ context.Context, g wire.GroupID) ([]api.TreeLine, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return nil, err
	}
	s := r.view.Load().state
	var out []api.TreeLine
	for _, d := range s.Tree() {
		line := api.TreeLine{Account: d.Account, Name: n.nameOf(d.Account), Admission: d.Via, Parent: d.Parent, Inviter: d.Inviter, Depth: d.Depth, Present: d.Present}
		if d.Present {
			line.Role = s.Role(d.Account).String()
		}
		out = append(out, line)
	}
	return out, nil
}

func (r *room) members(s *groups.State, accounts []wire.AccountID) []api.Member {
	out := make([]api.Member, 0, len(accounts))
	for _, a := range accounts {
		if m, ok := s.Member(a); ok {
			out = append(out, r.n.memberOf(s, m))
		}
	}
	return out
}
