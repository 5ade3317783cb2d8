package main

import (
	"context"
	"fmt"
	"time"

	"mutuals/node/api"
)

// postRounds is in how many parts the posts and their limit take turns.
const postRounds = 5

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
	var limit []float64
	for range postRounds { // in turn, for the disk is not the same from one second to the next
		for range b.scale.Posts / postRounds {
			text := words.next()
			began := time.Now()
			if _, err := d.client.Send(ctx, g, api.MessageCreate{Text: text}); err != nil {
				return fmt.Errorf("sending: %w", err)
			}
			posts = append(posts, time.Since(began))
		}
		raw, err := b.benchmarks(ctx, "./store", "^BenchmarkRawSyncedRow$", fmt.Sprintf("%dx", b.scale.Posts), "-count", "1")
		if err != nil {
			return err
		}
		limit = append(limit, raw["BenchmarkRawSyncedRow p50-ms"]...)
	}
	b.report.add(figure{
		ID: "L2", What: "POST → 201, synced to disk", Unit: "ms",
		Of: millis(posts), Limit: limit, LimitIs: "one transaction of one row of 600 bytes by Badger alone, which syncs it (medians of runs)",
		Goal: "≤ 1.5× (quality.md)", Pass: ratio(millis(posts), limit) <= 1.5,
	})
	return d.stop()
}
