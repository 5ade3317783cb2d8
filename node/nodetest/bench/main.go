package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// scale is how often things are done.
type scale struct {
	Quick    bool
	Messages int           // latency samples in each group
	Posts    int           // synced posts
	Burst    int           // messages of the sustained rate
	CatchUp  []int         // messages missed
	Starts   int           // of a daemon with a group
	Settle   time.Duration // until idle memory is read
	Sizes    []int         // of groups
	Rooms    int           // runs of the packages' benchmarks
	Stored   []int         // messages in homes that are opened
	Members  []int         // of the one group of homes at rest
	Groups   []int         // that such homes have
}

func main() {
	quick := flag.Bool("quick", false, "fewer repetitions, for under three minutes")
	only := flag.String("only", "", "letters of the measurements to make, of mpsjltcwg (default all)")
	daemon := flag.String("daemon", "", "mutualsd to measure (default: built from cmd/mutualsd)")
	out := flag.String("out", "bench", "folder of the JSON result")
	doc := flag.String("doc", "", "markdown file to write; empty writes none")
	length := flag.Duration("soak", 0, "use one node for so long as people do in a day, and fail if its memory grows; measure nothing else")
	stored := flag.Int("soak-messages", 1_000_000, "how many messages it has when -soak begins")
	home := flag.String("soak-home", "", "home for -soak that TestFillHome has made; what it needs is written to it (default: a new one)")
	bare := flag.Bool("bare", false, "be a bare host on pipes (the program starts itself with it)")
	flag.Parse()
	if *bare {
		if err := beBare(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench: error:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *quick, *only, *daemon, *out, *doc, soaking{*length, *stored, *home})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, quick bool, only, daemon, out, doc string, long soaking) error {
	s := scale{Messages: 400, Posts: 1000, Burst: 10_000, CatchUp: []int{500, 5000}, Starts: 10, Settle: 60 * time.Second, Sizes: []int{2, 3, 10}, Rooms: 5, Stored: []int{10_000, 100_000, 1_000_000},
		Members: []int{2, 100, 500}, Groups: []int{1, 10, 50}}
	if quick {
		s = scale{Quick: true, Messages: 100, Posts: 200, Burst: 1000, CatchUp: []int{500}, Starts: 5, Settle: 25 * time.Second, Sizes: []int{2, 3, 10}, Rooms: 1, Stored: []int{10_000}}
	}
	dir, err := os.MkdirTemp("", "mutuals-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if daemon == "" {
		daemon = filepath.Join(dir, "mutualsd")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", daemon, "./cmd/mutualsd")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building mutualsd: %w", err)
		}
	}
	b := &bench{scale: s, dir: dir, program: daemon, report: newReport(quick)}
	defer b.close()
	if long.length > 0 {
		return b.soak(ctx, long)
	}
	steps := []struct {
		letter string
		name   string
		do     func(context.Context) error
	}{
		{"m", "a daemon at rest, its start", b.measureIdle},
		{"p", "posts on one node", b.measurePosts},
		{"s", "homes that hold much", b.measureSizes},
		{"j", "joins", b.measureJoins},
		{"l", "latency", b.measureLatency},
		{"t", "sustained rate", b.measureRate},
		{"c", "catch-up", b.measureCatchUp},
		{"w", "bytes on the wire", b.measureWire},
		{"g", "groups and epochs", b.measureRooms},
	}
	for _, step := range steps {
		if only != "" && !strings.Contains(only, step.letter) {
			continue
		}
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", step.name, time.Since(began).Round(time.Second))
	}
	b.report.print(os.Stdout)
	return b.report.save(out, doc)
}

// bench is one run.
type bench struct {
	scale   scale
	dir     string // everything of the run, removed at its end
	program string // mutualsd
	report  *report
	homes   int
	started []*daemon
	crowd   []*daemon // of the group measurements, the founder first
}

// close ends every daemon that still runs.
func (b *bench) close() {
	for _, d := range b.started {
		d.kill()
	}
}
