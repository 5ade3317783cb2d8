package main

import (
	"context"
	"fmt"
	"time"
)

// measureIdle is M1, the resident memory of a daemon in one group of two that
// has nothing to do, and S1, the start of the same.
func (b *bench) measureIdle(ctx context.Context) error {
	var ds []*daemon
	for k := range 2 {
		d, err := b.newDaemon(ctx, fmt.Sprintf("Quiet %d", k))
		if err != nil {
			return err
		}
		ds = append(ds, d)
	}
	g, _, err := group(ctx, "Quiet", ds)
	if err != nil {
		return err
	}
	var words texts
	if err := b.reached(ctx, g, ds, &words, time.Second); err != nil {
		return err
	}
	var bares []*bareProcess
	defer func() { closeField(bares) }()
	for range 2 {
		p, err := startBare()
		if err != nil {
			return err
		}
		bares = append(bares, p)
	}
	if err := bares[1].say("dial %s", bares[0].addr); err != nil {
		return err
	}
	if err := pause(ctx, b.scale.Settle); err != nil {
		return err
	}
	pids := []int{ds[0].cmd.Process.Pid, ds[1].cmd.Process.Pid}
	whole, anon, err := memories(pids)
	if err != nil {
		return err
	}
	bareWhole, bareAnon, err := memories([]int{bares[0].cmd.Process.Pid, bares[1].cmd.Process.Pid})
	if err != nil {
		return err
	}
	b.report.add(figure{
		ID: "M1", What: fmt.Sprintf("idle resident memory (RSS), one group of two, %v after talking", b.scale.Settle), Unit: "MB",
		Of: whole, Limit: bareWhole, LimitIs: "a bare libp2p host with one link",
		Goal: "< 80; quality.md ≤ 45", Pass: median(whole) < 80,
	})
	b.report.add(figure{
		ID: "M1 anon", What: "the same, anonymous (RssAnon): what cannot be given back", Unit: "MB",
		Of: anon, Limit: bareAnon, LimitIs: "a bare libp2p host with one link", Pass: true,
	})

	var starts []time.Duration
	for range b.scale.Starts {
		if err := ds[1].stop(); err != nil {
			return err
		}
		if err := ds[1].start(ctx); err != nil {
			return err
		}
		starts = append(starts, ds[1].startTook)
	}
	if err := b.reached(ctx, g, ds, &words, time.Second); err != nil {
		return err
	}
	if err := pause(ctx, b.scale.Settle); err != nil {
		return err
	}
	whole, _, err = memories([]int{ds[1].cmd.Process.Pid})
	if err != nil {
		return err
	}
	b.report.add(figure{
		ID: "M1 restart", What: "idle resident memory after a restart", Unit: "MB",
		Of: whole, Limit: bareWhole, LimitIs: "a bare libp2p host with one link",
		Goal: "< 80; quality.md ≤ 45", Pass: median(whole) < 80,
	})
	b.report.add(figure{
		ID: "S1", What: "start of a node with a group until the API answers", Unit: "ms",
		Of: millis(starts), Goal: "< 1000; quality.md ≤ 300 at a million messages", Pass: median(millis(starts)) < 1000,
	})
	for _, d := range ds {
		if err := d.stop(); err != nil {
			return err
		}
	}
	return b.measureIdleGroups(ctx, bareWhole, bareAnon)
}

// measureIdleGroups is M1 of a daemon in ten groups of 100 that have said a
// thousand messages each; nobody of them is there.
func (b *bench) measureIdleGroups(ctx context.Context, bareWhole, bareAnon []float64) error {
	d, err := b.filled(ctx, 10, 1000)
	if err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := pause(ctx, b.scale.Settle); err != nil {
		return err
	}
	whole, anon, err := memories([]int{d.cmd.Process.Pid})
	if err != nil {
		return err
	}
	b.report.add(figure{
		ID: "M1/10", What: "idle resident memory (RSS), ten groups of 100", Unit: "MB",
		Of: whole, Limit: bareWhole, LimitIs: "a bare libp2p host with one link", Goal: "≤ 70", Pass: median(whole) <= 70,
	})
	b.report.add(figure{
		ID: "M1/10 anon", What: "the same, anonymous (RssAnon)", Unit: "MB",
		Of: anon, Limit: bareAnon, LimitIs: "a bare libp2p host with one link", Pass: true,
	})
	return d.stop()
}

// memories reads several processes' memory, in MB of 10⁶ bytes.
func memories(pids []int) (whole, anon []float64, err error) {
	for _, pid := range pids {
		r, a, err := memory(pid)
		if err != nil {
			return nil, nil, err
		}
		whole, anon = append(whole, r/1e6), append(anon, a/1e6)
	}
	return whole, anon, nil
}
