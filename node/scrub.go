package node

import (
	"context"
	"errors"
	"time"

	"mutuals/node/api"
	"mutuals/store"
)

const (
	// scrubFirst is how long after its start a node looks through its store for what the disk
	// lost: not while it catches up with others.
	scrubFirst = 10 * time.Minute
	// scrubEvery is how often it looks again: about a second of one core for a million
	// messages, and as long as the disk takes to read them.
	scrubEvery = 24 * time.Hour
)

// keepScrubbed looks through the store's tables from time to time (store/SPEC.md D5): where
// one is damaged, messages are missing from what is shown, and nothing says so.
func (n *Node) keepScrubbed() {
	timer := time.NewTimer(scrubFirst)
	defer timer.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-timer.C:
		}
		if err := n.scrub(n.ctx); err != nil && n.ctx.Err() == nil {
			n.log.Warn("looking for damage failed", "err", err)
		}
		timer.Reset(scrubEvery)
	}
}

// scrub looks once, and tells of damage.
func (n *Node) scrub(ctx context.Context) error {
	found, err := n.store.Scrub(ctx)
	if errors.Is(err, store.ErrClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	bad := 0
	for _, d := range found {
		bad += d.Bad
		n.log.Error("the store is damaged", "table", d.Name, "blocks", d.Blocks, "bad", d.Bad)
	}
	if was := n.badBlocks.Swap(int64(bad)); bad > 0 && int64(bad) != was {
		f, _ := n.damageFinding()
		n.hub.tell(api.Event{Type: api.EventDoctorWarning, At: n.now().UTC(), Object: jsonOf(f)})
	}
	return nil
}

// damageFinding is what doctor says of damage, if there is any.
func (n *Node) damageFinding() (api.Finding, bool) {
	bad := n.badBlocks.Load()
	if bad == 0 {
		return api.Finding{}, false
	}
	return api.NewFinding(api.FoundStoreDamaged, bad), true
}
