package node

import (
	"fmt"
	"sort"

	"mutuals/groups"
	"mutuals/store"
)

// worn tells whether an epoch has been written under for as long as one may.
func (r *room) worn(e groups.Epoch) bool {
	return r.n.now().Sub(msTime(e.CreatedMs)) > epochAge || r.sinceRekey > epochOps
}

// countSaid counts what was said since the newest epoch was made, from disk: of
// each chain the clocks ascend, so a few looks find where that begins.
func (r *room) countSaid() error {
	newest := uint64(0)
	for _, e := range r.g.Epochs() {
		newest = max(newest, e.CreatedMs)
	}
	r.sinceRekey = 0
	err := r.n.store.View(func(tx *store.Tx) error {
		for at, head := range r.heads {
			if at.chain != groups.Content {
				continue
			}
			n, err := r.saidSince(tx, at, head, newest)
			if err != nil {
				return err
			}
			r.sinceRekey += n
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("counting what was said under the newest epoch: %w", err)
	}
	return nil
}

// saidSince counts the end of a chain that is later than some time; a count
// past epochOps is cut there.
func (r *room) saidSince(tx *store.Tx, at chainOf, head groups.VectorEntry, ms uint64) (int, error) {
	var failed error
	back := sort.Search(int(min(head.Seq, epochOps+1)), func(back int) bool {
		op, err := r.wordAt(tx, at, head.Seq-uint64(back))
		if err != nil {
			failed = err
		}
		return op == nil || op.HLC <= ms
	})
	return back, failed
}
