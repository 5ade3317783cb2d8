package groups_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
)

var everyOrder = flag.Int("everyorder", 6, "deliver scenarios of at most this many operations in every order")

// Every order of delivery of a short scenario, not only those in which what is
// built upon comes first, gives one result; so does what a node does at its
// start, which applies frames from disk in the order they were accepted.
func TestEveryOrder(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	played, orders := 0, 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := groupstest.Parse(filepath.Base(f), string(text))
		if err != nil {
			t.Fatal(err)
		}
		w, err := sc.Play()
		if err != nil {
			t.Fatal(err)
		}
		log := w.People[0].Log
		want := groupstest.SummaryOf(log)
		if got := groupstest.SummaryOf(fromDisk(t, log)); got != want {
			t.Errorf("%s from disk gives\n%s\nwant\n%s", sc.Name, got, want)
		}
		if len(w.Ops) > *everyOrder {
			continue
		}
		played++
		permute(slices.Clone(w.Ops), 0, func(ops []*groups.Op) bool {
			orders++
			got := groupstest.SummaryOf(groupstest.Deliver(ops, w.NowMs))
			if got != want {
				t.Errorf("%s in the order %v gives\n%s\nwant\n%s", sc.Name, ops, got, want)
			}
			return got == want
		})
	}
	if played == 0 {
		t.Error("no scenario is short enough")
	}
	t.Logf("%d scenarios in %d orders", played, orders)
}

// permute calls do with every order of what comes from at on, until it says
// no.
func permute(ops []*groups.Op, at int, do func([]*groups.Op) bool) bool {
	if at == len(ops) {
		return do(ops)
	}
	for i := at; i < len(ops); i++ {
		ops[at], ops[i] = ops[i], ops[at]
		ok := permute(ops, at+1, do)
		ops[at], ops[i] = ops[i], ops[at]
		if !ok {
			return false
		}
	}
	return true
}

// fromDisk reads what a log accepted from its frames.
func fromDisk(t *testing.T, l *groups.Log) *groups.Log {
	t.Helper()
	var out *groups.Log
	for _, o := range l.Ops() {
		back, r := groups.Decode(o.Frame())
		if r != nil {
			t.Fatal(r)
		}
		if out != nil {
			out.Apply(back)
			continue
		}
		if out, r = groups.Found(back); r != nil {
			t.Fatal(r)
		}
	}
	return out
}
