package node

import (
	"context"
	"fmt"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

const (
	settingsKey = "settings"
	// settingsAtKey is when the settings were last changed, on any own device.
	settingsAtKey = "settings-at"
	// receiptsKey is whether the person takes read receipts, on all own devices.
	receiptsKey = "receipts"
	// harborForKey is whose groups this device keeps; of this device alone.
	harborForKey = "harbor-for"
	// announceKey is for which passcodes this device is listed in the directory;
	// of this device alone.
	announceKey = "announce"
)

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
	if err != nil {
		return api.Settings{}, err
	}
	out := row.api()
	out.Announce = n.announces()
	out.Receipts = onOff(n.receipts.Load())
	if out.HarborFor, err = n.harborFor(); err != nil {
		return out, err
	}
	return out, n.relayingAPI(&out)
}

// harborFor tells whose groups this node agrees to keep as a harbor.
func (n *Node) harborFor() (whose string, err error) {
	whose = api.HarborForMutuals
	err = n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(harborForKey)
		if ok {
			whose = string(b)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading settings: %w", err)
	}
	return whose, nil
}

func (row settingsRow) api() api.Settings {
	out := api.Settings{AutoAccept: row.AutoAccept}
	if out.AutoAccept == "" {
		out.AutoAccept = api.AutoAcceptDirect
	}
	return out
}

func (n *Node) settings() (row settingsRow, err error) {
	err = n.store.View(func(tx *store.Tx) (err error) {
		row, _, err = readSettings(tx)
		return err
	})
	return row, err
}

// settingsMs is when the settings were changed last; 0: never.
func (n *Node) settingsMs() (at uint64, err error) {
	err = n.store.View(func(tx *store.Tx) (err error) {
		_, at, err = readSettings(tx)
		return err
	})
	return at, err
}

func readSettings(tx *store.Tx) (row settingsRow, at uint64, err error) {
	for key, into := range map[string]any{settingsKey: &row, settingsAtKey: &at} {
		b, ok, err := tx.Setting(key)
		if err == nil && ok {
			err = wire.Unmarshal(b, into)
		}
		if err != nil {
			return row, at, fmt.Errorf("reading settings: %w", err)
		}
	}
	return row, at, nil
}

func putSettings(tx *store.Tx, row settingsRow, at uint64) error {
	if err := tx.PutSetting(settingsAtKey, wire.Marshal(at)); err != nil {
		return err
	}
	return tx.PutSetting(settingsKey, wire.Marshal(row))
}

// PatchSettings changes what is given.
func (n *Node) PatchSettings(ctx context.Context, in api.SettingsPatch) (api.Settings, error) {
	var row settingsRow
	var last uint64
	if err := n.store.View(func(tx *store.Tx) (err error) {
		row, last, err = readSettings(tx)
		return err
	}); err != nil {
		return api.Settings{}, err
	}
	row.V = 1
	if a := in.AutoAccept; a != nil {
		if *a != api.AutoAcceptOff && *a != api.AutoAcceptDirect && *a != api.AutoAcceptMutuals {
			return api.Settings{}, api.NewProblem(api.BadRequest).Explain("auto_accept is off, direct or mutuals, not %q", *a)
		}
		row.AutoAccept = *a
	}
	if h := in.HarborFor; h != nil && *h != api.HarborForMutuals && *h != api.HarborForSelf {
		return api.Settings{}, api.NewProblem(api.BadRequest).Explain("harbor_for is mutuals or self, not %q", *h)
	}
	if a := in.Announce; a != nil && *a != api.AnnounceOff && *a != api.AnnounceOwn && *a != api.AnnounceAll {
		return api.Settings{}, api.NewProblem(api.BadRequest).Explain("announce is off, own or all, not %q", *a)
	}
	if w := in.Receipts; w != nil && *w != api.On && *w != api.Off {
		return api.Settings{}, api.NewProblem(api.BadRequest).Explain("receipts is on or off, not %q", *w)
	}
	relaying, reach, err := n.patchRelaying(in)
	if err != nil {
		return api.Settings{}, err
	}
	err = n.store.Update(ctx, func(tx *store.Tx) error {
		if in.Announce != nil {
			if err := tx.PutSetting(announceKey, []byte(*in.Announce)); err != nil {
				return err
			}
		}
		if in.Receipts != nil {
			old, err := readReceiptsItem(tx)
			if err != nil {
				return err
			}
			now := receiptsItem{Ms: identity.NextN(old.Ms, n.nowMs()), Takes: *in.Receipts == api.On}
			if err := tx.PutSetting(receiptsKey, wire.Marshal(now)); err != nil {
				return err
			}
		}
		if reach {
			if err := putRelaying(tx, relaying); err != nil {
				return err
			}
		}
		if in.HarborFor != nil {
			if err := tx.PutSetting(harborForKey, []byte(*in.HarborFor)); err != nil {
				return err
			}
		}
		if in.AutoAccept == nil {
			return nil // what was not touched is not dated anew
		}
		return putSettings(tx, row, identity.NextN(last, n.nowMs()))
	})
	if err != nil {
		return api.Settings{}, err
	}
	if w := in.Receipts; w != nil {
		n.takeReceipts(*w == api.On)
	}
	n.ownChanged()
	n.rdv.ring()
	if reach {
		if err := n.serveAsRelay(); err != nil {
			return api.Settings{}, err
		}
	}
	return n.Settings(ctx)
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

// readReceiptsItem reads whether the person takes read receipts; of Ms 0 if they
// never said.
func readReceiptsItem(tx *store.Tx) (it receiptsItem, err error) {
	b, ok, err := tx.Setting(receiptsKey)
	if err == nil && ok {
		err = wire.Unmarshal(b, &it)
	}
	if err != nil {
		return it, fmt.Errorf("reading settings: %w", err)
	}
	return it, nil
}

// loadReceipts reads whether the person takes read receipts.
func (n *Node) loadReceipts() error {
	return n.store.View(func(tx *store.Tx) error {
		it, err := readReceiptsItem(tx)
		n.receipts.Store(it.Takes)
		return err
	})
}

// takeReceipts has the rooms say what follows from what the person wants.
func (n *Node) takeReceipts(on bool) {
	if n.receipts.Swap(on) == on {
		return
	}
	for _, r := range n.openRooms() {
		r.tell(func(c *commit) error {
			r.receiptDue(0)
			return r.openReceipts(c)
		})
	}
}

func onOff(on bool) string {
	if on {
		return api.On
	}
	return api.Off
}
