package groups_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/groupstest/model"
	"mutuals/identity/wire"
)

var modelled = flag.Uint64("modelled", 300, "how many random histories to compare with the model")

// becauseOf strips why an operation is void: cause.go and R67 tell that to
// people, and no rule reads it.
var becauseOf = regexp.MustCompile(` void .*`)

// both is the implementation and the model, given the same.
type both struct {
	t   *testing.T
	log *groups.Log
	mod *model.Group
	now uint64
}

func newBoth(t *testing.T, genesis *groups.Op, now uint64) *both {
	l, r := groups.Found(genesis)
	if r != nil {
		t.Fatal(r)
	}
	return &both{t: t, log: l, mod: model.New(genesis), now: now}
}

// verdict is the implementation's, in the model's words.
func verdict(j groups.Judgement) model.Verdict {
	return map[groups.Verdict]model.Verdict{groups.Accept: model.Taken, groups.Void: model.Taken, groups.Park: model.Parked,
		groups.Hold: model.Held, groups.Ignore: model.Ignored, groups.Reject: model.Refused}[j.Verdict]
}

// judge has both judge an operation, take it if they accept it, and returns
// what they say.
func (b *both) judge(o *groups.Op) model.Verdict {
	b.t.Helper()
	j := b.log.Judge(o, b.now)
	want, why := b.mod.Judge(o, b.now)
	got := verdict(j)
	if got == model.Refused && want == model.Parked {
		return want // wrong whatever is missing (R4): it must stay so when that is there
	}
	if got != want {
		b.t.Fatalf("%v: %v (%v: %s), the model says %s (%s)", o, got, j.Reason, j.Detail, want, why)
	}
	if want == model.Taken {
		b.log.Apply(o)
		b.mod.Take(o)
		if o.Chain == groups.Control && b.mod.Resolve().Valid(o.ID) != (j.Verdict == groups.Accept) {
			b.t.Errorf("%v: %v when it comes, the model says otherwise", o, j.Verdict)
		}
	}
	return want
}

// feed gives both operations in an order, parking as a device would.
func (b *both) feed(ops []*groups.Op) {
	b.t.Helper()
	for progress := true; progress && !b.t.Failed(); {
		progress = false
		var left []*groups.Op
		for _, o := range ops {
			switch b.judge(o) {
			case model.Taken:
				progress = true
			case model.Parked, model.Held:
				left = append(left, o)
			}
		}
		ops = left
	}
}

// agree compares all that is said of the whole.
func (b *both) agree(said []*groups.Op) {
	b.t.Helper()
	s, v := b.log.State(), b.mod.Resolve()
	got := resolved(b.log, s)
	for i := range got {
		got[i] = becauseOf.ReplaceAllString(got[i], " void")
	}
	if want := v.Lines(); !slices.Equal(got, want) {
		b.t.Errorf("the model says otherwise:\n%s", differ(got, want))
	}
	for _, o := range said {
		if !s.Accepted(o.IncID()) {
			continue
		}
		if seq, _, ok := b.log.ChainHead(o.IncID(), groups.Content); ok && seq >= o.Seq {
			if got, want := b.log.Standing(o) == groups.Counts, v.Counts(o); got != want {
				b.t.Errorf("%v counts: %v, the model says %v", o, got, want)
			}
		}
	}
	for _, e := range b.log.Epochs() {
		to := b.mod.At(b.log.Op(e.Rekey).Heads).Recipients(b.log.Op(e.Rekey).HLC)
		if got, want := fmt.Sprint(recipientsOf(b.log.Recipients(e.Rekey))), fmt.Sprint(to); got != want {
			b.t.Errorf("recipients of %s:\n%s\nthe model says\n%s", e.Rekey.Short(), got, want)
		}
		for _, o := range b.log.Ops() {
			if got, want := b.log.EligibleAt([]wire.OpID{o.ID}, e.EID), b.mod.Reads([]wire.OpID{o.ID}, e.EID); got != want {
				b.t.Errorf("%s may be read at %v: %v, the model says %v", e.Rekey.Short(), o, got, want)
			}
			if _, ok := s.Inc(o.ID); !ok {
				continue
			}
			for _, by := range b.log.Ops() {
				if _, ok := s.Inc(by.ID); !ok {
					continue
				}
				if got, want := b.log.MayHaveKey(o.ID, by.ID, e.EID, by.HLC), v.MayHaveKey(o.ID, by.ID, e.EID, by.HLC); got != want {
					b.t.Errorf("%v may have the key of %s from %v: %v, the model says %v", o, e.Rekey.Short(), by, got, want)
				}
			}
		}
	}
}

