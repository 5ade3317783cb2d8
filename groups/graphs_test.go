package groups_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

const graphs = "testdata/vectors/graphs"

// maxGraph keeps the stories with a crowd out of the vectors: they would say
// the same with a hundred kilobytes more.
const maxGraph = 24

// TestGraphs reads control graphs as a second implementation would: nothing but
// the text of a file, whose frames must be accepted and resolve to its lines.
func TestGraphs(t *testing.T) {
	if *update {
		writeGraphs(t)
	}
	files, err := filepath.Glob(graphs + "/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d control graphs, err %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			frames, want := readGraph(t, file)
			l, ops := climbAll(t, frames)
			if got := resolved(l, l.State()); !slices.Equal(got, want) {
				t.Errorf("taken in one by one:\n%s", differ(got, want))
			}
			slices.Reverse(ops)
			s := groups.Resolve(ops)
			if got := resolved(l, s); !slices.Equal(got, want) {
				t.Errorf("resolved at once:\n%s", differ(got, want))
			}
		})
	}
}

// readGraph reads a file: frames, and the lines of the state.
func readGraph(t *testing.T, file string) (frames [][]byte, state []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		text, ok := strings.CutPrefix(line, "frame ")
		if !ok {
			state = append(state, line)
			continue
		}
		frame, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	return frames, state
}

// climbAll takes frames up the ladder, each of which must be accepted.
func climbAll(t *testing.T, frames [][]byte) (l *groups.Log, ops []*groups.Op) {
	t.Helper()
	for i, frame := range frames {
		o, r := groups.Decode(frame)
		if r != nil {
			t.Fatalf("frame %d: %v", i, r)
		}
		if i == 0 {
			if l, r = groups.Found(o); r != nil {
				t.Fatal(r)
			}
		} else {
			if j := l.Judge(o, o.HLC); j.Verdict != groups.Accept && j.Verdict != groups.Void {
				t.Fatalf("frame %d: %v: %v %v", i, o, j.Verdict, j.Reason)
			}
			l.Apply(o)
		}
		ops = append(ops, o)
	}
	return l, ops
}

func differ(got, want []string) string {
	var b strings.Builder
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			fmt.Fprintf(&b, " got %s\nwant %s\n", g, w)
		}
	}
	return b.String()
}

