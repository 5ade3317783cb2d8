package groups

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

func entry(inc byte, chain, seq uint64, head byte) VectorEntry {
	return VectorEntry{Inc: wire.OpID{inc}, Chain: chain, Seq: seq, Head: [16]byte{head}, Floor: min(seq, 1)}
}

func TestMissing(t *testing.T) {
	want := func(inc byte, chain, from, to uint64) Want {
		return Want{Inc: wire.OpID{inc}, Chain: chain, From: from, To: to}
	}
	for name, c := range map[string]struct {
		mine, theirs Vector
		want         []Want
	}{
		"equal":           {Vector{entry(1, 0, 5, 1)}, Vector{entry(1, 0, 5, 1)}, nil},
		"behind":          {Vector{entry(1, 1, 5, 1)}, Vector{entry(1, 1, 9, 2)}, []Want{want(1, 1, 6, 9)}},
		"ahead":           {Vector{entry(1, 1, 9, 2)}, Vector{entry(1, 1, 5, 1)}, nil},
		"new chain":       {nil, Vector{entry(1, 1, 9, 2)}, []Want{want(1, 1, 1, 9)}},
		"genesis chain":   {nil, Vector{{Inc: wire.OpID{1}, Seq: 4, Floor: 0}}, []Want{want(1, 0, 0, 4)}},
		"pruned":          {nil, Vector{{Inc: wire.OpID{1}, Chain: 1, Seq: 40, Floor: 30}}, []Want{want(1, 1, 30, 40)}},
		"pruned between":  {Vector{entry(1, 1, 5, 1)}, Vector{{Inc: wire.OpID{1}, Chain: 1, Seq: 40, Floor: 30}}, []Want{want(1, 1, 30, 40)}},
		"they lack all":   {Vector{entry(1, 1, 5, 1)}, nil, nil},
		"fork at one seq": {Vector{entry(1, 1, 5, 1)}, Vector{entry(1, 1, 5, 2)}, []Want{want(1, 1, 5, 5)}},
		"fork they know": {Vector{entry(1, 1, 9, 1)}, Vector{entry(1, 1, 5, 2), entry(1, 1, 9, 1)},
			[]Want{want(1, 1, 5, 5)}},
		"fork we know":          {Vector{entry(1, 1, 5, 2), entry(1, 1, 9, 1)}, Vector{entry(1, 1, 9, 1)}, nil},
		"fork, both know":       {Vector{entry(1, 1, 5, 2), entry(1, 1, 9, 1)}, Vector{entry(1, 1, 5, 2), entry(1, 1, 9, 1)}, nil},
		"fork, one goes on":     {Vector{entry(1, 1, 5, 2), entry(1, 1, 9, 1)}, Vector{entry(1, 1, 5, 2), entry(1, 1, 12, 3)}, []Want{want(1, 1, 10, 12)}},
		"fork, lower goes on":   {Vector{entry(1, 1, 5, 2), entry(1, 1, 9, 1)}, Vector{entry(1, 1, 7, 4), entry(1, 1, 9, 1)}, []Want{want(1, 1, 6, 7)}},
		"control, KEM, content": {nil, Vector{entry(1, 1, 1, 1), entry(1, 2, 1, 1), entry(2, 0, 1, 1)}, []Want{want(2, 0, 1, 1), want(1, 2, 1, 1), want(1, 1, 1, 1)}},
		"chains interleaved": {Vector{entry(1, 0, 3, 1), entry(3, 0, 3, 1)}, Vector{entry(1, 0, 4, 2), entry(2, 0, 2, 1), entry(3, 0, 3, 1), entry(4, 0, 1, 1)},
			[]Want{want(1, 0, 4, 4), want(2, 0, 1, 2), want(4, 0, 1, 1)}},
	} {
		if got := Missing(c.mine, c.theirs); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// replica holds operations of one chain as a tree: each names its prev.
type treeOp struct {
	id, prev byte // 0: none
	seq      uint64
}

type replica map[byte]treeOp

func (r replica) heads(inc wire.OpID) Vector {
	prevs := map[byte]bool{}
	for _, o := range r {
		prevs[o.prev] = true
	}
	var v Vector
	for _, o := range r {
		if !prevs[o.id] {
			v = append(v, VectorEntry{Inc: inc, Chain: 1, Seq: o.seq, Head: [16]byte{o.id}, Floor: 1})
		}
	}
	return v.Sort()
}

// pull is the asker's side of sync: what is missing, widened downward while
// something got builds on nothing known.
func (r replica) pull(o replica, inc wire.OpID) (asked int) {
	for _, w := range Missing(r.heads(inc), o.heads(inc)) {
		got := map[byte]treeOp{}
		for ok := true; ok; {
			asked++
			for id, op := range o {
				if op.seq >= w.From && op.seq <= w.To {
					got[id] = op
				}
			}
			ok = false
			for _, op := range got {
				_, here := got[op.prev]
				_, held := r[op.prev]
				if op.prev != 0 && !here && !held {
					ok = true
				}
			}
			if ok {
				w, ok = w.Widen(1)
			}
		}
		for id, op := range got {
			r[id] = op
		}
	}
	return asked
}

func TestForkedChainsConverge(t *testing.T) {
	inc := wire.OpID{1}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		all := []treeOp{}
		for i := range n {
			op := treeOp{id: byte(i + 1), seq: 1}
			// Mostly the last operation is continued; sometimes an older one,
			// which forks, or none.
			if i > 0 {
				back := 0
				if rapid.IntRange(0, 3).Draw(t, "fork") == 0 {
					back = rapid.IntRange(0, i).Draw(t, "back")
				}
				if back < i {
					p := all[i-1-back]
					op.prev, op.seq = p.id, p.seq+1
				}
			}
			all = append(all, op)
		}
		a, b := replica{}, replica{}
		for _, r := range []replica{a, b} {
			for _, op := range all { // closed under prev
				_, ok := r[op.prev]
				if (ok || op.prev == 0) && rapid.IntRange(0, 4).Draw(t, "has") > 0 {
					r[op.id] = op
				}
			}
		}
		union := map[byte]bool{}
		for id := range a {
			union[id] = true
		}
		for id := range b {
			union[id] = true
		}
		for round := 0; ; round++ {
			if round > 2*n+2 {
				t.Fatalf("no end: %v and %v", a.heads(inc), b.heads(inc))
			}
			if a.pull(b, inc)+b.pull(a, inc) == 0 {
				break
			}
			if Digest(a.heads(inc)) == Digest(b.heads(inc)) {
				break
			}
		}
		if len(a) != len(union) || len(b) != len(union) {
			t.Fatalf("%d and %d of %d operations; heads %v and %v", len(a), len(b), len(union), a.heads(inc), b.heads(inc))
		}
	})
}

