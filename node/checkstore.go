package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// CheckStore looks at the store of a stopped home: that it opens, and with
// verify that every row, chain and operation in it holds. It is what
// `mutualsd store check|verify` prints. It opens the store, which brings one of an older
// format to this program's, and counts as a use of it (store/SPEC.md M3).
func CheckStore(ctx context.Context, dir string, verify bool) (out []api.Finding, err error) {
	n := &Node{home: home{dir: dir}, log: slog.New(slog.DiscardHandler)}
	lock, err := lockHome(n.home)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	dev, err := n.readDevice()
	if errors.Is(err, fs.ErrNotExist) {
		return []api.Finding{{Check: "store", Level: "ok", Title: "there is no identity in this home yet, and so no store"}}, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := store.Open(n.home.path(dirStore), dev.storeKey(), store.Options{Log: n.log})
	if err != nil {
		return []api.Finding{{Check: "store", Level: "error", Title: "the store does not open", Detail: err.Error()}}, nil
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if !verify {
		return []api.Finding{{Check: "store", Level: "ok", Title: "the store opens"}}, nil
	}
	report, err := s.Check(ctx, idOfFrame)
	if err != nil {
		return nil, fmt.Errorf("verifying the store: %w", err)
	}
	title := fmt.Sprintf("%d groups, %d operations, %d entries, %d changes: %d problems", report.Groups, report.Ops, report.Entries, report.Changes, report.Total)
	out = append(out, api.Finding{Check: "store", Level: level(report.Total == 0), Title: title})
	for _, p := range report.Problems {
		out = append(out, api.Finding{Check: "store", Level: "error", Title: fmt.Sprint(p), Hint: "mutualsd store repair makes one again of what can be read; members send the rest"})
	}
	return out, nil
}

func level(ok bool) string {
	if ok {
		return "ok"
	}
	return "error"
}

// idOfFrame names the operation in a stored frame.
func idOfFrame(frame []byte) (wire.OpID, error) {
	op, refusal := groups.Decode(frame)
	if refusal != nil {
		return wire.OpID{}, refusal
	}
	return op.ID, nil
}
