package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// atOnce is how many requests are under way at once: what an app that imports a
// history would do.
const atOnce = 64

// mostAtOnce bounds a burst of which more is under way than that: an event stream that
// is 4 096 events behind ends, and whoever follows takes a snapshot.
const mostAtOnce = 3000

// lostAfter is how long after the last frame what has not come is lost.
const lostAfter = 10 * time.Second

// burstTime bounds a burst.
const burstTime = 3 * time.Minute

// burst is who says how much at once.
type burst struct {
	members, senders int
	requests         int // under way at once, over all senders
	messages         int
}

// name is the burst in the id of a figure.
func (u burst) name() string {
	switch {
	case u.senders == 1:
		return fmt.Sprintf("/%d", u.members)
	case u.requests == atOnce:
		return fmt.Sprintf("/%d by %d", u.members, u.senders)
	}
	return fmt.Sprintf("/%d by %d×%d", u.members, u.senders, u.requests/u.senders)
}

func (u burst) who() string {
	if u.senders == 1 {
		return "one sender"
	}
	return fmt.Sprintf("%d senders", u.senders)
}

// measureRate is T1: bursts in a group of two and in one of ten, by one sender
// and by all, who have as many requests under way together as the one has, and then
// each as many; P1 beside each, and in the smallest D1.
func (b *bench) measureRate(ctx context.Context) error {
	n := b.scale.Burst
	for _, u := range []burst{{2, 1, atOnce, n}, {10, 1, atOnce, n}, {10, 10, atOnce, n}, {10, 10, 10 * atOnce, min(n, mostAtOnce)}} {
		if err := b.gather(ctx, u.members); err != nil {
			return err
		}
		raw, lost, err := b.bareRate(ctx, u.members, u.senders, u.messages)
		if err != nil {
			return fmt.Errorf("%d bare hosts: %w", u.members, err)
		}
		if err := b.groupRate(ctx, b.crowd[:u.members], u, raw, lost); err != nil {
			return fmt.Errorf("group of %d: %w", u.members, err)
		}
	}
	return nil
}

