package groups

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mutuals/identity/wire"
)

// ResolveAgain resolves a log's operations without what it remembers.
func ResolveAgain(l *Log) *State { return l.resolve(l.g.nodes, l.all) }

// PastAgain resolves an operation and its past without what the log remembers.
func PastAgain(l *Log, id wire.OpID) *State {
	set, _ := l.g.pastOf([]wire.OpID{id})
	return l.resolve(l.g.nodes, set)
}

// Within writes down all that a state is computed to, for comparing: two of
// one set of one log are to be the same to the last bit.
func Within(s *State) string {
	r, b := s.r, &strings.Builder{}
	for _, set := range []indexes{r.set, r.exits, r.acks, r.unseen, r.valid, r.incValid, r.live} {
		fmt.Fprintln(b, slices.Collect(set.all()))
	}
	for i := range r.set.minus(r.unseen).all() {
		fmt.Fprint(b, i, ":", r.seen[i], " ")
	}
	fmt.Fprintln(b, r.owners, r.cap, r.policy, r.quiets, r.rekeys, r.sleepProof)
	for _, m := range []map[int][]int{r.cuts, r.acts} {
		for _, i := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintln(b, i, m[i])
		}
	}
	var lines []string
	for a, p := range r.people.all() {
		was := *p
		if !p.here {
			was.first, was.rank = 0, 0
		}
		lines = append(lines, fmt.Sprintln(a.Short(), was))
	}
	for i, v := range r.issued.all() {
		lines = append(lines, fmt.Sprintln(i, *v))
	}
	slices.Sort(lines)
	for _, a := range r.seats {
		lines = append(lines, a.Short())
	}
	return b.String() + strings.Join(lines, "")
}

// OwnersAgain tells whether what each operation took to be in force is what its
// past resolves to.
func OwnersAgain(l *Log) bool {
	for _, n := range l.g.nodes[1:] {
		if !slices.Equal(n.owned, l.g.resolveOwners(n.past)) {
			return false
		}
	}
	return true
}

// Extended tells whether a log's state goes on from the one before.
func Extended(l *Log) bool { return l.State().r.grown }
