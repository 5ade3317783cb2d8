package main

import (
	"context"
	"strings"
)

// measureScale is C1 at the numbers of quality.md: what is too much to say
// through an API is written by a benchmark of package node, which then measures
// real nodes on real disks in its own process.
func (b *bench) measureScale(ctx context.Context) error {
	away := "100000"
	if b.scale.Quick {
		away = "10000"
	}
	node, err := b.benchmarks(ctx, "./node", "^BenchmarkAway$/^"+away+"$", "1x")
	if err != nil {
		return err
	}
	raw, err := b.benchmarks(ctx, "./store", "^BenchmarkRawBatch$", "100x")
	if err != nil {
		return err
	}
	of := func(unit string) []float64 { return node["BenchmarkAway/"+away+" "+unit] }
	rate, naive := of("messages/s"), of("naive/s")
	b.report.add(figure{ID: "C1", What: "back after " + grouped(away) + " messages by 100 devices, until all are readable and synced", Unit: "messages/s", More: true,
		Of: rate, Limit: naive, LimitIs: "the same node, message by message: each verified, each in a synced transaction", Goal: "about 40 000/s; ≥ 20× (quality.md)",
		Pass: median(rate) >= 40_000 && median(rate) >= 20*median(naive)})
	written := raw["BenchmarkRawBatch messages/s"]
	b.report.add(figure{ID: "C1 disk", What: "the same", Unit: "messages/s", More: true,
		Of: rate, Limit: written, LimitIs: "Badger alone writes as many rows of the same sizes, 1 000 messages a transaction", Goal: "≥ 0.6×",
		Pass: median(rate) >= 0.6*median(written)})
	b.room(figure{ID: "C1 cpu", What: "the same, processor time a message of both nodes, who serves and who comes back", Unit: "µs",
		Of: of("cpu-µs/message"), Goal: "≤ 45"}, 45)
	return nil
}

// grouped writes a number as people do.
func grouped(digits string) string {
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, parts...), " ")
}
