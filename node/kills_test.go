package node

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

var (
	kills    = flag.Int("kills", 6, "how often a speaker is killed at a random moment")
	killSeed = flag.Uint64("killseed", 1, "of those moments; what a process does in them is drawn anew")
)

// longestLife is how long a speaker may live before it is killed: long enough
// for some hundred words. Most live much shorter: it takes a tenth of that until
// there is a store, and a first word.
const longestLife = 600 * time.Millisecond

// A process that speaks is killed at random moments, again and again: while it
// starts, connects, writes, or answers. Each time it starts by itself; whatever
// it had acknowledged is there, nothing twice or out of turn, the store is whole,
// and in the end the other member has the same.
func TestKilledAtRandom(t *testing.T) {
	t.Logf("seed %d", *killSeed)
	draw := rand.New(rand.NewPCG(*killSeed, 3))
	a, home := testNode(t, "Ann"), t.TempDir()
	g := newGroup(t, a, api.GroupCreate{})
	s := startChild(t, home)
	s.do(t, "join "+invite(t, a, g, 1, "").Passcode)
	s.reads(t, "joined")
	s.kill()

	acked := map[string]int{} // of each round's prefix, what Send returned for
	early := 0                // killed before a word was acknowledged
	for round := range *kills {
		prefix := fmt.Sprintf("k%d-", round)
		s := startChild(t, home)
		s.do(t, fmt.Sprintf("say %s %s", g, prefix))
		x := draw.Float64()
		span := time.Duration(x * x * float64(longestLife))
		die := func() { s.cmd.Process.Kill() }
		if round == *kills-1 {
			// On a busy machine all others may have died before their first word.
			acked[prefix] = s.lastAck(t, func() { time.AfterFunc(span, die) })
		} else {
			life := time.AfterFunc(span, die)
			acked[prefix] = s.lastAck(t, nil)
			life.Stop()
		}
		s.kill()
		if acked[prefix] == 0 {
			early++
		}
		// Sometimes it is the next process that finds what the kill left.
		if draw.IntN(4) > 0 || round == *kills-1 {
			wholeAfterKills(t, home, g, acked)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	back := startNode(t, home, "Sam", nil)
	same(t, g, back, a)
	total := 0
	for prefix, n := range acked {
		total += n
		if mine, theirs := withPrefix(t, back, g, prefix), withPrefix(t, a, g, prefix); !slices.Equal(mine, theirs) {
			t.Errorf("%s: the speaker has %d, the other member %d", prefix, len(mine), len(theirs))
		}
	}
	if total == 0 {
		t.Error("no word was ever acknowledged: the test tests nothing")
	}
	t.Logf("%d kills, %d of them before a word was acknowledged; messages acknowledged %d, lost 0, duplicated 0", *kills, early, total)
}

// lastAck reads what a child acknowledges until it ends, and returns the last;
// it calls first, if there is one, at the first.
func (p *process) lastAck(t *testing.T, first func()) (last int) {
	t.Helper()
	for p.out.Scan() {
		if first != nil {
			first()
			first = nil
		}
		if strings.HasPrefix(p.out.Text(), "error") {
			t.Errorf("the child says %q", p.out.Text())
		}
		if _, err := fmt.Sscanf(p.out.Text(), "ack %d", &last); err != nil {
			t.Errorf("the child says %q", p.out.Text())
		}
	}
	return last
}

// wholeAfterKills reads a home on which nothing runs: all that was acknowledged
// is there in turn, and the store agrees with itself.
func wholeAfterKills(t *testing.T, home string, g wire.GroupID, acked map[string]int) {
	t.Helper()
	n := startNode(t, home, "Sam", nil)
	got := map[string][]string{}
	for _, m := range timelineOf(t, n, g) {
		if prefix, _, ok := strings.Cut(m.Text, "-"); ok {
			got[prefix+"-"] = append(got[prefix+"-"], m.Text)
		}
	}
	if err := n.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	for prefix, count := range acked {
		if have := got[prefix]; len(have) < count || !slices.Equal(have, numbered(prefix, len(have))) {
			t.Errorf("%s: %d were acknowledged, there are %.300q", prefix, count, have)
		}
	}
	findings, err := CheckStore(t.Context(), home, true)
	if err != nil {
		t.Errorf("looking at the store: %v", err)
	}
	for _, f := range findings {
		if f.Level == "error" {
			t.Errorf("the store: %s %s", f.Title, f.Detail)
		}
	}
}
