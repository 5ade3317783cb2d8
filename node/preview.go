package node

import (
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
)

// previewTime bounds asking what a passcode leads to, while somebody looks at
// a card that is still empty.
const previewTime = 10 * time.Second

// preview seals what the group looks like for whoever holds the code of an own
// invite; a harbor has what was left with it. Of others' invites this device does
// not know the code, and gives none.
func (r *room) preview(invite wire.OpID) []byte {
	if r.view.Load().blind {
		return r.leftPreview(invite)
	}
	return r.ownPreview(invite, groups.Day(r.n.nowMs()))
}

// ownPreview seals it for a day.
func (r *room) ownPreview(invite wire.OpID, day uint32) []byte {
	rows, err := r.inviteRows()
	if err != nil {
		r.log.Warn("reading own invites failed", "err", err)
		return nil
	}
	row, ok := rows[invite]
	if !ok {
		return nil
	}
	code, err := invites.Decode(row.Code)
	if err != nil {
		r.log.Warn("reading an own passcode failed", "err", err)
		return nil
	}
	var salt [16]byte
	if _, err := io.ReadFull(r.n.cfg.Rand, salt[:]); err != nil {
		return nil
	}
	v, now := r.view.Load(), r.n.nowMs()
	keys := code.Keys()
	signed := invites.SignPreview(r.n.dev.keys.Op, r.n.dev.chain, invites.Preview{
		Group: r.group, InvitePk: keys.InvitePk(), Ms: now, Name: clipText(v.meta.Name, invites.MaxPreviewName),
		Members: uint64(v.state.SeatCount()), Cap: uint64(v.state.Cap()), HistoryDays: v.state.Policy().HistoryDays,
	})
	return invites.SealPreview(keys, day, salt, signed)
}

// clipText bounds a text in bytes without cutting a letter.
func clipText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// askPreview holds the first half of the join dialogue: what the group is, as
// its inviter signed it, without a word about this account.
func (n *Node) askPreview(ctx context.Context, out *api.Inspect, code invites.Passcode) {
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	for c := range n.candidates(ctx, code) {
		if c.shown != nil {
			out.Preview = shownPreview(*c.shown)
		}
		if c.err != nil {
			continue
		}
		path, err := n.lookAt(ctx, c.peer, code)
		if err != nil {
			n.log.Debug("asking for a preview failed", "peer", c.peer.Short(), "err", err)
			continue
		}
		out.Inviter = &api.Inviter{Account: path.inviter, Name: n.people.name(path.inviter)}
		p, err := invites.OpenPreview(code, path.preview)
		if err != nil {
			continue // another member may be the one who made the code
		}
		out.Preview = shownPreview(p)
		return
	}
}

func shownPreview(p invites.Preview) *api.Preview {
	return &api.Preview{
		Group: p.Group, Name: p.Name, Members: int(p.Members), Cap: int(p.Cap), History: historyText(p.HistoryDays), At: msTime(p.Ms),
	}
}

func (n *Node) lookAt(ctx context.Context, peer wire.PeerKey, code invites.Passcode) (*shownPath, error) {
	s, err := n.mesh.Open(ctx, peer, protocolJoin)
	if err != nil {
		return nil, err
	}
	path, err := n.readPath(s, code, code.Keys())
	// Nothing is asked: the sponsor sees the stream end.
	return path, errors.Join(err, s.Reset())
}
