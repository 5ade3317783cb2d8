package main

import (
	"context"
	"strings"
)

// measureScale is C1, S1, R1 and D1 with the numbers of years: what is too much
// to say through an API is written by the benchmarks of package node, which
// then measure real nodes on real disks in their own process.
func (b *bench) measureScale(ctx context.Context) error {
	away, home := "100000", "1000000"
	if b.scale.Quick {
		away, home = "10000", "100000"
	}
	node, err := b.benchmarks(ctx, "./node", "^(BenchmarkAway$/^"+away+"|BenchmarkLargeHistory$/^"+home+")$", "1x")
	if err != nil {
		return err
	}
	of := func(name, unit string) []float64 {
		count := away
		if name == "BenchmarkLargeHistory" {
			count = home
		}
		return node[name+"/"+count+" "+unit]
	}
	rate, naive := of("BenchmarkAway", "messages/s"), of("BenchmarkAway", "naive/s")
	b.report.add(figure{ID: "C1", What: "back after " + grouped(away) + " messages by 100 devices, until all are readable and synced", Unit: "messages/s", More: true,
		Of: rate, Limit: naive, LimitIs: "a node that verifies each and gives each a synced transaction", Goal: "about 40 000/s; ≥ 20× (quality.md)",
		Pass: median(rate) >= 40_000 && median(rate) >= 20*median(naive)})
	b.room(figure{ID: "C1 cpu", What: "the same, processor time a message of both nodes, who serves and who comes back", Unit: "µs",
		Of: of("BenchmarkAway", "cpu-µs/message"), Goal: "≤ 45"}, 45)
	b.room(figure{ID: "S1 large", What: "a home with " + grouped(home) + " messages, from Open until its group can be read", Unit: "ms",
		Of: of("BenchmarkLargeHistory", "open-ms"), Goal: "≤ 300"}, 300)
	b.room(figure{ID: "R1 newest", What: "the newest page of 50 of them", Unit: "ms", Of: of("BenchmarkLargeHistory", "newest-ms"), Goal: "≤ 5"}, 5)
	b.room(figure{ID: "R1 jump", What: "a page of 50 around one in the middle of them", Unit: "ms", Of: of("BenchmarkLargeHistory", "around-ms"), Goal: "≤ 10"}, 10)
	b.room(figure{ID: "D1 large", What: "disk a message of 300 bytes, everything included, by 100 devices", Unit: "bytes",
		Of: of("BenchmarkLargeHistory", "disk-bytes/message"), Goal: "≤ 1180"}, 1180)
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
