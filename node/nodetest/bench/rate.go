package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// senders is how many requests of one sender are under way at once.
const senders = 16

// burstTime bounds a burst.
const burstTime = 3 * time.Minute

// measureRate is T1 with three members and one sender, P1 and D1 beside it.
func (b *bench) measureRate(ctx context.Context) error {
	var ds []*daemon
	for k := range 3 {
		d, err := b.newDaemon(ctx, fmt.Sprintf("Fast %d", k))
		if err != nil {
			return err
		}
		ds = append(ds, d)
	}
	g, _, err := group(ctx, "Rate", ds)
	if err != nil {
		return err
	}
	// A restart puts what is there so far into tables: the disk is then
	// measured from table to table.
	before, err := b.settledDisk(ctx, ds[2])
	if err != nil {
		return err
	}
	var words texts
	if err := b.reached(ctx, g, ds, &words, warmUp); err != nil {
		return err
	}
	warm := words.n
	var spent time.Duration
	for _, d := range ds {
		t, err := processor(d.cmd.Process.Pid)
		if err != nil {
			return err
		}
		spent -= t
	}
	watchers, err := watchAll(ctx, ds[1:])
	if err != nil {
		return err
	}
	defer stopAll(watchers)
	began := time.Now()
	posted, err := b.burst(ctx, g, ds[0], &words, b.scale.Burst)
	if err != nil {
		return err
	}
	for _, w := range watchers {
		if err := w.waitCount(ctx, b.scale.Burst); err != nil {
			return err
		}
	}
	took := time.Since(began)
	for _, d := range ds {
		t, err := processor(d.cmd.Process.Pid)
		if err != nil {
			return err
		}
		spent += t
	}
	for _, d := range ds {
		if err := d.holdsTexts(ctx, g, words.n); err != nil {
			return err
		}
	}
	raw, lost, err := b.bareRate(ctx, len(ds), b.scale.Burst)
	if err != nil {
		return err
	}
	rate := float64(b.scale.Burst) / took.Seconds()
	b.report.add(figure{
		ID: "T1", What: fmt.Sprintf("one sender, 3 members, burst of %d, until all are on all disks, 0 lost", b.scale.Burst), Unit: "messages/s",
		Of: []float64{rate}, Limit: []float64{raw}, LimitIs: fmt.Sprintf("raw GossipSub, 3 processes (%d lost)", lost), More: true,
		Goal: "≥ 0.6× at 10 members (quality.md)", Pass: rate >= 0.6*raw,
	})
	b.report.add(figure{
		ID: "T1 post", What: fmt.Sprintf("the same, until the last 201 (%d requests at once)", senders), Unit: "messages/s",
		Of: []float64{float64(b.scale.Burst) / posted.Seconds()}, More: true, Pass: true,
	})
	b.report.add(figure{
		ID: "P1", What: "processor time of all three daemons a delivery, in that burst", Unit: "µs",
		Of:   []float64{float64(spent.Microseconds()) / float64(b.scale.Burst*(len(ds)-1))},
		Goal: "≤ 300 (quality.md, 10 members)", Pass: float64(spent.Microseconds()) <= 300*float64(b.scale.Burst*(len(ds)-1)),
	})
	after, err := b.settledDisk(ctx, ds[2])
	if err != nil {
		return err
	}
	perMessage := (after - before) / float64(warm+b.scale.Burst)
	b.report.add(figure{
		ID: "D1", What: "disk a message of 300 bytes, everything included", Unit: "bytes",
		Of: []float64{perMessage}, Goal: "≤ 1.5 × frame + 100 (quality.md: 1180 at a frame of 720)", Pass: perMessage <= 1180,
	})
	for _, d := range ds {
		if err := d.stop(); err != nil {
			return err
		}
	}
	return nil
}

// settledDisk stops a daemon, measures its home and starts it again.
func (b *bench) settledDisk(ctx context.Context, d *daemon) (float64, error) {
	if err := d.stop(); err != nil {
		return 0, err
	}
	size, err := disk(d.home)
	if err != nil {
		return 0, err
	}
	return size, d.start(ctx)
}

