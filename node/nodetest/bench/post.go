package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// measurePosts is L2: POST until 201, which means synced to disk, on a node
// that is alone in its group; and D1, what a message takes on the disk.
func (b *bench) measurePosts(ctx context.Context) error {
	d, err := b.newDaemon(ctx, "Alone")
	if err != nil {
		return err
	}
	g, _, err := group(ctx, "Posts", []*daemon{d})
	if err != nil {
		return err
	}
	var words texts
	var posts []time.Duration
	for range b.scale.Posts {
		text := words.next()
		began := time.Now()
		if _, err := d.client.Send(ctx, g, api.MessageCreate{Text: text}); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		posts = append(posts, time.Since(began))
	}
	limit, err := syncedTransactions(ctx, filepath.Join(b.dir, "limit"), b.scale.Posts)
	if err != nil {
		return err
	}
	b.report.add(figure{
		ID: "L2", What: "POST → 201, synced to disk", Unit: "ms",
		Of: millis(posts), Limit: millis(limit), LimitIs: "one synced Badger transaction of one row of 600 bytes, same disk",
		Goal: "≤ 1.5× (quality.md)", Pass: ratio(millis(posts), millis(limit)) <= 1.5,
	})
	return d.stop()
}

// syncedTransactions is the limit: an operation's frame and its chain's head,
// put into an encrypted Badger, one transaction at a time.
func syncedTransactions(ctx context.Context, dir string, n int) (took []time.Duration, err error) {
	s, err := store.Open(dir, [32]byte{1}, store.Options{})
	if err != nil {
		return nil, fmt.Errorf("opening a store: %w", err)
	}
	defer s.Close()
	frame := make([]byte, 2*textLength)
	for k := range n {
		id := wire.OpID{byte(k), byte(k >> 8), byte(k >> 16)}
		began := time.Now()
		err := s.Update(ctx, func(tx *store.Tx) error {
			return tx.PutOp(wire.GroupID{1}, wire.OpID{1}, 1, uint64(k+1), id, frame)
		})
		if err != nil {
			return nil, fmt.Errorf("writing: %w", err)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
