package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// soaking is M2: a node with much in store, used for a while.
type soaking struct {
	length time.Duration
	stored int    // messages in its large group
	home   string // that a test has filled; empty: a new one
}

const (
	// Of each round: pages read of each kind, messages said one by one on either
	// side, and together on the other.
	soakPages, soakWords, soakBurst = 20, 20, 1000
	// soakRest is how long nothing is done at the end of a round: a node gives
	// memory back once it has rested for 10 to 20 s.
	soakRest = 25 * time.Second
	// soakLevel is M2's goal, in MB, and soakGrowth how much more the lowest
	// reading of a run's last third may be than that of the second: spans of the
	// heap that are half empty.
	soakLevel, soakGrowth = 120, 1.05
)

// soak repeats a day of somebody who is in a large group and a small one, and
// looks at the memory at the end of each: reading the newest and far back,
// talking, another node that comes and goes and has said much meanwhile. It
// fails if anonymous memory grows once the first third, in which caches fill, is
// over; or is above the goal.
func (b *bench) soak(ctx context.Context, s soaking) error {
	d, large, err := b.soaker(ctx, s)
	if err != nil {
		return err
	}
	other, err := b.newDaemon(ctx, "Friend")
	if err != nil {
		return err
	}
	small, _, err := group(ctx, "Lunch", []*daemon{d, other})
	if err != nil {
		return err
	}
	w, err := d.watch(ctx)
	if err != nil {
		return err
	}
	defer w.stop()
	var anon []float64
	var words texts
	began := time.Now()
	fmt.Println("minutes  anonymous MB  resident MB  processor s  messages said")
	for time.Since(began) < s.length {
		if err := b.day(ctx, d, other, large, small, w, &words); err != nil {
			return fmt.Errorf("after %v: %w", time.Since(began).Round(time.Second), err)
		}
		pid := d.cmd.Process.Pid
		whole, a, err := memories([]int{pid})
		if err != nil {
			return err
		}
		spent, err := processor(pid)
		if err != nil {
			return err
		}
		anon = append(anon, a[0])
		fmt.Printf("%7.1f  %12.1f  %11.1f  %11.1f  %13d\n", time.Since(began).Minutes(), a[0], whole[0], spent.Seconds(), words.n)
	}
	return grown(anon)
}

// soaker starts the node that is used.
func (b *bench) soaker(ctx context.Context, s soaking) (*daemon, wire.GroupID, error) {
	d := &daemon{program: b.program, home: s.home}
	var err error
	if s.home == "" {
		d, err = b.filled(ctx, fillOf{groups: 1, members: 100, messages: s.stored})
	} else {
		_, err = os.Stat(s.home)
		b.started = append(b.started, d)
	}
	if err == nil {
		err = d.start(ctx)
	}
	if err != nil {
		return nil, wire.GroupID{}, err
	}
	g, err := d.onlyGroup(ctx)
	return d, g, err
}

// day is a round.
func (b *bench) day(ctx context.Context, d, other *daemon, large, small wire.GroupID, w *watcher, words *texts) error {
	if _, _, _, err := d.leaf(ctx, large, soakPages); err != nil {
		return err
	}
	if _, err := b.burst(ctx, small, []*daemon{other}, words, soakBurst, atOnce); err != nil {
		return err
	}
	say := func(from *daemon, g wire.GroupID) error {
		text := words.next()
		if _, err := from.client.Send(ctx, g, api.MessageCreate{Text: text}); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		limited, cancel := context.WithTimeout(ctx, messageTime)
		defer cancel()
		_, err := w.wait(limited, text)
		return err
	}
	for range soakWords {
		for _, err := range []error{say(d, large), say(d, small), say(other, small)} {
			if err != nil {
				return err
			}
		}
	}
	for _, g := range []wire.GroupID{large, small} {
		page, err := d.client.Messages(ctx, g, api.Page{Limit: 1})
		if err != nil || len(page.Items) != 1 {
			return fmt.Errorf("reading the newest message: %w", err)
		}
		if err := d.client.MarkRead(ctx, g, page.Items[0].ID); err != nil {
			return fmt.Errorf("marking as read: %w", err)
		}
	}
	if err := other.stop(); err != nil {
		return err
	}
	if _, err := b.burst(ctx, small, []*daemon{d}, words, soakBurst/10, atOnce); err != nil {
		return err
	}
	if err := other.start(ctx); err != nil {
		return err
	}
	return pause(ctx, soakRest)
}

// grown refuses readings that grew.
func grown(anon []float64) error {
	third := len(anon) / 3
	if third < 2 {
		return fmt.Errorf("%d readings are too few to tell whether memory grows: soak longer", len(anon))
	}
	before, after := slices.Min(anon[third:2*third]), slices.Min(anon[2*third:])
	var x []float64
	for i := range anon[third:] {
		x = append(x, float64(i))
	}
	each, _, off := fit(x, anon[third:])
	fmt.Printf("least anonymous memory of the second third %.1f MB, of the last %.1f; a line through both grows %.2f MB a round and is off by %.1f at most\n", before, after, each, off)
	switch {
	case after > before*soakGrowth:
		return fmt.Errorf("anonymous memory grew from %.1f to %.1f MB", before, after)
	case after > soakLevel:
		return fmt.Errorf("anonymous memory is %.1f MB, more than %d", after, soakLevel)
	}
	return nil
}