// reached sends for a while, one message at a time, each until all have it.
func (b *bench) reached(ctx context.Context, g wire.GroupID, ds []*daemon, words *texts, d time.Duration) error {
	watchers, err := watchAll(ctx, ds)
	if err != nil {
		return err
	}
	defer stopAll(watchers)
	for began := time.Now(); time.Since(began) < d; {
		text := words.next()
		if _, err := ds[0].client.Send(ctx, g, api.MessageCreate{Text: text}); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		limited, cancel := context.WithTimeout(ctx, messageTime)
		for _, w := range watchers {
			if _, err := w.wait(limited, text); err != nil {
				cancel()
				return err
			}
		}
		cancel()
	}
	return nil
}

// burst posts n messages, some at once; it returns how long until the last
// answer.
func (b *bench) burst(ctx context.Context, g wire.GroupID, d *daemon, words *texts, n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, burstTime)
	defer cancel()
	work := make(chan string)
	errs := make(chan error, senders)
	var wg sync.WaitGroup
	began := time.Now()
	for range senders {
		wg.Go(func() {
			for text := range work {
				if _, err := d.client.Send(ctx, g, api.MessageCreate{Text: text}); err != nil {
					errs <- fmt.Errorf("sending: %w", err)
					cancel()
					return
				}
			}
		})
	}
	for range n {
		select {
		case work <- words.next():
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-errs:
		return took, err
	default:
		return took, ctx.Err()
	}
}

// holdsTexts reads a daemon's whole timeline and refuses it unless texts 1 to
// n are there, each once.
func (d *daemon) holdsTexts(ctx context.Context, g wire.GroupID, n int) error {
	seen := map[string]int{}
	for p := (api.Page{Limit: api.MaxPage}); ; {
		page, err := d.client.Messages(ctx, g, p)
		if err != nil {
			return fmt.Errorf("reading messages: %w", err)
		}
		for _, m := range page.Items {
			if m.Kind == api.MessageText {
				seen[m.Text]++
			}
		}
		if page.Before == "" {
			break
		}
		p.Before = page.Before
	}
	var words texts
	for range n {
		if text := words.next(); seen[text] != 1 {
			return fmt.Errorf("message %d is there %d times", words.n, seen[text])
		}
	}
	return nil
}

// bareRate lets one bare host send n frames as fast as it can; it returns
// frames a second until the last came, and how many never did.
func (b *bench) bareRate(ctx context.Context, hosts, n int) (rate float64, lost int, err error) {
	field, err := bareField(ctx, hosts)
	if err != nil {
		return 0, 0, err
	}
	defer closeField(field)
	if _, _, err := rounds(1, func(k int) ([]time.Duration, error) {
		ctx, cancel := context.WithTimeout(ctx, messageTime)
		defer cancel()
		if err := field[0].say("send %d 1", k+2*n); err != nil {
			return nil, err
		}
		for _, p := range field[1:] {
			if _, err := p.wait(ctx, uint64(k+2*n)); err != nil {
				return nil, err
			}
		}
		return []time.Duration{0}, nil
	}); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := field[0].say("send 1 %d", n); err != nil {
		return 0, 0, err
	}
	var last time.Time
	for _, p := range field[1:] {
		// What has not come ten seconds after what came before is lost.
		for known := -1; ; {
			got := 0
			p.mu.Lock()
			for k, at := range p.seen {
				if k >= 1 && k <= uint64(n) {
					got++
					if at.After(last) {
						last = at
					}
				}
			}
			p.mu.Unlock()
			if got == n || got == known {
				lost += n - got
				break
			}
			known = got
			limited, cancel := context.WithTimeout(ctx, 10*time.Second)
			err := p.until(limited, func() bool { return len(p.seen) > got && p.seen[uint64(n)] != (time.Time{}) })
			cancel()
			if ctx.Err() != nil {
				return 0, 0, err
			}
		}
	}
	return float64(n) / last.Sub(began).Seconds(), lost, nil
}
