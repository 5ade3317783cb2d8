package node

import (
	"context"
	"fmt"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

const settingsKey = "settings"

// settingsRow is how the person wants this node to behave.
// Evolution: fields are added at the end, with a new V.
type settingsRow struct {
	_          struct{} `cbor:",toarray"`
	V          uint64
	AutoAccept string
}

// Settings returns how the person wants this node to behave.
func (n *Node) Settings(context.Context) (api.Settings, error) {
	row, err := n.settings()
	return row.api(), err
}

func (row settingsRow) api() api.Settings {
	out := api.Settings{AutoAccept: row.AutoAccept}
	if out.AutoAccept == "" {
		out.AutoAccept = api.AutoAcceptDirect
	}
	return out
}

func (n *Node) settings() (row settingsRow, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(settingsKey)
		if err != nil || !ok {
			return err
		}
		return wire.Unmarshal(b, &row)
	})
	if err != nil {
		return row, fmt.Errorf("reading settings: %w", err)
	}
	return row, nil
}

// PatchSettings changes what is given.
func (n *Node) PatchSettings(ctx context.Context, in api.SettingsPatch) (api.Settings, error) {
	row, err := n.settings()
	if err != nil {
		return api.Settings{}, err
	}
	row.V = 1
	if a := in.AutoAccept; a != nil {
		if *a != api.AutoAcceptOff && *a != api.AutoAcceptDirect && *a != api.AutoAcceptMutuals {
			return api.Settings{}, api.NewProblem(api.BadRequest).Explain("auto_accept is off, direct or mutuals, not %q", *a)
		}
		row.AutoAccept = *a
	}
	err = n.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(settingsKey, wire.Marshal(row)) })
	return row.api(), err
}

// acceptsOffers tells whether seats that mutuals offer are taken unasked, in a
// direct conversation or in any other group: not by a restored account whose
// person has not said yet whom it follows.
func (n *Node) acceptsOffers(direct bool) bool {
	row, err := n.settings()
	if err != nil {
		n.log.Warn("reading settings failed", "err", err)
	}
	wanted := row.AutoAccept == api.AutoAcceptMutuals || direct && row.api().AutoAccept == api.AutoAcceptDirect
	return wanted && !n.restored.unconfirmed()
}
