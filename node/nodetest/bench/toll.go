package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// toll is what daemons had used and handled by some moment, since their start.
type toll struct {
	spent      time.Duration // processor time
	wakes      float64       // how often their threads waited for something
	published  float64       // frames of gossip said
	delivered  float64       // and taken in
	duplicates float64       // and come again
	own        time.Duration // processor time of this program, which shares the machine
}

func tollOf(ctx context.Context, ds []*daemon) (t toll, err error) {
	for _, d := range ds {
		spent, err1 := processor(d.cmd.Process.Pid)
		woken, err2 := wakes(d.cmd.Process.Pid)
		text, err3 := d.client.Metrics(ctx)
		if err := errors.Join(err1, err2, err3); err != nil {
			return t, fmt.Errorf("reading what a daemon has used: %w", err)
		}
		t.spent, t.wakes = t.spent+spent, t.wakes+woken
		t.published += metric(text, `mutuals_gossip_frames_total{event="published"}`)
		t.delivered += metric(text, `mutuals_gossip_frames_total{event="delivered"}`)
		t.duplicates += metric(text, `mutuals_gossip_frames_total{event="duplicate"}`)
	}
	t.own, err = processor(os.Getpid())
	return t, err
}

func (t toll) since(b toll) toll {
	return toll{
		spent: t.spent - b.spent, wakes: t.wakes - b.wakes, own: t.own - b.own,
		published: t.published - b.published, delivered: t.delivered - b.delivered, duplicates: t.duplicates - b.duplicates,
	}
}

// spentBy is the processor time that daemons have used.
func spentBy(ds []*daemon) (sum time.Duration, err error) {
	for _, d := range ds {
		t, err := processor(d.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// metric reads one line of what Prometheus scrapes, 0 if it is not there.
func metric(text []byte, name string) float64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, _ := strconv.ParseFloat(rest, 64)
			return v
		}
	}
	return 0
}
