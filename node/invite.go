package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// Defaults of an invite.
const (
	defaultUses    = 10
	defaultExpires = 7 * 24 * time.Hour
	maxExpires     = 366 * 24 * time.Hour // a code older than a year is nobody's plan
)

// inviteRow is what this device keeps of an invite it made.
// Evolution: fields are added at the end, with a new V.
type inviteRow struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	Code []byte // the passcode's payload
	Text string // the human text around it, as it was given out
	Lang string
	// Label is the maker's own note.
	Label     string
	CreatedMs uint64
}

// CreateInvite writes an invite into the group and returns its passcode.
func (n *Node) CreateInvite(ctx context.Context, g wire.GroupID, in api.InviteCreate) (api.Invite, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Invite{}, err
	}
	v := r.view.Load()
	if !v.seated() {
		return api.Invite{}, r.notSeated()
	}
	if err := notDirect(v.state); err != nil {
		return api.Invite{}, err
	}
	if !v.state.MayInvite(n.dev.account()) {
		return api.Invite{}, api.NewProblem(api.RoleNeeded)
	}
	uses := defaultUses
	if in.Uses != nil {
		uses = *in.Uses
	}
	if uses < 1 || uses > groups.MaxUses {
		return api.Invite{}, api.NewProblem(api.BadRequest).Explain("an invite has 1 to %d uses, not %d", groups.MaxUses, uses)
	}
	expires, err := parseExpiry(in.Expires)
	if err != nil {
		return api.Invite{}, err
	}
	// The code carries seconds; the signed invite decides.
	until := n.now().Add(expires).Truncate(time.Second)
	var flags uint8
	var approval uint64
	if in.Approve {
		flags, approval = invites.FlagApproval, 1
	}
	redeem, incs, err := redeemers(v.state, n.dev.account(), in)
	if err != nil {
		return api.Invite{}, err
	}
	if in.SleepProof {
		if err := maySleepProof(v, n.dev.account(), n.nowMs(), in, redeem); err != nil {
			return api.Invite{}, err
		}
		flags |= invites.FlagSleepProof
	}
	code, err := invites.New(n.cfg.Rand, r.group, n.dev.account(), until, flags, n.hints(r, in.SleepProof, func(inc groups.IncInfo) bool {
		return mayRedeem(v.state, inc, redeem, incs)
	}))
	if err != nil {
		return api.Invite{}, err
	}
	body := &groups.InviteBody{
		InvitePk: code.Keys().InvitePk(), MaxUses: uint64(uses), NotAfterMs: uint64(until.UnixMilli()),
		Redeem: redeem, Incs: incs, Approval: approval, Role: uint64(groups.RoleMember),
	}
	if in.SleepProof {
		body.KemPk = seal.KEMPublic(code.Keys().KEMSeed)
	}
	lang := invites.Lang(in.Lang)
	if lang == "" {
		lang = "en"
	}
	row := inviteRow{V: 1, Code: code.Encode(), Text: code.Message(lang, v.meta.Name, n.ownName()), Lang: string(lang), Label: in.Label, CreatedMs: n.nowMs()}
	var id, rekey wire.OpID
	err = r.step(ctx, func(c *commit) error {
		op, err := r.own(c, groups.KindInvite, body)
		if err != nil {
			return err
		}
		if id = op.ID; in.SleepProof {
			if rekey, err = r.openAsleep(c); err != nil {
				return err
			}
		}
		c.row(func(tx *store.Tx) error {
			return tx.PutInvite(r.group, store.InviteRow{ID: op.ID, Data: wire.Marshal(row)})
		})
		return nil
	})
	if err != nil {
		return api.Invite{}, err
	}
	r.tell(func(*commit) error { r.tellLobby(); return nil })
	n.rdv.ring()
	out, err := r.invite(id, map[wire.OpID]inviteRow{id: row})
	if err != nil {
		return api.Invite{}, err
	}
	yes, known := n.mesh.Reachable()
	out.Reach = codeReach(code.Hints, n.mesh.Self(), known && !yes)
	if in.SleepProof {
		out.Harbors = r.leaveInvite(ctx, id, rekey)
	}
	return out, nil
}

