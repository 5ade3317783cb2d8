package node

import (
	"testing"
	"testing/synctest"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// The median of three accounts decides, whatever one of them says; it is told
// for two hours, and not across a step of this clock.
func TestClocksCompare(t *testing.T) {
	const now = uint64(1_800_000_000_000)
	minute := uint64(60_000)
	for _, c := range []struct {
		name   string
		theirs []uint64 // of accounts 1, 2, …
		state  string
		ahead  time.Duration
	}{
		{"nobody", nil, api.ClockUnknown, 0},
		{"two that agree", []uint64{now, now}, api.ClockUnknown, 0},
		{"two far ahead", []uint64{now + 9*minute, now + 9*minute}, api.ClockDoubtful, -9 * time.Minute},
		{"two that contradict each other", []uint64{now, now + 9*minute}, api.ClockUnknown, 0},
		{"three that agree", []uint64{now, now + minute, now - minute}, api.ClockRight, 0},
		{"one liar of three", []uint64{now, now, now + 1000*minute}, api.ClockRight, 0},
		{"one liar with the largest number", []uint64{now, now, wire.MaxMs}, api.ClockRight, 0},
		{"three behind", []uint64{now - 3*minute, now - 5*minute, now - 4*minute}, api.ClockIsWrong, 4 * time.Minute},
		{"three ahead", []uint64{now + 3*minute, now + 3*minute, 1}, api.ClockIsWrong, -3 * time.Minute},
		{"just within", []uint64{now + 2*minute, now + 2*minute, now + 2*minute}, api.ClockRight, -2 * time.Minute},
		{"one that tells nothing", []uint64{0, now - 9*minute, now - 9*minute}, api.ClockDoubtful, 9 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var k clocks
			for i, theirs := range c.theirs {
				k.hear(wire.AccountID{byte(i + 1)}, theirs, now, time.Now(), time.Now())
			}
			got := k.compare(now)
			if got.State != c.state || got.AheadMs != c.ahead.Milliseconds() {
				t.Errorf("%s: %+v, want %s and %v ahead", c.name, got, c.state, c.ahead)
			}
			time.Sleep(clockFresh + time.Second)
			later := now + uint64((clockFresh + time.Second).Milliseconds())
			if got := k.compare(later); got.Accounts != 0 || got.State != api.ClockUnknown {
				t.Errorf("%s, hours later: %+v", c.name, got)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		var k clocks
		k.hear(wire.AccountID{1}, now, now, time.Now(), time.Now().Add(clockRTT+1))
		if got := k.compare(now); got.Accounts != 0 {
			t.Errorf("a slow answer told the time: %+v", got)
		}
		for i := range maxClocks + 9 {
			k.hear(wire.AccountID{byte(i), byte(i >> 8), 1}, now, now, time.Now(), time.Now())
		}
		if got := k.compare(now); got.Accounts != maxClocks {
			t.Errorf("%d accounts are remembered", got.Accounts)
		}
		time.Sleep(time.Hour)
		hour := uint64(time.Hour.Milliseconds())
		if k.stepped(now+hour+minute) || k.compare(now+hour).State != api.ClockRight {
			t.Errorf("an hour later: %+v", k.compare(now+hour))
		}
		if !k.stepped(now+hour+minute+1) || k.compare(now).Accounts != 0 {
			t.Error("a clock that was set did not make what was heard worthless")
		}
		// Operations from the future speak against this clock, until somebody's
		// come on time.
		k.ahead(wire.AccountID{1}, now+6*minute, now)
		if got := k.compare(now); got.State != api.ClockDoubtful {
			t.Errorf("all are held: %+v", got)
		}
		k.onTime(wire.AccountID{2}, now-minute, now)
		if got := k.compare(now); got.State != api.ClockUnknown {
			t.Errorf("one is ahead: %+v", got)
		}
	})
}

// A device whose clock is not what three others agree on writes nothing, says
// so, and writes again once its clock is set.
func TestWrongClockDoesNotWrite(t *testing.T) {
	var theirs, off clock
	ann := newClockedNode(t, "Ann", &theirs)
	bo, cy := newClockedNode(t, "Bo", &theirs), newClockedNode(t, "Cy", &theirs)
	di := newClockedNode(t, "Di", &off)
	g := newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, g, 3, "")
	for _, n := range []*Node{bo, cy, di} {
		join(t, n, inv)
	}
	same(t, g, ann, bo, cy, di)
	heard := func(n int) {
		within(t, di, patience, "Di to hear the others' clocks", func() bool { return di.Status(t.Context()).Clock.Accounts == n })
	}
	heard(3)
	say(t, di, g, "on time")
	hears(t, ann, g, "on time")

	off.shift(4 * time.Minute)
	if _, err := di.Send(t.Context(), g, api.MessageCreate{Text: "from the future"}); code(err) != api.ClockWrong {
		t.Fatalf("four minutes ahead: %v", err)
	}
	st := di.Status(t.Context()).Clock
	if st.State != api.ClockIsWrong || time.Duration(st.AheadMs)*time.Millisecond < 3*time.Minute {
		t.Errorf("status: %+v", st)
	}
	found := false
	for _, f := range must[[]api.Finding](t)(di.Doctor(t.Context())) {
		found = found || f.Check == "clock" && f.Level == "error"
	}
	if !found {
		t.Error("doctor finds nothing wrong with the clock")
	}
	say(t, ann, g, "we go on")
	hears(t, di, g, "we go on")

	off.shift(-4 * time.Minute)
	say(t, di, g, "set again")
	hears(t, ann, g, "set again")
}
