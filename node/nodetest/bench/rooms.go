package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// measureRooms is G1 and K1: what no daemon shows from outside, but what one
// with a large group does all day. The benchmarks of the packages measure it;
// each run of one gives a sample, most of processor time.
func (b *bench) measureRooms(ctx context.Context) error {
	groups, err := b.benchmarks(ctx, "./groups", "^(BenchmarkResolve|BenchmarkApply|BenchmarkLoad)$", "20x")
	if err != nil {
		return err
	}
	b.room(figure{ID: "G1 resolve", What: "Resolve of 2 000 control operations in 8 parallel branches, processor time", Unit: "ms",
		Of: scaled(groups["BenchmarkResolve cpu-µs"], 1e-3), Goal: "≤ 5"}, 5)
	b.room(figure{ID: "G1 apply", What: "one more operation on the heads of 2 000: judged (signatures apart), applied, its state; the mean of all kinds, processor time", Unit: "µs",
		Of: groups["BenchmarkApply cpu-µs"], Goal: "≤ 20"}, 20)
	b.room(figure{ID: "G1 admit", What: "the same, of the kind that takes longest", Unit: "µs", Of: groups["BenchmarkApply admit-µs"], Goal: "≤ 20"}, 20)
	b.room(figure{ID: "G1 memory", What: "a group of 500 with 4 000 control operations in memory, those themselves apart", Unit: "MB",
		Of: groups["BenchmarkLoad state-MB"], Goal: "≤ 5"}, 5)
	node, err := b.benchmarks(ctx, "./node", "^BenchmarkOpenGroup$/^500$", "20x")
	if err != nil {
		return err
	}
	b.room(figure{ID: "G1 open", What: "a group of 500 with 4 000 control operations, from the store until its room answers", Unit: "ms",
		Of: node["BenchmarkOpenGroup/500 ms"], Goal: "≤ 50"}, 50)
	b.room(figure{ID: "G1 open cpu", What: "the same, processor time on all cores", Unit: "ms", Of: node["BenchmarkOpenGroup/500 cpu-ms"]}, 0)
	if err := b.measureScale(ctx); err != nil {
		return err
	}
	seal, err := b.benchmarks(ctx, "./groups/seal", "^Benchmark(Rekey100|RawHPKE100|Unwrap|RawUnwrap)$", "1s")
	if err != nil {
		return err
	}
	for _, f := range []figure{
		{ID: "K1 rekey", What: "an epoch for 100 devices: secret, wraps, their tree", Of: seal["BenchmarkRekey100 ns/op"], Limit: seal["BenchmarkRawHPKE100 ns/op"], LimitIs: "100 HPKE seals alone"},
		{ID: "K1 unwrap", What: "the same, opened by one of them", Of: seal["BenchmarkUnwrap ns/op"], Limit: seal["BenchmarkRawUnwrap ns/op"], LimitIs: "one HPKE open alone"},
	} {
		f.Unit, f.Goal, f.Of, f.Limit = "ms", "≤ 1.3×", scaled(f.Of, 1e-6), scaled(f.Limit, 1e-6)
		f.Pass = ratio(f.Of, f.Limit) <= 1.3
		b.report.add(f)
	}
	return nil
}

// room adds a figure with an absolute goal; 0 is none.
func (b *bench) room(f figure, goal float64) {
	f.Pass = goal == 0 || median(f.Of) <= goal
	b.report.add(f)
}

// benchmarks runs those of a package whose names match, as often as the scale
// says, with more arguments for the test program if need be, and gives the
// samples of each by name and unit.
func (b *bench) benchmarks(ctx context.Context, pkg, names, times string, more ...string) (map[string][]float64, error) {
	args := []string{"test", pkg, "-run", "^$", "-bench", names, "-benchtime", times, "-count", strconv.Itoa(b.scale.Rooms)}
	cmd := exec.CommandContext(ctx, "go", append(args, more...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running the benchmarks of %s: %w", pkg, err)
	}
	found := map[string][]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := words[0]
		if at := strings.LastIndexByte(name, '-'); at > 0 { // the number of cores
			name = name[:at]
		}
		for i := 2; i+1 < len(words); i += 2 {
			v, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("reading the benchmarks of %s: %q: %w", pkg, words[i], err)
			}
			found[name+" "+words[i+1]] = append(found[name+" "+words[i+1]], v)
		}
	}
	return found, nil
}

func scaled(of []float64, by float64) []float64 {
	out := make([]float64, len(of))
	for i, v := range of {
		out[i] = v * by
	}
	return out
}
