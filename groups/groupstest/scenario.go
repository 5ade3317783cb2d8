package groupstest

import (
	"fmt"
	"strings"
)

// Step is one line of a scenario: who does what, and whether it must be
// refused.
type Step struct {
	Line    int
	Verb    string
	Args    []string          // names, in order
	Options map[string]string // key=value
	Refused string            // the reason's text; empty: it must succeed
}

// Scenario is a story of one group. The language, a line a step, # begins a
// comment:
//
//	people NAME…                       who there is
//	crowd PREFIX FROM TO               people PREFIX1, PREFIX2, … who keep no log
//	group FOUNDER [cap=N waitlist=N succeed=DAYS direct=NAME history=N|none|all who=owner|admins|members posting=all|admins]
//	invite WHO CODE [uses=N days=N redeem=any|admins|PERSON approval=yes asleep=yes]
//	join NEWCOMER CODE via SPONSOR     the sponsor's answer, then its admit
//	pull WHO NEWCOMER
//	remove WHO TARGET      leave WHO      role WHO TARGET admin|member
//	policy WHO [as group]  revoke WHO CODE      ack WHO      rekey WHO
//	transfer WHO HEIR      succeed WHO HEIR by NAME…
//	device NAME of WHO [root=yes]         one more device, in no group yet
//	add WHO DEVICE         its dev-add, with the device's request if need be
//	unplug WHO DEVICE [root=yes keep=DEVICE]      its dev-revoke
//	harbor WHO NAME [rights=store|both]   NAME is a harbor from then on
//	rights WHO HARBOR none|store|both
//	say WHO TAG            a message
//	fork WHO               two control operations of one seq
//	forksay WHO [to=NAME]  two messages of one seq, WHO1 and WHO2; the second reaches nobody, or NAME
//	accuse WHO TARGET      the fault that proves it
//	again SPONSOR NEWCOMER the same join request, once more
//	steal THIEF NEWCOMER via SPONSOR      its request under the thief's name
//	foreign WHO            an operation signed for another group
//	offline NAME…          online NAME…   they miss, and hear, everything
//	apart NAME…            they hear one another only     together
//	tick 3d|5h|2m          time passes
//	refused REASON: STEP   the step must be refused with that reason
//	expect seated NAME…    in any order     expect order NAME…    in seat order
//	expect waitlist NAME…  in order         expect gone NAME…
//	expect role NAME owner|admin|member
//	expect rekey yes|no    whether a rekey is needed
//	expect stale yes|no    whether the best epoch is to be replaced before the next message
//	expect used CODE N
//	expect reader NAME yes|no   is NAME's device a recipient of the best epoch
//	expect keys NAME from NAME N   of how many epochs the second may give the first the secret
//	expect devices NAME N       devices of NAME with a seat
//	expect harbor NAME yes|no   in office
//	expect shown TAG…           expect folded TAG…      by their standing
//	expect provisional NAME yes|no
//	expect settled yes|no       the last ownership
//	expect forks N              contradictions nobody proved yet
//	expect cap N
//
//	pure: REASON                why whole nodes cannot play this story (node/nodetest)
//
// Any step that writes may say back=2h: its author's clock is behind by that,
// as far as what it builds on allows.
//
// Expectations are about what everybody who is online knows; at the end all
// come online, and every order of delivery must give the same.
type Scenario struct {
	Name  string
	Pure  string // why whole nodes cannot play it; empty: they can
	Steps []Step
}

// Parse reads a scenario; the error names the line.
func Parse(name, text string) (Scenario, error) {
	sc := Scenario{Name: name}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if why, ok := strings.CutPrefix(line, "pure: "); ok {
			sc.Pure = why
			continue
		}
		st := Step{Line: i + 1, Options: map[string]string{}}
		if rest, ok := strings.CutPrefix(line, "refused "); ok {
			reason, step, ok := strings.Cut(rest, ":")
			if !ok {
				return sc, fmt.Errorf("%s:%d: refused REASON: STEP", name, i+1)
			}
			st.Refused, line = reason, strings.TrimSpace(step)
		}
		words := strings.Fields(line)
		st.Verb = words[0]
		for _, word := range words[1:] {
			if k, v, ok := strings.Cut(word, "="); ok {
				st.Options[k] = v
			} else {
				st.Args = append(st.Args, word)
			}
		}
		sc.Steps = append(sc.Steps, st)
	}
	return sc, nil
}