func (b *bench) groupRate(ctx context.Context, ds []*daemon, u burst, raw float64, lost int) error {
	g, _, err := group(ctx, "Rate "+u.name(), ds)
	if err != nil {
		return err
	}
	weighs := ds[len(ds)-1]
	var before float64
	if len(ds) == 2 {
		// A restart puts what is there so far into tables: the disk is then
		// measured from table to table.
		if before, err = b.settledDisk(ctx, weighs); err != nil {
			return err
		}
	}
	var words texts
	if err := b.reached(ctx, g, ds, &words, warmUp); err != nil {
		return err
	}
	warm := words.n
	watchers, err := watchAll(ctx, ds)
	if err != nil {
		return err
	}
	defer stopAll(watchers)
	start, err := tollOf(ctx, ds)
	if err != nil {
		return err
	}
	began := time.Now()
	posted, err := b.burst(ctx, g, ds[:u.senders], &words, u.messages, u.requests)
	if err != nil {
		return err
	}
	for _, w := range watchers {
		if err := w.waitCount(ctx, u.messages); err != nil {
			return err
		}
	}
	took := time.Since(began)
	end, err := tollOf(ctx, ds)
	if err != nil {
		return err
	}
	paid := end.since(start)
	for _, d := range ds {
		if err := d.holdsTexts(ctx, g, words.n); err != nil {
			return err
		}
	}
	name := u.name()
	rate := float64(u.messages) / took.Seconds()
	b.report.add(figure{
		ID: "T1" + name, What: fmt.Sprintf("%s, %d members, burst of %d, %d requests at once, until all are on all event streams, 0 lost", u.who(), len(ds), u.messages, u.requests), Unit: "messages/s",
		Of: []float64{rate}, Limit: []float64{raw}, LimitIs: fmt.Sprintf("raw GossipSub, %d processes (%d lost)", len(ds), lost), More: true,
		Goal: "≥ 0.6× at 10 members (quality.md)", Pass: rate >= 0.6*raw,
	})
	b.report.add(figure{
		ID: "T1" + name + " post", What: "the same, until the last 201", Unit: "messages/s",
		Of: []float64{float64(u.messages) / posted.Seconds()}, More: true, Pass: true,
	})
	deliveries := float64(u.messages * (len(ds) - 1))
	each := float64(paid.spent.Microseconds()) / deliveries
	b.report.add(figure{
		ID: "P1" + name, What: "processor time of all daemons a delivery, in that burst", Unit: "µs",
		Of: []float64{each}, Goal: "≤ 300 (quality.md, 10 members)", Pass: each <= 300,
	})
	for _, f := range []struct {
		id, what, unit string
		of             float64
	}{
		{"P1" + name + " own", "processor time of this program, which shares the machine, a delivery", "µs", float64(paid.own.Microseconds()) / deliveries},
		{"T1" + name + " run", "messages in a frame of gossip, in that burst", "messages", float64(u.messages) / paid.published},
		{"T1" + name + " copies", "copies of each frame that come to a member", "copies", (paid.delivered + paid.duplicates) / paid.delivered},
		{"T1" + name + " wakes", "how often a thread of a daemon waited, a message", "waits", paid.wakes / float64(u.messages*len(ds))},
	} {
		b.report.add(figure{ID: f.id, What: f.what, Unit: f.unit, Of: []float64{f.of}, Pass: true})
	}
	if len(ds) > 2 {
		return nil
	}
	size, err := b.settledDisk(ctx, weighs)
	if err != nil {
		return err
	}
	perMessage := (size - before) / float64(warm+u.messages)
	b.report.add(figure{
		ID: "D1", What: "disk a message of 300 bytes, everything included", Unit: "bytes",
		Of: []float64{perMessage}, Goal: "≤ 1.5 × frame + 100 (quality.md: 1180 at a frame of 720)", Pass: perMessage <= 1180,
	})
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

// burst posts n messages, some at once, to the daemons in turn; it returns how
// long until the last answer.
func (b *bench) burst(ctx context.Context, g wire.GroupID, ds []*daemon, words *texts, n, requests int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, burstTime)
	defer cancel()
	work := make(chan string)
	errs := make(chan error, requests)
	var wg sync.WaitGroup
	began := time.Now()
	for k := range requests {
		d := ds[k%len(ds)]
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

// bareRate lets some of the bare hosts send n frames together as fast as they
// can; it returns frames a second until the last came, and how many never did.
func (b *bench) bareRate(ctx context.Context, hosts, senders, n int) (rate float64, lost int, err error) {
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
	share := n / senders
	began := time.Now()
	for k := range senders {
		if err := field[k].say("send %d %d", 1+k*share, share); err != nil {
			return 0, 0, err
		}
	}
	var last time.Time
	for i, p := range field {
		want := share * senders
		if i < senders {
			want -= share // its own are not told
		}
		got, at, err := p.arrived(ctx, want, uint64(n))
		if err != nil {
			return 0, 0, err
		}
		lost += want - got
		if at.After(last) {
			last = at
		}
	}
	return float64(share*senders) / last.Sub(began).Seconds(), lost, nil
}

// arrived counts the frames 1 to n that came, until as many came as are wanted
// or none for a while, and tells when the last one did.
func (p *bareProcess) arrived(ctx context.Context, want int, n uint64) (got int, last time.Time, err error) {
	for {
		known, others := got, 0
		got, last = 0, time.Time{}
		p.mu.Lock()
		for k, at := range p.seen {
			if k < 1 || k > n {
				others++
				continue
			}
			got++
			if at.After(last) {
				last = at
			}
		}
		all := len(p.seen)
		p.mu.Unlock()
		if got >= want {
			return got, last, nil
		}
		since := time.Now()
		if !last.IsZero() {
			since = last // one host is waited for, not each anew
		}
		limited, cancel := context.WithDeadline(ctx, since.Add(lostAfter))
		err := p.until(limited, func() bool { return len(p.seen) >= others+want || len(p.seen) > all+1000 })
		cancel()
		if ctx.Err() != nil {
			return got, last, err
		}
		if err != nil && got == known {
			return got, last, nil // what has not come so long after what came before is lost
		}
	}
}
