package groups_test

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/groupstest"
)

// The figures G1 of BENCHMARKS.md. A metric that ends in -µs is a median, of
// processor time where it says cpu: other programs do not make it longer.

// BenchmarkResolve is the whole of Resolve: 2 000 operations of a group of a
// hundred, by eight people who never heard of each other's after the first.
func BenchmarkResolve(b *testing.B) {
	founder, _ := groupstest.Crowd{Members: 100, Ops: 2000, Branches: 8, Apart: 250}.Play(1)
	var took []float64
	for b.Loop() {
		took = append(took, processorTime(b, func() { groups.ResolveAgain(founder.Log) }))
	}
	b.ReportMetric(median(took), "cpu-µs")
}

// BenchmarkApply is one more operation on the heads of 2 000: Judge, but for
// the signatures, then Apply and the state. The tail is what a group writes,
// of every kind; each kind's median stands beside that of all.
func BenchmarkApply(b *testing.B) {
	const tail = 512
	founder, ops := groupstest.Crowd{Members: 100, Ops: 2000 + tail, Branches: 8, Apart: 10, Tail: tail}.Play(2)
	last := ops[len(ops)-1].HLC
	byKind := map[groups.Kind][]float64{}
	var all, cpu []float64
	for b.Loop() {
		b.StopTimer()
		l := taken(b, ops[:2000])
		l.State()
		b.StartTimer()
		cpu = append(cpu, processorTime(b, func() {
			for _, o := range ops[2000:] {
				began := time.Now()
				if j := l.Judge(o, last); j.Verdict != groups.Accept {
					b.Fatal(o, j)
				}
				l.Apply(o)
				l.State()
				µs := float64(time.Since(began).Nanoseconds()) / 1000
				all, byKind[o.Kind] = append(all, µs), append(byKind[o.Kind], µs)
			}
		})/tail)
	}
	if got, want := groupstest.Summary(taken(b, ops).State()), groupstest.Summary(founder.Log.State()); got != want {
		b.Fatalf("%s\nwant\n%s", got, want)
	}
	b.ReportMetric(median(cpu), "cpu-µs")
	b.ReportMetric(median(all), "all-µs")
	for kind, took := range byKind {
		b.ReportMetric(median(took), kind.String()+"-µs")
	}
}

// BenchmarkLoad is what a device does with 4 000 operations of a group of 500
// from its own disk until it knows who is in and under which epoch to write;
// and what the group then takes of memory, without the operations.
func BenchmarkLoad(b *testing.B) {
	_, ops := groupstest.Crowd{Members: 500, Ops: 4000, Branches: 8, Apart: 10}.Play(3)
	var took []float64
	for b.Loop() {
		took = append(took, processorTime(b, func() {
			fresh := make([]*groups.Op, len(ops))
			for i, o := range ops {
				var r *groups.Refusal
				if fresh[i], r = groups.Reread(o.Frame()); r != nil {
					b.Fatal(r)
				}
			}
			l := taken(b, fresh)
			l.State()
			l.NeedRekey()
		}))
	}
	b.ReportMetric(median(took), "cpu-µs")
	before := heap()
	l := taken(b, ops)
	l.State()
	l.NeedRekey()
	b.ReportMetric(float64(heap()-before)/1e6, "state-MB")
	for _, o := range ops[len(ops)-100:] {
		l.At(o.Heads)
	}
	b.ReportMetric(float64(heap()-before)/1e6, "pasts-MB")
	runtime.KeepAlive(l)
}

// taken is a log of operations of one's own disk.
func taken(b *testing.B, ops []*groups.Op) *groups.Log {
	l, r := groups.Found(ops[0])
	if r != nil {
		b.Fatal(r)
	}
	for _, o := range ops[1:] {
		l.Apply(o)
	}
	return l
}

// heap is how much is in use, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// processorTime is what this process used meanwhile, on all cores, in µs.
func processorTime(b *testing.B, do func()) float64 {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	do()
	return float64(used()-before) / 1000
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
