package main

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	rest, err := b.restOf(ctx, fillOf{groups: 10, members: 100, messages: 1000})
	if err != nil {
		return err
	}
	b.report.add(figure{
		ID: "M1/10", What: "idle resident memory (RSS), ten groups of 100", Unit: "MB",
		Of: []float64{rest.whole}, Limit: bareWhole, LimitIs: "a bare libp2p host with one link", Goal: "≤ 70", Pass: rest.whole <= 70,
	})
	b.report.add(figure{
		ID: "M1/10 anon", What: "the same, anonymous (RssAnon)", Unit: "MB",
		Of: []float64{rest.anon}, Limit: bareAnon, LimitIs: "a bare libp2p host with one link", Pass: true,
	})
	b.report.add(figure{ID: "M1/10 cpu", What: "processor time meanwhile", Unit: "% of a core", Of: []float64{rest.busy}, Pass: true})
	b.report.add(figure{ID: "M1/10 wakes", What: "how often a thread of it woke", Unit: "a second", Of: []float64{rest.wakes}, Pass: true})
	return b.measureIdleGrowth(ctx)
}

// measureIdleGrowth is what a member costs a daemon at rest, and what a group
// does: lines through what homes of several sizes take.
func (b *bench) measureIdleGrowth(ctx context.Context) error {
	if b.scale.Quick {
		return nil // each home takes a minute
	}
	line := func(id, what string, sizes []int, home func(int) fillOf) error {
		var x, y []float64
		for _, size := range sizes {
			d, err := b.settled(ctx, home(size))
			if err != nil {
				return err
			}
			_, anon, err := memories([]int{d.cmd.Process.Pid})
			if err := errors.Join(err, d.stop()); err != nil {
				return err
			}
			x, y = append(x, float64(size)), append(y, anon[0])
			b.report.add(figure{ID: fmt.Sprintf("%s/%d", id, size), What: fmt.Sprintf(what, size) + ", anonymous", Unit: "MB", Of: anon, Pass: true})
		}
		each, first, off := fit(x, y)
		b.report.add(figure{ID: id + " each", What: fmt.Sprintf("one more, by a line from %.1f MB that no home is further from than %.1f", first, off), Unit: "kB", Of: []float64{each * 1000}, Pass: true})
		return nil
	}
	err := line("M1 members", "one group of %d that said 1 000 messages", b.scale.Members, func(n int) fillOf { return fillOf{groups: 1, members: n, messages: 1000} })
	if err != nil {
		return err
	}
	return line("M1 groups", "%d groups of 100 that said 100 messages each", b.scale.Groups, func(n int) fillOf { return fillOf{groups: n, members: 100, messages: 100} })
}

// fit lays the straight line of least squares through points: what one more of x
// adds to y, y at none, and how far the furthest point is from the line.
func fit(x, y []float64) (each, none, off float64) {
	n, sx, sy, sxx, sxy := float64(len(x)), 0.0, 0.0, 0.0, 0.0
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	each = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	none = (sy - each*sx) / n
	for i := range x {
		off = max(off, math.Abs(y[i]-none-each*x[i]))
	}
	return each, none, off
}

// atRest is what a daemon takes that has nothing to do.
type atRest struct {
	whole, anon float64 // MB
	busy        float64 // per cent of a core
	wakes       float64 // of its threads, a second
}

// settled makes a home, starts a daemon in it and lets it come to rest.
func (b *bench) settled(ctx context.Context, f fillOf) (*daemon, error) {
	d, err := b.filled(ctx, f)
	if err == nil {
		err = d.start(ctx)
	}
	if err == nil {
		err = pause(ctx, b.scale.Settle)
	}
	return d, err
}

// restOf looks at a daemon that has come to rest in a home, for a while.
func (b *bench) restOf(ctx context.Context, f fillOf) (r atRest, err error) {
	d, err := b.settled(ctx, f)
	if err != nil {
		return r, err
	}
	pid := d.cmd.Process.Pid
	whole, anon, err := memories([]int{pid})
	if err != nil {
		return r, err
	}
	r.whole, r.anon = whole[0], anon[0]
	began, spent, woke := time.Now(), time.Duration(0), 0.0
	for _, sign := range []time.Duration{-1, 1} {
		t, err := processor(pid)
		if err != nil {
			return r, err
		}
		w, err := wakes(pid)
		if err != nil {
			return r, err
		}
		spent, woke = spent+sign*t, woke+float64(sign)*w
		if sign < 0 {
			if err := pause(ctx, b.scale.Settle/2); err != nil {
				return r, err
			}
		}
	}
	took := time.Since(began)
	r.busy, r.wakes = 100*spent.Seconds()/took.Seconds(), woke/took.Seconds()
	return r, d.stop()
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