// codeReach tells from where the farthest reaching hint of a code can be
// dialled. Shut says that others tried this node's own public addresses and did
// not get through: then those serve the local network at most.
func codeReach(hints [][]byte, self wire.PeerKey, shut bool) string {
	out := api.ReachNone
	for _, b := range hints {
		h, err := invites.UnpackHint(b)
		if err != nil {
			continue
		}
		switch reach := mesh.ReachOf(h.Addr); {
		case reach == mesh.ReachPublic && !(shut && h.Peer == self && !h.Circuit()):
			return api.ReachPublic
		case reach >= mesh.ReachLAN:
			out = api.ReachNetwork
		case out == api.ReachNone:
			out = api.ReachMachine
		}
	}
	return out
}

var redeem = []string{groups.RedeemAny: api.RedeemAny, groups.RedeemAdmins: api.RedeemAdmins, groups.RedeemListed: api.RedeemMe}

// redeemers tells who may admit by a new invite of an account, and of a list
// which devices.
func redeemers(s *groups.State, self wire.AccountID, in api.InviteCreate) (kind uint64, incs []wire.OpID, err error) {
	at := slices.Index(redeem, cmp.Or(in.Redeem, api.RedeemAny))
	if at < 0 {
		return 0, nil, api.NewProblem(api.BadRequest).Explain("redeem is any, admins or me, not %q", in.Redeem)
	}
	if kind = uint64(at); kind != groups.RedeemListed {
		return kind, nil, nil
	}
	if in.Approve && s.Role(self) == groups.RoleMember {
		return 0, nil, api.NewProblem(api.BadRequest).Explain("nobody could let people in: an admin has to approve, and only you may admit")
	}
	me, _ := s.Member(self)
	for _, inc := range me.Incs {
		if inc.Live && !inc.Cut {
			incs = append(incs, inc.ID)
		}
	}
	slices.SortFunc(incs, func(a, b wire.OpID) int { return slices.Compare(a[:], b[:]) })
	return kind, incs, nil
}

// mayRedeem tells whether a device may admit by an invite.
func mayRedeem(s *groups.State, inc groups.IncInfo, kind uint64, incs []wire.OpID) bool {
	switch kind {
	case groups.RedeemAdmins:
		return s.Role(inc.Account) != groups.RoleMember
	case groups.RedeemListed:
		return slices.Contains(incs, inc.ID)
	}
	return true
}

// redeemAPI tells who may admit by an invite.
func redeemAPI(s *groups.State, i groups.InviteInfo) string {
	if i.Redeem >= uint64(len(redeem)) {
		return api.RedeemListed
	}
	for _, id := range i.Incs {
		if inc, ok := s.Inc(id); !ok || inc.Account != i.Inviter {
			return api.RedeemListed
		}
	}
	return redeem[i.Redeem]
}

func parseExpiry(s string) (time.Duration, error) {
	if s == "" {
		return defaultExpires, nil
	}
	bad := api.NewProblem(api.BadRequest).Explain("the expiry %q is no time from now: write 30m, 12h or 7d", s)
	unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	count, err := strconv.Atoi(s[:len(s)-1])
	if !ok || err != nil || count < 1 || count > int(maxExpires/unit) {
		return 0, bad
	}
	return time.Duration(count) * unit, nil
}

// Invites returns a group's invites, newest first. The passcodes of those that
// other devices made are not known here.
func (n *Node) Invites(_ context.Context, g wire.GroupID) ([]api.Invite, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return nil, err
	}
	rows, err := r.inviteRows()
	if err != nil {
		return nil, err
	}
	var out []api.Invite
	for _, i := range r.view.Load().state.Invites() {
		one, err := r.invite(i.ID, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b api.Invite) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, nil
}

