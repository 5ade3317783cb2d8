package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// What the tests of package nodetest print of the traffic they count.
var (
	wireLine = regexp.MustCompile(`members: (\d+) bytes a delivered message, (\d+) of raw gossip`)
	idleLine = regexp.MustCompile(`1h0m0s: ([0-9.]+) bytes a second`)
)

// measureWire is W1 and W2. Bytes are counted where every packet can be: between
// nodes of one process, in virtual time, by tests of package nodetest.
func (b *bench) measureWire(ctx context.Context) error {
	members := "50"
	if b.scale.Quick {
		members = "12"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "./node/nodetest", "-run", "^(TestWireBytes|TestIdleTraffic)$",
		"-v", "-count", "1", "-timeout", "1h", "-crowd", members)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("counting bytes: %w: %s", err, out)
	}
	numbers := func(line *regexp.Regexp) ([][]float64, error) {
		var found [][]float64
		for _, m := range line.FindAllSubmatch(out, -1) {
			var row []float64
			for _, word := range m[1:] {
				v, err := strconv.ParseFloat(string(word), 64)
				if err != nil {
					return nil, fmt.Errorf("reading %q: %w", m[0], err)
				}
				row = append(row, v)
			}
			found = append(found, row)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("the tests printed no line like %v", line)
		}
		return found, nil
	}
	wire, err := numbers(wireLine)
	if err != nil {
		return err
	}
	idle, err := numbers(idleLine)
	if err != nil {
		return err
	}
	ours, raw := []float64{wire[0][0]}, []float64{wire[0][1]}
	b.report.add(figure{ID: "W1", What: "bytes on all lines a delivered message, packet headers included, group of " + members, Unit: "bytes",
		Of: ours, Limit: raw, LimitIs: "the same frames on bare meshes of the same links", Goal: "≤ 1.15×", Pass: ratio(ours, raw) <= 1.15})
	// The first hour is still one of settling.
	b.room(figure{ID: "W2", What: "bytes a second between two idle members with ten groups", Unit: "bytes/s",
		Of: idle[len(idle)-1], Goal: "≤ 50"}, 50)
	return nil
}