// resolved writes a state down in the words of the README there. What only a
// Log knows, epochs and contradictions, is taken from l.
func resolved(l *groups.Log, s *groups.State) []string {
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	ops := l.Ops()
	var at uint64
	for _, o := range ops {
		at = max(at, o.HLC)
	}
	say("at %d", at)
	g := s.Group()
	say("group %x", g[:])
	var heads []string
	for _, h := range s.Heads() {
		heads = append(heads, hex.EncodeToString(h[:]))
	}
	say("heads %s", strings.Join(heads, " "))
	for _, o := range s.Ownership() {
		say("owner %x by %x settled %s", o.Owner[:], o.Op[:], yes(o.Settled))
	}
	for _, f := range s.Forks() {
		say("contradiction %x %d %x %x", f.Inc[:], f.Seq, f.A[:], f.B[:])
	}
	p := s.Policy()
	say("cap %d", s.Cap())
	say("policy history=%d who=%d posting=%d succeed=%d waitlist=%d direct=%s", p.HistoryDays, p.WhoInvites, p.Posting, p.SucceedDays, p.Waitlist, orNone(p.Direct))
	incs := map[wire.OpID]groups.IncInfo{}
	for _, m := range s.Members() {
		say("member %x %v %v wait=%d via=%x inviter=%s provisional=%s", m.Account[:], m.Status, m.Role, m.WaitPos, m.Via[:], orNone(m.Inviter[:]), yes(m.Provisional))
	}
	for _, o := range ops {
		if i, ok := s.Inc(o.ID); ok {
			incs[o.ID] = i
		}
	}
	for _, id := range ids(incs) {
		i := incs[id]
		say("inc %x account=%x key=%x base=%x live=%s valid=%s cut=%s seated=%s shown=%s", id[:], i.Account[:], i.Device[:], i.BaseID[:],
			yes(i.Live), yes(i.Valid), yes(i.Cut), yes(i.Seated), shown(s, id))
	}
	for _, h := range s.Harbors() {
		say("harbor %x key=%x rights=%d quota=%d appointed=%s", h.ID[:], h.Device[:], h.Rights, h.Quota, yes(h.Appointed))
	}
	for _, v := range s.Invites() {
		say("invite %x inviter=%x used=%d of=%d until=%d valid=%s revoked=%s gone=%s", v.ID[:], v.Inviter[:], v.Used, v.Max, v.NotAfterMs,
			yes(v.Valid), yes(v.Revoked), yes(v.InviterGone))
	}
	for _, o := range ops {
		if s.Valid(o.ID) {
			say("op %x %v in-force", o.ID[:], o.Kind)
			continue
		}
		a := s.ActsOf([]wire.OpID{o.ID}, 1)[0]
		say("op %x %v void %v by=%s", o.ID[:], o.Kind, a.Why, orNone(a.VoidBy[:]))
	}
	for _, r := range s.Recipients(at) {
		say("recipient %x %s", r.Inc[:], map[bool]string{true: "invite", false: "device"}[r.IsInvite])
	}
	for _, e := range l.Eligible() {
		say("eligible %x gen=%d", e.Rekey[:], e.Gen)
	}
	say("rekey needed %s", yes(l.NeedRekey()))
	return out
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orNone(b []byte) string {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}

func ids[T any](m map[wire.OpID]T) []wire.OpID {
	var out []wire.OpID
	for id := range m {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b wire.OpID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// shown is the highest content seq of an inc that counts.
func shown(s *groups.State, inc wire.OpID) string {
	switch b := s.ContentBounds(inc); {
	case !b.Valid:
		return "0"
	case b.Limit == math.MaxUint64:
		return "all"
	default:
		return fmt.Sprint(b.Limit)
	}
}

// writeGraphs makes a file of each scenario that has none yet.
func writeGraphs(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if _, err := os.Stat(filepath.Join(graphs, name)); err == nil {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := groupstest.Parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		w, err := sc.Play()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l := w.People[0].Log
		if l == nil || len(l.Ops()) > maxGraph {
			continue
		}
		if err := os.WriteFile(filepath.Join(graphs, name), graphText(w, l, string(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// graphText writes one file: the scenario and the people as comments, the
// frames each with what it is, and the state.
func graphText(w *groupstest.World, l *groups.Log, story string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The format is told in README.md. Made from the scenario:\n#\n")
	for _, line := range strings.Split(strings.TrimSpace(story), "\n") {
		fmt.Fprintf(&b, "#   %s\n", line)
	}
	fmt.Fprintf(&b, "#\n# Accounts and keys of devices:\n#\n")
	for _, p := range w.People {
		id := p.Keys.ID()
		fmt.Fprintf(&b, "#   %-8s account %x key %x\n", p.Name, p.Account[:], id[:])
	}
	acts := map[wire.OpID]groups.Act{}
	for _, a := range l.State().Acts() {
		acts[a.ID] = a
	}
	name := func(a wire.AccountID) string {
		for _, p := range w.People {
			if p.Account == a {
				return p.Name
			}
		}
		return "a harbor"
	}
	fmt.Fprintln(&b)
	for _, o := range l.Ops() {
		a, isAct := acts[o.ID]
		who := ""
		if !isAct {
			if i, ok := l.State().Inc(o.IncID()); ok {
				who = " by " + name(i.Account)
			}
		} else {
			who = " by " + name(a.Actor)
			if !a.Target.IsZero() && a.Target != a.Actor {
				who += ", of " + name(a.Target)
			}
		}
		fmt.Fprintf(&b, "# %v%s: %x\nframe %x\n", o.Kind, who, o.ID[:], o.Frame())
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(resolved(l, l.State()), "\n"))
	return b.Bytes()
}