func recipientsOf(list []groups.Recipient) (out []model.Recipient) {
	for _, r := range list {
		out = append(out, model.Recipient{ID: r.Inc, Invite: r.IsInvite})
	}
	return out
}

// compare replays what a world wrote, what was refused there too.
func compare(t *testing.T, w *groupstest.World, seed uint64) {
	t.Helper()
	b := newBoth(t, w.Ops[0], w.NowMs)
	ops := slices.Concat(w.Ops[1:], w.Said)
	b.feed(groupstest.Shuffled(ops, seed))
	if b.t.Failed() {
		return
	}
	for _, o := range w.Tried {
		b.judge(o)
	}
	b.agree(w.Said)
}

// The rules, written twice from one text, say the same of every history.
func TestModelOfHistories(t *testing.T) {
	var next atomic.Uint64
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for !t.Failed() {
				seed := *firstSeed + next.Add(1) - 1
				if seed >= *firstSeed+*modelled {
					return
				}
				compare(t, groupstest.Random(seed, 5+int(seed%3), 40), seed)
				if t.Failed() {
					t.Errorf("again: go test ./groups -run ModelOfHistories -modelled 1 -seed %d", seed)
				}
			}
		})
	}
}

func TestModelOfScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
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
			if len(w.Ops) > maxGraph {
				return // a crowd says no more, and takes the model a minute
			}
			compare(t, w, 1)
		})
	}
}

// TestModelOfGraphs reads the control graphs as TestGraphs does, with the model
// in the place of the implementation.
func TestModelOfGraphs(t *testing.T) {
	files, err := filepath.Glob(graphs + "/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d control graphs, err %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			frames, want := readGraph(t, file)
			var g *model.Group
			for _, frame := range frames {
				o, r := groups.Decode(frame)
				if r != nil {
					t.Fatal(r)
				}
				if g == nil {
					g = model.New(o)
					continue
				}
				if is, why := g.Judge(o, o.HLC); is != model.Taken {
					t.Fatalf("%v: %s (%s)", o, is, why)
				}
				g.Take(o)
			}
			for i := range want {
				want[i] = becauseOf.ReplaceAllString(want[i], " void")
			}
			if got := g.Resolve().Lines(); !slices.Equal(got, want) {
				t.Errorf("the model says otherwise:\n%s", differ(got, want))
			}
		})
	}
}

var programs = flag.Int("programs", 200, "how many random programs to compare with the model")

// readProgram runs a program, then gives what it made to two more in other
// orders: the same is taken in, the same comes out, and the model agrees at
// every step.
func readProgram(t *testing.T, c *cast, code []byte) {
	t.Helper()
	p := c.run(&both{t: t}, code)
	if t.Failed() {
		return
	}
	p.agree(p.said)
	want := resolved(p.log, p.log.State())
	ops := slices.Concat(p.made[1:], p.said)
	for seed := range uint64(2) {
		if t.Failed() {
			return
		}
		again := newBoth(t, p.made[0], programNow)
		again.feed(groupstest.Shuffled(ops, seed))
		if got := resolved(again.log, again.log.State()); !slices.Equal(got, want) {
			t.Errorf("order %d gives otherwise:\n%s", seed, differ(got, want))
		}
		for _, o := range p.said {
			if got, want := again.log.Standing(o), p.log.Standing(o); got != want {
				t.Errorf("order %d: %v %v, want %v", seed, o, got, want)
			}
		}
	}
	taken := p.log.Ops()
	slices.Reverse(taken)
	if got := resolved(p.log, groups.Resolve(taken)); !slices.Equal(got, want) {
		t.Errorf("at once:\n%s", differ(got, want))
	}
}

// TestPrograms reads random bytes as FuzzPrograms does.
func TestPrograms(t *testing.T) {
	c := newCast()
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for !t.Failed() {
				n := next.Add(1) - 1
				if n >= int64(*programs) {
					return
				}
				seed := *firstSeed + uint64(n)
				r := rand.New(rand.NewPCG(seed, 9))
				code := make([]byte, 300+r.IntN(300))
				for i := range code {
					code[i] = byte(r.Uint32())
				}
				readProgram(t, c, code)
				if t.Failed() {
					t.Errorf("again: go test ./groups -run '^TestPrograms$' -programs 1 -seed %d", seed)
				}
			}
		})
	}
}

// FuzzPrograms: well signed operations by several devices, on any past, at any
// hour, with any body: no panic, one accepted set and one state in any order,
// and the model says the same.
func FuzzPrograms(f *testing.F) {
	c := newCast()
	for kind := range byte(8) {
		code := []byte{1, 1, kind, 3, kind}
		for i := range 200 {
			code = append(code, byte(i*int(kind+3)))
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) { readProgram(t, c, code) })
}
