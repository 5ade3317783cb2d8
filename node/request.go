package node

import (
	"context"
	"errors"
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
	Body      []byte // an offer, or an ask; of a follow the edge's id
}

func followRequestID(a wire.AccountID) string { return "follow-" + a.String() }

func (row requestRow) api(n *Node, id string) api.Request {
	out := api.Request{ID: id, Kind: row.Kind, From: row.From, FromName: n.nameOf(row.From), GroupName: row.GroupName, At: msTime(row.AtMs), State: row.State}
	if row.Kind == api.RequestSuccession {
		var m successionMsg
		if wire.Unmarshal(row.Body, &m) == nil {
			out.Heir, out.HeirName = m.Heir, n.nameOf(m.Heir)
		}
	}
	if row.Kind == api.RequestGroup {
		out.Direct = row.direct()
	}
	if out.State == "" {
		out.State = api.RequestWaiting
	}
	if g, ok := row.Group.Get(); ok {
		out.Group = wire.GroupID(g)
	}
	return out
}

// direct tells whether a seat is offered in a conversation of two.
func (row requestRow) direct() bool {
	var m offerMsg
	if wire.Unmarshal(row.Body, &m) != nil {
		return false
	}
	op, refusal := groups.Decode(m.Genesis)
	if refusal != nil {
		return false
	}
	body, ok := op.Body.(*groups.GenesisBody)
	return ok && len(body.Policy.Direct) > 0
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
		err = n.answerAsk(ctx, row, accept)
	case api.RequestOwnership:
		err = n.answerHeir(ctx, row, accept)
	case api.RequestSuccession:
		err = n.answerSuccession(ctx, row, accept)
	}
	if err != nil {
		return api.Request{}, err
	}
	row.State = api.RequestDeclined
	if accept {
		row.State = api.RequestAccepted
	}
	if row.Kind == api.RequestJoin {
		return row.api(n, id), nil // the room has taken it away
	}
	if err := n.store.Update(ctx, func(tx *store.Tx) error { return n.endRequest(tx, id, howEnded(accept)) }); err != nil {
		return api.Request{}, err
	}
	n.ownChanged()
	return row.api(n, id), nil
}

// nonce is what names a request in the dialogue it is of; zero if nothing does.
func (row requestRow) nonce() [16]byte {
	switch row.Kind {
	case api.RequestGroup:
		var m offerMsg
		if wire.Unmarshal(row.Body, &m) == nil {
			return m.Nonce
		}
	case api.RequestOwnership:
		var m heirMsg
		if wire.Unmarshal(row.Body, &m) == nil {
			return m.Nonce
		}
	case api.RequestSuccession:
		var m successionMsg
		if wire.Unmarshal(row.Body, &m) == nil {
			return m.Nonce
		}
	}
	return [16]byte{}
}

// dropRequests forgets requests that nobody needs to answer any more, and tells
// whoever sees them.
func (n *Node) dropRequests(tx *store.Tx, which func(requestRow) bool) error {
	type found struct {
		id  string
		row requestRow
	}
	var gone []found
	if err := tx.EachRequest(func(id string, b []byte) error {
		var row requestRow
		if err := wire.Unmarshal(b, &row); err != nil {
			return err
		}
		if which(row) {
			gone = append(gone, found{id, row})
		}
		return nil
	}); err != nil {
		return err
	}
	for _, f := range gone {
		if err := n.endRequest(tx, f.id, endedGone); err != nil {
			return err
		}
		if f.row.State != "" {
			continue
		}
		f.row.State = api.RequestGone
		g, _ := f.row.Group.Get()
		if err := tx.Change(n.change(store.Retract, api.EventInviteRequested, wire.GroupID(g), f.row.api(n, f.id))); err != nil {
			return err
		}
	}
	return nil
}

// asRuling gives the problem in an error that a rule refused something with.
func asRuling(err error) (*api.Problem, bool) {
	var p *api.Problem
	ok := errors.As(err, &p)
	return p, ok
}
