// Package measure times operations that are too short to be timed one by one, on a machine
// whose speed varies. It times bursts of them, each followed by a spin, a fixed piece of
// work that shows how fast the machine was at that moment.
package measure

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Subject is what is measured.
type Subject struct {
	Op    func() // the operation, done once
	Drain func() // waits until other goroutines have finished the work of Op; nil if there is none
}

// Run times bursts of s.Op. Each iteration of b.Loop is one burst. Between bursts it
// drains, untimed: so queues never fill, but the goroutines that empty them run at the
// same time as the caller, as in production. Bursts in which another process took the
// processor away from the caller are left out, and the middle half of the others counts.
// Every sample has the metrics
//
//	ns/op      how long the caller waits
//	own-ns/op  CPU time of the caller's thread, in all bursts, as load disturbs it less
//	cpu-ns/op  CPU time of all threads of the process, draining included
//	B/op       bytes that all threads allocate
//	allocs/op  allocations of one Op, counted by testing.AllocsPerRun
//	spin-ns    how long the fixed work took; lowest on a calm machine
//
// It returns how many times Op was called.
func Run(b *testing.B, burst int, s Subject) (ops int) {
	b.Helper()
	drain := s.Drain
	if drain == nil {
		drain = func() {}
	}
	for range burst { // warms up
		s.Op()
	}
	drain()
	allocs := testing.AllocsPerRun(burst-1, s.Op) // it calls Op once more than that
	drain()

	runtime.LockOSThread() // as CPU time and preemptions are counted by thread
	defer runtime.UnlockOSThread()
	var t tally
	var own time.Duration
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	before := CPU()
	for b.Loop() {
		ousted, worked := preemptions(unix.RUSAGE_THREAD), threadCPU()
		start := time.Now()
		for range burst {
			s.Op()
		}
		took := time.Since(start)
		own += threadCPU() - worked
		undisturbed := preemptions(unix.RUSAGE_THREAD) == ousted
		drain()
		t.add(took, Spin(), undisturbed)
	}
	work := CPU() - before - t.spun
	runtime.ReadMemStats(&is)
	ops = t.bursts() * burst
	b.ReportAllocs()
	t.report(b, burst)
	b.ReportMetric(float64(is.TotalAlloc-was.TotalAlloc)/float64(ops), "B/op")
	b.ReportMetric(float64(own)/float64(ops), "own-ns/op")
	b.ReportMetric(float64(work)/float64(ops), "cpu-ns/op")
	b.ReportMetric(allocs, "allocs/op")
	return 2*burst + ops
}

// Parallel is Run with each burst on GOMAXPROCS goroutines at the same time. ns/op is the
// time from the first start to the last end, divided by the Ops of all goroutines.
func Parallel(b *testing.B, burst int, s Subject) (ops int) {
	b.Helper()
	procs := runtime.GOMAXPROCS(0)
	one := func() {
		for range burst {
			s.Op()
		}
	}
	together(procs, one) // warms up
	s.Drain()
	var t tally
	for b.Loop() {
		ousted := preemptions(unix.RUSAGE_SELF)
		took := together(procs, one)
		undisturbed := preemptions(unix.RUSAGE_SELF) == ousted
		s.Drain()
		t.add(took, together(procs, func() { Spin() }), undisturbed)
	}
	t.report(b, burst*procs)
	return (t.bursts() + 1) * burst * procs
}

// awake is how often a goroutine spins before it begins, about a millisecond, as a
// processor that has slept is slow at first.
const awake = 100

// together calls do on several goroutines, which begin when all are ready, and returns
// how long that took.
func together(goroutines int, do func()) time.Duration {
	var all sync.WaitGroup
	var there atomic.Int64
	starts, ends := make([]time.Time, goroutines), make([]time.Time, goroutines)
	for i := range goroutines {
		all.Go(func() {
			for range awake {
				Spin()
			}
			for there.Add(1); there.Load() < int64(goroutines); { //nolint:revive // each has its own processor
			}
			starts[i] = time.Now()
			do()
			ends[i] = time.Now()
		})
	}
	all.Wait()
	return slices.MaxFunc(ends, time.Time.Compare).Sub(slices.MinFunc(starts, time.Time.Compare))
}

// tally keeps the times of bursts, and separately those that another process has
// disturbed.
type tally struct {
	took, spin                   []time.Duration
	tookDisturbed, spinDisturbed []time.Duration
	spun                         time.Duration
}

func (t *tally) add(took, spin time.Duration, undisturbed bool) {
	t.spun += spin
	if undisturbed {
		t.took, t.spin = append(t.took, took), append(t.spin, spin)
	} else {
		t.tookDisturbed, t.spinDisturbed = append(t.tookDisturbed, took), append(t.spinDisturbed, spin)
	}
}

func (t *tally) bursts() int { return len(t.took) + len(t.tookDisturbed) }

// report reports the undisturbed bursts, or all if there are none.
func (t *tally) report(b *testing.B, burst int) {
	b.Helper()
	took, spin := t.took, t.spin
	if len(took) == 0 {
		took, spin = t.tookDisturbed, t.spinDisturbed
	}
	b.ReportMetric(midmean(took)/float64(burst), "ns/op")
	b.ReportMetric(midmean(spin), "spin-ns")
}

// midmean is the mean of the middle half. It includes the cost of garbage collection, but
// not bursts that waited for a thread that was not running.
func midmean(all []time.Duration) float64 {
	slices.Sort(all)
	middle := all[len(all)/4 : len(all)-len(all)/4]
	var sum time.Duration
	for _, one := range middle {
		sum += one
	}
	return float64(sum) / float64(len(middle))
}

// Spin does a fixed piece of work, and returns how long it took. It keeps all parts of a
// core busy, so that it is also slower if another hardware thread shares the core.
func Spin() time.Duration {
	var table [1 << 11]uint64
	start := time.Now()
	p, q, r, s := uint64(1), uint64(2), uint64(3), uint64(4)
	for range 4000 {
		p, q, r, s = next(p), next(q), next(r), next(s)
		table[p%uint64(len(table))] += q
		table[r%uint64(len(table))] ^= s
	}
	took := time.Since(start)
	if table[p%uint64(len(table))] == 1 { // unlikely, but keeps the loop from being optimised away
		return 0
	}
	return took
}

// next is a step of a random generator.
func next(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

// CPU is the CPU time of this process so far, user and system.
func CPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// threadCPU is the CPU time of this thread so far.
func threadCPU() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(id, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// preemptions is how often the processor was taken away from this thread, or process.
func preemptions(who int) int64 {
	var used unix.Rusage
	if err := unix.Getrusage(who, &used); err != nil {
		return 0
	}
	return used.Nivcsw
}