// RevokeInvite ends an invite: nobody comes in by it any more. Its maker or an
// admin may.
func (n *Node) RevokeInvite(ctx context.Context, g wire.GroupID, id string) (api.Invite, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Invite{}, err
	}
	op, err := wire.ParseOpID(id)
	if err != nil {
		return api.Invite{}, api.NewProblem(api.NotFound).Explain("%q names no invite", id)
	}
	err = r.step(ctx, func(c *commit) error {
		s := r.g.State()
		i, ok := s.Invite(op)
		self := n.dev.account()
		switch {
		case !ok:
			return api.NewProblem(api.NotFound).Explain("no invite %s in this group", id)
		case i.Revoked:
			return nil
		case i.Inviter != self && s.Role(self) == groups.RoleMember:
			return api.NewProblem(api.RoleNeeded)
		}
		_, err := r.own(c, groups.KindInviteRevoke, &groups.InviteRevokeBody{Invite: op})
		return err
	})
	if err != nil {
		return api.Invite{}, err
	}
	rows, err := r.inviteRows()
	if err != nil {
		return api.Invite{}, err
	}
	return r.invite(op, rows)
}

func (r *room) inviteRows() (map[wire.OpID]inviteRow, error) {
	rows := map[wire.OpID]inviteRow{}
	err := r.n.store.View(func(tx *store.Tx) error {
		stored, err := tx.Invites(r.group)
		if err != nil {
			return err
		}
		for _, s := range stored {
			var row inviteRow
			if err := wire.Unmarshal(s.Data, &row); err != nil {
				return err
			}
			rows[s.ID] = row
		}
		return nil
	})
	return rows, err
}

func (r *room) invite(id wire.OpID, rows map[wire.OpID]inviteRow) (api.Invite, error) {
	i, ok := r.view.Load().state.Invite(id)
	if !ok {
		return api.Invite{}, api.NewProblem(api.NotFound).Explain("no invite %v in this group", id)
	}
	out := api.Invite{
		ID: id, Group: r.group, Inviter: i.Inviter, ExpiresAt: msTime(i.NotAfterMs), Uses: int(i.Max), Used: int(i.Used),
		Approve: i.Approval, SleepProof: len(i.KemPk) > 0, Redeem: redeemAPI(r.view.Load().state, i), Revoked: i.Revoked, CreatedAt: msTime(i.CreatedMs),
	}
	if row, ok := rows[id]; ok {
		code, err := invites.Decode(row.Code)
		if err != nil {
			return api.Invite{}, fmt.Errorf("reading an own passcode: %w", err)
		}
		out.Passcode, out.Text, out.Link, out.Label = code.Text(), row.Text, code.Link(), row.Label
	}
	return out, nil
}

// tellInvites tells readers which own invites were used.
func (r *room) tellInvites(c *commit, before, after *groups.State) {
	self := r.n.dev.account()
	for _, i := range after.Invites() {
		if i.Inviter != self || before == nil {
			continue
		}
		if was, ok := before.Invite(i.ID); ok && was.Used < i.Used {
			c.changes = append(c.changes, r.n.change(store.Update, api.EventInviteUsed, r.group, api.Invite{
				ID: i.ID, Group: r.group, Inviter: i.Inviter, ExpiresAt: msTime(i.NotAfterMs), Uses: int(i.Max), Used: int(i.Used), Approve: i.Approval, SleepProof: len(i.KemPk) > 0, Redeem: redeemAPI(after, i), Revoked: i.Revoked, CreatedAt: msTime(i.CreatedMs),
			}))
		}
	}
}

// Inspect says what a pasted text holds. Nothing is dialled unless a preview is
// asked for.
func (n *Node) Inspect(ctx context.Context, in api.InspectRequest) (api.Inspect, error) {
	found, err := invites.Extract(in.Text, n.now())
	out := api.Inspect{}
	if err != nil {
		out.Problem = passcodeProblem(err)
	}
	switch {
	case found.Passcode.V != 0:
		n.inspectPasscode(&out, found.Passcode)
		if in.Preview && out.Problem == nil {
			n.askPreview(ctx, &out, found.Passcode)
		}
	case found.Card != "":
		return n.inspectCard(found.Card)
	}
	return out, nil
}
