package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// requestRow is a request as it is stored.
// Evolution: fields are added at the end, with a new V.
type requestRow struct {
	_         struct{} `cbor:",toarray"`
	V         uint64
	Kind      string
	From      wire.AccountID
	AtMs      uint64
	State     string // empty: waiting
	Group     wire.OptID
	GroupName string
	Body      []byte // an offer, or an ask
}

func followRequestID(a wire.AccountID) string { return "follow-" + a.String() }

func (row requestRow) api(n *Node, id string) api.Request {
	out := api.Request{ID: id, Kind: row.Kind, From: row.From, FromName: n.nameOf(row.From), GroupName: row.GroupName, At: msTime(row.AtMs), State: row.State}
	if out.State == "" {
		out.State = api.RequestWaiting
	}
	if g, ok := row.Group.Get(); ok {
		out.Group = wire.GroupID(g)
	}
	return out
}

// errDirectRefused means that what came by a direct stream is refused for
// good: it is acknowledged as such and does not come again.
var errDirectRefused = errors.New("not for this account")

func isRefusal(err error) bool {
	return errors.Is(err, errDirectRefused) || errors.Is(err, errEdgeRefused)
}

// Requests returns what waits for this person's yes or no, newest first.
func (n *Node) Requests(context.Context) ([]api.Request, error) {
	var out []api.Request
	err := n.store.View(func(tx *store.Tx) error {
		return tx.EachRequest(func(id string, b []byte) error {
			var row requestRow
			if err := wire.Unmarshal(b, &row); err != nil {
				return err
			}
			if row.State == "" {
				out = append(out, row.api(n, id))
			}
			return nil
		})
	})
	slices.SortFunc(out, func(a, b api.Request) int { return b.At.Compare(a.At) })
	return out, err
}

// AnswerRequest says yes or no to a follow, an offered seat or somebody who
// asks for one.
func (n *Node) AnswerRequest(ctx context.Context, id string, accept bool) (api.Request, error) {
	var row requestRow
	found := false
	if err := n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Request(id)
		if err != nil || !ok {
			return err
		}
		found = true
		return wire.Unmarshal(b, &row)
	}); err != nil {
		return api.Request{}, err
	}
	if !found || row.State != "" {
		return api.Request{}, api.NewProblem(api.NotFound).Explain("no request %q waits", id)
	}
	var err error
	switch row.Kind {
	case api.RequestFollow:
		if accept {
			_, err = n.Follow(ctx, row.From, "")
		}
	case api.RequestGroup:
		err = n.answerOffer(ctx, row, accept)
	case api.RequestJoin:
		if accept {
			err = n.admitAsked(ctx, row)
		}
	}
	if err != nil {
		return api.Request{}, err
	}
	row.State = api.RequestDeclined
	if accept {
		row.State = api.RequestAccepted
	}
	if err := n.store.Update(ctx, func(tx *store.Tx) error { return tx.DeleteRequest(id) }); err != nil {
		return api.Request{}, err
	}
	return row.api(n, id), nil
}

// queueRequest keeps a join request that needs somebody's yes.
func (r *room) queueRequest(c *commit, ask *askMsg) error {
	row := requestRow{
		V: 1, Kind: api.RequestJoin, From: ask.Request.Newcomer, AtMs: r.n.nowMs(),
		Group: wire.SomeID(wire.OpID(r.group)), GroupName: r.meta.Name, Body: wire.Marshal(*ask),
	}
	id := "join-" + r.group.Short() + "-" + ask.Request.Newcomer.String()
	c.row(func(tx *store.Tx) error { return tx.PutRequest(id, wire.Marshal(row)) })
	c.changes = append(c.changes, r.n.change(store.Add, api.EventInviteRequested, r.group, row.api(r.n, id)))
	return nil
}

// admitAsked admits somebody whose request waited for a yes.
func (n *Node) admitAsked(ctx context.Context, row requestRow) error {
	g, _ := row.Group.Get()
	r, err := n.memberRoom(wire.GroupID(g))
	if err != nil {
		return err
	}
	var ask askMsg
	if err := wire.Unmarshal(row.Body, &ask); err != nil {
		return fmt.Errorf("reading a join request: %w", err)
	}
	return r.step(ctx, func(c *commit) error {
		existing, _, reason := r.g.MayAdmit(r.me, ask.Request, ask.Sig, ask.UseSig[:], r.n.nowMs())
		if !existing.IsZero() {
			return nil
		}
		if reason != groups.ReasonNone && reason != groups.ReasonPending {
			return problemOf(reason)
		}
		_, err := r.own(c, groups.KindAdmit, &groups.AdmitBody{Request: ask.Request, Sig: ask.Sig, UseSig: ask.UseSig[:]})
		return err
	})
}
