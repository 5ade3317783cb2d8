package main

import (
	"context"
	"fmt"
	"time"

	"mutuals/node/api"
)

// messageTime bounds one message's way.
const messageTime = 20 * time.Second

// warmUp is how long a group talks before it is measured: five heartbeats of
// GossipSub, until the meshes have their degree. A young mesh sends half the
// copies.
const warmUp = 5 * time.Second

// measureLatency is L1: POST until the other members' event streams show it,
// one message at a time, everybody in turn.
func (b *bench) measureLatency(ctx context.Context) error {
	for _, n := range b.scale.Sizes {
		if err := b.gather(ctx, n); err != nil {
			return err
		}
		each, last, spent, err := b.groupLatency(ctx, b.crowd[:n])
		if err != nil {
			return fmt.Errorf("group of %d: %w", n, err)
		}
		rawEach, rawLast, err := b.bareLatency(ctx, n)
		if err != nil {
			return fmt.Errorf("%d bare hosts: %w", n, err)
		}
		ratio := "≤ 2× p50, ≤ 3× p99 at 10 (quality.md)"
		b.report.add(figure{
			ID: fmt.Sprintf("L1/%d", n), What: fmt.Sprintf("POST → another member's event stream, group of %d", n), Unit: "ms",
			Of: millis(each), Limit: millis(rawEach), LimitIs: "raw GossipSub, as many processes",
			Goal: "< 50; " + ratio, Pass: median(millis(each)) < 50,
		})
		b.report.add(figure{
			ID: fmt.Sprintf("L1/%d last", n), What: "the same, the last of all members", Unit: "ms",
			Of: millis(last), Limit: millis(rawLast), LimitIs: "raw GossipSub, as many processes",
			Goal: "< 50", Pass: median(millis(last)) < 50,
		})
		b.report.add(figure{
			ID: fmt.Sprintf("P1/%d alone", n), What: "processor time of all daemons a delivery, where each message comes alone", Unit: "µs",
			Of: []float64{float64(spent.Nanoseconds()) / 1000}, Pass: true,
		})
	}
	return nil
}

// groupLatency also tells what a delivery costs the daemons together.
func (b *bench) groupLatency(ctx context.Context, ds []*daemon) (each, last []time.Duration, spent time.Duration, err error) {
	g, _, err := group(ctx, fmt.Sprintf("Latency %d", len(ds)), ds)
	if err != nil {
		return nil, nil, 0, err
	}
	watchers, err := watchAll(ctx, ds)
	if err != nil {
		return nil, nil, 0, err
	}
	defer stopAll(watchers)
	before, err := spentBy(ds)
	if err != nil {
		return nil, nil, 0, err
	}
	var words texts
	one := func(k int) (took []time.Duration, err error) {
		ctx, cancel := context.WithTimeout(ctx, messageTime)
		defer cancel()
		from, text := k%len(ds), words.next()
		began := time.Now()
		if _, err := ds[from].client.Send(ctx, g, api.MessageCreate{Text: text}); err != nil {
			return nil, fmt.Errorf("sending: %w", err)
		}
		for i, w := range watchers {
			if i == from {
				continue
			}
			at, err := w.wait(ctx, text)
			if err != nil {
				return nil, fmt.Errorf("message %d from %d to %d: %w", k, from, i, err)
			}
			took = append(took, at.Sub(began))
		}
		return took, nil
	}
	if each, last, err = rounds(b.scale.Messages, one); err != nil {
		return nil, nil, 0, err
	}
	after, err := spentBy(ds)
	return each, last, (after - before) / time.Duration(words.n*(len(ds)-1)), err
}

func (b *bench) bareLatency(ctx context.Context, n int) (each, last []time.Duration, err error) {
	field, err := bareField(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	defer closeField(field)
	return rounds(b.scale.Messages, func(k int) (took []time.Duration, err error) {
		ctx, cancel := context.WithTimeout(ctx, messageTime)
		defer cancel()
		from := k % n
		began := time.Now()
		if err := field[from].say("send %d 1", k); err != nil {
			return nil, err
		}
		for i, p := range field {
			if i == from {
				continue
			}
			at, err := p.wait(ctx, uint64(k))
			if err != nil {
				return nil, err
			}
			took = append(took, at.Sub(began))
		}
		return took, nil
	})
}

// rounds sends until warm, then n times more; it returns each delivery and
// the last of each message.
func rounds(n int, one func(k int) ([]time.Duration, error)) (each, last []time.Duration, err error) {
	k := 0
	for began := time.Now(); time.Since(began) < warmUp; k++ {
		if _, err := one(k); err != nil {
			return nil, nil, err
		}
	}
	for range n {
		took, err := one(k)
		if err != nil {
			return nil, nil, err
		}
		k++
		each = append(each, took...)
		most := took[0]
		for _, t := range took {
			most = max(most, t)
		}
		last = append(last, most)
	}
	return each, last, nil
}

func watchAll(ctx context.Context, ds []*daemon) ([]*watcher, error) {
	var all []*watcher
	for _, d := range ds {
		w, err := d.watch(ctx)
		if err != nil {
			stopAll(all)
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func stopAll(all []*watcher) {
	for _, w := range all {
		w.stop()
	}
}
