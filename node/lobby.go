package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/store"
)

// maxLobbyCodes bounds the codes of a group for which one device is listed: the
// newest. Who is listed for more is listed for codes nobody uses.
const maxLobbyCodes = 16

// lobbyPause and lobbyPauseMost bound the wait before a peer is told again that
// did not have the invite yet, or did not listen.
const lobbyPause, lobbyPauseMost = time.Second, 10 * time.Minute

// lobbyRow is where those look who hold a passcode: what follows from its secret
// for that purpose (invites/SPEC.md V6), not the secret.
// Evolution: fields are added at the end, with a new kind of row.
type lobbyRow struct {
	_      struct{} `cbor:",toarray"`
	Invite wire.OpID
	Rdv    [32]byte // in the directory
	Topic  [32]byte // on the lobby's topic
}

func rowOf(invite wire.OpID, code invites.Passcode) lobbyRow {
	k := code.Keys()
	return lobbyRow{Invite: invite, Rdv: k.Rdv, Topic: k.Topic}
}

// lobbyMsg tells a member or harbor where the holders of codes look (N2).
type lobbyMsg struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	Codes []lobbyRow
}

func (r *room) lobbyKey() string { return "lobby-2/" + r.group.String() }

// loadLobby reads what was told of codes; nil if nothing was.
func (r *room) loadLobby() (rows []lobbyRow) {
	err := r.n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(r.lobbyKey())
		if err == nil && ok {
			err = wire.Unmarshal(b, &rows)
		}
		return err
	})
	if err != nil {
		r.log.Warn("reading where holders of codes look failed", "err", err)
	}
	return rows
}

// knownCodes are the live invites of the group of which this device knows where
// their holders look, newest first, with who made them; on the room's goroutine.
func (r *room) knownCodes(s *groups.State) (out []lobbyRow, own map[wire.OpID]bool) {
	known := map[wire.OpID]lobbyRow{}
	for _, row := range r.loadLobby() {
		known[row.Invite] = row
	}
	own = map[wire.OpID]bool{}
	if rows, err := r.inviteRows(); err == nil {
		for id, row := range rows {
			if code, err := invites.Decode(row.Code); err == nil {
				known[id], own[id] = rowOf(id, code), true
			}
		}
	}
	live := slices.DeleteFunc(s.Invites(), func(i groups.InviteInfo) bool {
		_, told := known[i.ID]
		return !told || !i.Live(r.n.nowMs())
	})
	slices.SortStableFunc(live, func(a, b groups.InviteInfo) int { return int(b.CreatedMs>>10) - int(a.CreatedMs>>10) })
	for _, i := range live[:min(len(live), maxLobbyCodes)] {
		out = append(out, known[i.ID])
	}
	return out, own
}

// lobbyCodes are the codes for whose holders this device is there, in the directory
// and on their topics: a harbor for all that it was told and may admit by, a member
// as the person set.
func (r *room) lobbyCodes(v *view) (out []lobbyRow) {
	announce := r.n.announces()
	if v.office.Appointed && !v.office.Sponsors() || !v.office.Appointed && announce == api.AnnounceOff {
		return nil
	}
	self, _ := v.state.Inc(v.me)
	codes, own := r.knownCodes(v.state)
	for _, c := range codes {
		i, _ := v.state.Invite(c.Invite)
		switch {
		case v.office.Appointed:
			if i.Approval || i.Redeem != groups.RedeemAny {
				continue
			}
		case announce == api.AnnounceOwn && !own[c.Invite]:
			continue
		case !mayRedeem(v.state, self, i.Redeem, i.Incs):
			continue
		}
		out = append(out, c)
	}
	return out
}

// announces tells for which passcodes this device is there.
func (n *Node) announces() string {
	var out string
	err := n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(announceKey)
		if ok {
			out = string(b)
		}
		return err
	})
	if err != nil {
		n.log.Warn("reading settings failed", "err", err)
	}
	if out == "" {
		out = api.AnnounceOwn
	}
	return out
}

