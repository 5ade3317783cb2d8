package main

import (
	"context"
	"fmt"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh/meshtest"
)

// joinTime bounds one join.
const joinTime = 30 * time.Second

// join lets a daemon in by passcode; took runs from the POST to the task's
// end, as a program sees it that asks every millisecond.
func (d *daemon) join(ctx context.Context, passcode string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	began := time.Now()
	t, err := d.client.Join(ctx, passcode)
	for err == nil && !t.Over() {
		if err = pause(ctx, time.Millisecond); err == nil {
			t, err = d.client.Task(ctx, t.ID)
		}
	}
	took = time.Since(began)
	if err != nil {
		return took, fmt.Errorf("joining: %w", err)
	}
	if t.Stage != api.StageJoined {
		return took, fmt.Errorf("joining: the task ended as %s: %w", t.Stage, t.Problem)
	}
	return took, nil
}

// group makes a group and lets the daemons behind the first in; it returns
// how long each join took.
func group(ctx context.Context, name string, ds []*daemon) (g wire.GroupID, joins []time.Duration, err error) {
	made, err := ds[0].client.CreateGroup(ctx, api.GroupCreate{Name: name})
	if err != nil {
		return g, nil, fmt.Errorf("making a group: %w", err)
	}
	uses := 100
	inv, err := ds[0].client.CreateInvite(ctx, made.ID, api.InviteCreate{Uses: &uses})
	if err != nil {
		return g, nil, fmt.Errorf("making an invite: %w", err)
	}
	for _, d := range ds[1:] {
		took, err := d.join(ctx, inv.Text)
		if err != nil {
			return g, nil, err
		}
		joins = append(joins, took)
	}
	return made.ID, joins, nil
}

// gather starts the daemons of the group measurements.
func (b *bench) gather(ctx context.Context, n int) error {
	for len(b.crowd) < n {
		d, err := b.newDaemon(ctx, fmt.Sprintf("Member %d", len(b.crowd)))
		if err != nil {
			return err
		}
		b.crowd = append(b.crowd, d)
	}
	return nil
}

// joiners is how many strangers join.
const joiners = 10

// measureJoins is J1: strangers enter one after the other, each a fresh node
// that has never met anybody.
func (b *bench) measureJoins(ctx context.Context) error {
	if err := b.gather(ctx, joiners+1); err != nil {
		return err
	}
	_, joins, err := group(ctx, "Joins", b.crowd)
	if err != nil {
		return err
	}
	var limit []time.Duration
	for range joiners {
		took, err := bareDial(ctx)
		if err != nil {
			return err
		}
		limit = append(limit, took)
	}
	b.report.add(figure{
		ID: "J1", What: "POST join → task joined, a stranger, loopback", Unit: "ms",
		Of: millis(joins), Limit: millis(limit), LimitIs: "dial and three round trips on a raw stream",
		Goal: "< 1000; quality.md ≤ 300", Pass: median(millis(joins)) < 1000,
	})
	return nil
}

// bareDial is the limit of a join: two hosts that never met.
func bareDial(ctx context.Context) (time.Duration, error) {
	a, err := meshtest.NewBare()
	if err != nil {
		return 0, err
	}
	defer a.Close()
	z, err := meshtest.NewBare()
	if err != nil {
		return 0, err
	}
	defer z.Close()
	began := time.Now()
	err = a.RoundTrips(ctx, z.Addr(), 3, 1024)
	return time.Since(began), err
}
