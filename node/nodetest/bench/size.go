package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// measureSizes is how cost grows with what is kept: S1, R1, M2 and D1 of homes
// whose one group of 100 has said ten thousand messages, a hundred thousand, a
// million, each signed, chained and sealed by its author. TestFillHome of
// package node writes them; the limits are the same reads by the store alone.
func (b *bench) measureSizes(ctx context.Context) error {
	for _, size := range b.scale.Stored {
		if err := b.measureSize(ctx, size); err != nil {
			return fmt.Errorf("with %d messages: %w", size, err)
		}
	}
	return nil
}

func (b *bench) measureSize(ctx context.Context, size int) error {
	d, err := b.filled(ctx, fillOf{groups: 1, members: 100, messages: size})
	if err != nil {
		return err
	}
	limit, err := b.benchmarks(ctx, "./node", "^BenchmarkFilledHome$", "5x", "-fill-home", d.home)
	if err != nil {
		return err
	}
	alone := func(what string) []float64 { return limit["BenchmarkFilledHome "+what] }
	// A newcomer reads the newest page before the rest has come: C2.
	first, err := b.benchmarks(ctx, "./node", "^BenchmarkFirstPage$", "3x", "-fill-home", d.home)
	if err != nil {
		return err
	}
	var starts []time.Duration
	for range b.scale.Starts {
		if err := d.start(ctx); err != nil {
			return err
		}
		starts = append(starts, d.startTook)
		if err := d.stop(); err != nil {
			return err
		}
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	g, err := d.onlyGroup(ctx)
	if err != nil {
		return err
	}
	pages, jumps, ids, err := d.leaf(ctx, g, 100)
	if err != nil {
		return err
	}
	if err := pause(ctx, b.scale.Settle); err != nil {
		return err
	}
	_, anon, err := memory(d.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	used, err := disk(d.home)
	if err != nil {
		return err
	}
	id := func(row string) string { return fmt.Sprintf("%s/%d", row, size) }
	goal := func(f figure, least float64) {
		f.Pass = median(f.Of) <= least
		b.report.add(f)
	}
	goal(figure{ID: id("S1"), What: fmt.Sprintf("start until the API answers, %d messages stored", size), Unit: "ms",
		Of: millis(starts), Limit: alone("open-ms"), LimitIs: "the store alone opened", Goal: "≤ 300"}, 300)
	goal(figure{ID: id("C2"), What: fmt.Sprintf("newest page readable for a newcomer, of %d messages, after it is in", size), Unit: "ms",
		Of: first["BenchmarkFirstPage page-ms"], Limit: first["BenchmarkFirstPage bare-ms"], LimitIs: "50 operations from the same peer, read", Goal: "≤ 300"}, 300)
	goal(figure{ID: id("R1 page"), What: "newest page of 50 by API", Unit: "ms",
		Of: millis(pages), Limit: alone("page-ms"), LimitIs: "the store alone", Goal: "≤ 5"}, 5)
	goal(figure{ID: id("R1 date"), What: "50 around a moment by API", Unit: "ms",
		Of: millis(jumps), Limit: alone("jump-ms"), LimitIs: "the store alone", Goal: "≤ 10"}, 10)
	goal(figure{ID: id("R1 id"), What: "50 around a message by API", Unit: "ms",
		Of: millis(ids), Limit: alone("jump-ms"), LimitIs: "the store alone", Goal: "≤ 10"}, 10)
	goal(figure{ID: id("M2"), What: fmt.Sprintf("anonymous memory, %v after those reads", b.scale.Settle), Unit: "MB",
		Of: []float64{anon / 1e6}, Goal: "≤ 120"}, 120)
	frame := median(alone("frame-bytes"))
	goal(figure{ID: id("D1"), What: "disk a message of 300 bytes, everything included", Unit: "bytes",
		Of: []float64{used / float64(size)}, Limit: alone("frame-bytes"), LimitIs: "the frame of one", Goal: fmt.Sprintf("≤ %.0f (1.5 × frame + 100)", 1.5*frame+100)}, 1.5*frame+100)
	return nil
}

// fillOf is a home to be made: how many groups of how many members, each of which
// has said how much.
type fillOf struct{ groups, members, messages int }

// filled makes a home, and the daemon that is to start there.
func (b *bench) filled(ctx context.Context, f fillOf) (*daemon, error) {
	b.homes++
	d := &daemon{program: b.program, home: filepath.Join(b.dir, fmt.Sprintf("home%d", b.homes))}
	b.started = append(b.started, d)
	fill := exec.CommandContext(ctx, "go", "test", "./node", "-run", "^TestFillHome$", "-count", "1", "-timeout", "1h",
		"-fill-home", d.home, "-fill-groups", strconv.Itoa(f.groups), "-fill-members", strconv.Itoa(f.members), "-fill-messages", strconv.Itoa(f.messages))
	if out, err := fill.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("filling a home: %w: %s", err, out)
	}
	return d, nil
}

// onlyGroup finds a home's one group.
func (d *daemon) onlyGroup(ctx context.Context) (wire.GroupID, error) {
	list, err := d.client.Groups(ctx)
	if err != nil || len(list) != 1 {
		return wire.GroupID{}, fmt.Errorf("finding the one group among %d: %w", len(list), err)
	}
	return list[0].ID, nil
}

// leaf reads in a group as a person would, so often: the newest page, and pages
// around moments and messages all over it.
func (d *daemon) leaf(ctx context.Context, g wire.GroupID, often int) (pages, jumps, ids []time.Duration, err error) {
	timed := func(to *[]time.Duration, p api.Page) (api.MessagePage, error) {
		p.Limit = api.DefaultPage
		began := time.Now()
		page, err := d.client.Messages(ctx, g, p)
		*to = append(*to, time.Since(began))
		if err == nil && len(page.Items) != p.Limit {
			err = fmt.Errorf("%d messages on a page", len(page.Items))
		}
		return page, err
	}
	now := time.Now()
	for range often {
		if _, err = timed(&pages, api.Page{}); err != nil {
			return nil, nil, nil, fmt.Errorf("reading the newest page: %w", err)
		}
		// The home's messages are of the last four months, evenly.
		at := now.Add(-time.Duration(rand.Int64N(int64(115 * 24 * time.Hour))))
		page, err := timed(&jumps, api.Page{Around: at.UTC().Format(time.RFC3339)})
		if err != nil {
			return nil, nil, nil, fmt.Errorf("reading around a moment: %w", err)
		}
		if m := page.Items[len(page.Items)/2]; m.SentAt.Sub(at).Abs() > 24*time.Hour {
			return nil, nil, nil, fmt.Errorf("around %v are messages of %v", at, m.SentAt)
		}
		some := page.Items[rand.IntN(len(page.Items))].ID
		if _, err = timed(&ids, api.Page{Around: some.String()}); err != nil {
			return nil, nil, nil, fmt.Errorf("reading around a message: %w", err)
		}
	}
	return pages, jumps, ids, nil
}