// tellLobby tells linked members and harbors where the holders of codes look, so
// that a code leads to the group though its maker is gone: to each once a link,
// and again when there are others to tell. On the room's goroutine.
func (r *room) tellLobby() {
	v := r.view.Load()
	if !v.seated() {
		return
	}
	codes, _ := r.knownCodes(v.state)
	if len(codes) == 0 {
		return
	}
	body := wire.Marshal(lobbyMsg{Group: r.group, Codes: codes})
	sum := wire.Hash(body)
	for peer, l := range r.links {
		if l.lobbyTold == sum || !v.member(peer) && !(v.harbor(peer) && v.harbors[peer].Sponsors()) {
			continue
		}
		l.lobbyTold = sum
		r.n.wg.Go(func() {
			err := r.n.tellDirect(peer, directLobby, body)
			if err == nil {
				return
			}
			r.log.Debug("telling where holders of codes look failed", "peer", peer.Short(), "err", err)
			r.tell(func(*commit) error {
				if l.lobbyTold == sum {
					l.lobbyTold, l.lobbyWait = [32]byte{}, min(max(2*l.lobbyWait, lobbyPause), lobbyPauseMost)
					if at := r.n.now().Add(l.lobbyWait); r.lobbyAt.IsZero() || at.Before(r.lobbyAt) {
						r.lobbyAt = at
					}
				}
				return nil
			})
		})
	}
}

// tellDirect tells a linked peer one frame that is not worth an outbox.
func (n *Node) tellDirect(peer wire.PeerKey, kind uint64, body []byte) error {
	ctx, cancel := context.WithTimeout(n.ctx, directStep)
	defer cancel()
	s, err := n.mesh.Open(ctx, peer, protocolDirect)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = handOver(s, kind, body)
	return err
}

// takeLobby keeps where a member says that the holders of codes look. The maker
// of a code is believed; of others the first, and only until the maker says.
func (n *Node) takeLobby(ctx context.Context, from wire.PeerKey, body []byte) error {
	var m lobbyMsg
	if err := wire.Unmarshal(body, &m); err != nil || len(m.Codes) > maxLobbyCodes {
		return fmt.Errorf("%w: places of codes", errDirectRefused)
	}
	r := n.room(m.Group)
	if r == nil {
		return fmt.Errorf("%w: places of codes of no group here", errDirectRefused)
	}
	lacks := false
	err := r.step(ctx, func(c *commit) error {
		v := r.view.Load()
		if !v.seated() && !v.office.Appointed {
			lacks = true // who was just let in is known as a member before it knows itself
			return nil
		}
		teller, ok := v.state.Inc(v.peers[from])
		if !ok || !teller.Seated {
			return errDirectRefused
		}
		rows := r.loadLobby()
		changed := false
		for _, code := range m.Codes {
			i, ok := v.state.Invite(code.Invite)
			lacks = lacks || !ok
			if !ok || !i.Live(n.nowMs()) {
				continue
			}
			at := slices.IndexFunc(rows, func(row lobbyRow) bool { return row.Invite == code.Invite })
			switch {
			case at < 0:
				rows, changed = append(rows, code), true
			case rows[at] != code && i.Inviter == teller.Account:
				rows[at], changed = code, true
			}
		}
		if !changed {
			return nil
		}
		rows = slices.DeleteFunc(rows, func(row lobbyRow) bool {
			i, ok := v.state.Invite(row.Invite)
			return !ok || !i.Live(n.nowMs())
		})
		rows = rows[max(0, len(rows)-maxLobbyCodes):]
		c.row(func(tx *store.Tx) error { return tx.PutSetting(r.lobbyKey(), wire.Marshal(rows)) })
		c.then(func() {
			n.rdv.ring()
			r.lobbyAt = n.now() // others are told with the next tick
		})
		return nil
	})
	if err == nil && lacks {
		return errLacks // not acknowledged: it comes again, after the invite
	}
	return err
}
