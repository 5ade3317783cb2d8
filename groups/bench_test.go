package groups_test

import (
	"strconv"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
)

// busy is the log of a group of many years: a hundred people, every tenth of
// whom came, went and came again, four admins, and n control operations in
// all, one in five written without having seen the one before.
func busy(tb testing.TB, n int) *groups.Log {
	tb.Helper()
	w := groupstest.NewWorld(uint64(n))
	ann := w.Add("ann")
	w.Found(ann, 100, groups.DefaultPolicy())
	l := ann.Log
	write := func(p *groupstest.Person, kind groups.Kind, body any) *groups.Op {
		o, err := l.ComposeControl(p.Inc, p.Keys.Op, w.NowMs, kind, body)
		if err != nil {
			tb.Fatal(err)
		}
		w.NowMs += 1000
		return o
	}
	people := []*groupstest.Person{ann}
	for i := 0; len(l.Ops()) < n; i++ {
		by := people[i%len(people)]
		switch {
		case len(people) < 100:
			q := w.Add("p" + strconv.Itoa(i))
			q.Log = l
			o := write(by, groups.KindAdmit, w.Request(q, by, nil))
			l.Apply(o)
			q.Inc = o.ID
			if people = append(people, q); len(people) < 6 {
				l.Apply(write(ann, groups.KindRole, groups.RoleBody{OwnOp: l.State().OwnOp(), Account: q.Account, Role: 1}))
			}
		case i%50 == 0 && by != ann:
			l.Apply(write(ann, groups.KindRemove, groups.RemoveBody{Account: by.Account}))
			o := write(ann, groups.KindAdmit, w.Request(by, ann, nil))
			l.Apply(o)
			by.Inc = o.ID
		case i%5 == 0 && people[(i+1)%100] != by:
			a, b := write(by, groups.KindAck, groups.AckBody{}), write(people[(i+1)%100], groups.KindAck, groups.AckBody{})
			l.Apply(a)
			l.Apply(b)
		default:
			l.Apply(write(by, groups.KindAck, groups.AckBody{}))
		}
	}
	return l
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{200, 2000, 4000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			l := busy(b, n)
			b.ResetTimer()
			for range b.N {
				groups.ResolveAgain(l)
			}
		})
	}
}

// BenchmarkApply is one operation on the current heads, its state included.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{200, 2000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			l := busy(b, n)
			ops := l.Ops()
			last := ops[len(ops)-1]
			base, r := groups.Found(ops[0])
			if r != nil {
				b.Fatal(r)
			}
			for _, o := range ops[1 : len(ops)-1] {
				base.Apply(o)
			}
			base.State()
			b.ResetTimer()
			for range b.N {
				groups.ApplyAgain(base, last)
			}
		})
	}
}