func TestVectorCheck(t *testing.T) {
	good := Vector{entry(1, 0, 1, 1), entry(1, 0, 1, 2), entry(1, 1, 1, 1), entry(2, 0, 1, 1)}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]Vector{
		"order": {good[1], good[0]}, "twice": {good[0], good[0]}, "chain": {entry(1, 3, 1, 1)},
		"floor": {{Seq: 1, Floor: 2}}, "seq": {{Seq: maxSeq}}, "length": make(Vector, MaxVector+1),
	} {
		if err := v.Check(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mixed := Vector{good[3], good[0], good[3], good[2], good[1]}
	if got := mixed.Sort(); !slices.Equal(got, good) {
		t.Errorf("sorted: %v", got)
	}
	if got := good.Control(); len(got) != 3 || len(good) != 4 {
		t.Errorf("control: %v", got)
	}
}

func TestDigestForgetsFloorsOnly(t *testing.T) {
	v := Vector{entry(1, 0, 5, 1)}
	for name, c := range map[string]struct {
		o    Vector
		same bool
	}{
		"floor": {Vector{{Inc: v[0].Inc, Seq: 5, Head: v[0].Head, Floor: 4}}, true},
		"inc":   {Vector{entry(2, 0, 5, 1)}, false}, "chain": {Vector{entry(1, 1, 5, 1)}, false},
		"seq": {Vector{entry(1, 0, 6, 1)}, false}, "head": {Vector{entry(1, 0, 5, 2)}, false},
		"none": {nil, false}, "more": {Vector{entry(1, 0, 5, 1), entry(2, 0, 5, 1)}, false},
	} {
		if (Digest(v) == Digest(c.o)) != c.same {
			t.Errorf("%s: same digest is %v", name, !c.same)
		}
	}
}

func TestOlderAndCovers(t *testing.T) {
	mine := Vector{{Inc: wire.OpID{1}, Chain: 1, Seq: 50, Head: [16]byte{1}, Floor: 40}}
	theirs := Vector{{Inc: wire.OpID{1}, Chain: 1, Seq: 50, Head: [16]byte{1}, Floor: 10}, entry(2, 1, 1, 1)}
	if got := Older(mine, theirs); !slices.Equal(got, []Want{{Inc: wire.OpID{1}, Chain: 1, From: 10, To: 39}}) {
		t.Errorf("older: %v", got)
	}
	for _, c := range []struct {
		seq  uint64
		id   wire.OpID
		want bool
	}{{50, wire.OpID{1}, true}, {50, wire.OpID{2}, false}, {49, wire.OpID{7}, true}, {39, wire.OpID{7}, false}, {51, wire.OpID{7}, false}} {
		if got := mine.Covers(wire.OpID{1}, 1, c.seq, c.id); got != c.want {
			t.Errorf("covers %d: %v", c.seq, got)
		}
	}
	if mine.Covers(wire.OpID{1}, 0, 50, wire.OpID{1}) {
		t.Error("covers another chain")
	}
	forked := Vector{entry(1, 1, 5, 1), entry(1, 1, 9, 2)}
	if forked.Covers(wire.OpID{1}, 1, 4, wire.OpID{7}) || !forked.Covers(wire.OpID{1}, 1, 5, wire.OpID{1}) {
		t.Error("a forked chain covers what it may not hold, or not its head")
	}
}

func BenchmarkMissing3000(b *testing.B) {
	var mine, theirs Vector
	for i := range 3000 {
		e := VectorEntry{Inc: wire.OpID{byte(i >> 8), byte(i)}, Seq: 9, Floor: 1}
		mine = append(mine, e)
		if i%100 == 0 {
			e.Seq = 12
		}
		theirs = append(theirs, e)
	}
	for b.Loop() {
		if len(Missing(mine, theirs)) != 30 {
			b.Fatal("wrong")
		}
	}
}
