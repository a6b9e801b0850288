// Package measure times what is too short to time alone, on a machine whose speed
// changes: in bursts, each followed by a spin of fixed work that shows how fast the
// machine was just then.
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
	Op    func() // once
	Drain func() // waits until all that Op has left to other goroutines is done; nil if nothing
}

// Run times bursts of s.Op, of which b.Loop counts the bursts. Between them, untimed,
// it drains: queues never fill, while what empties them runs beside the caller, as
// it does in production. Bursts in which another process took the processor away
// from the caller are set aside; of the others the middle half counts. Every sample
// has the metrics
//
//	ns/op      what the caller waits
//	own-ns/op  what its thread works meanwhile; of all bursts, since load disturbs it less
//	cpu-ns/op  what all threads of the process work, draining included
//	B/op       what all threads allocate
//	allocs/op  of one Op, as testing.AllocsPerRun counts
//	spin-ns    how long the fixed work took; the lowest of all samples is a calm machine
//
// It returns how many times Op was called.
func Run(b *testing.B, burst int, s Subject) (ops int) {
	b.Helper()
	drain := s.Drain
	if drain == nil {
		drain = func() {}
	}
	for range burst { // warm
		s.Op()
	}
	drain()
	allocs := testing.AllocsPerRun(burst-1, s.Op) // which calls it once more
	drain()

	runtime.LockOSThread() // for the count of what took the processor away from it
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

// Parallel is Run with each burst on GOMAXPROCS goroutines at the same time; ns/op is
// the time from the first start to the last end, over the Ops of all.
func Parallel(b *testing.B, burst int, s Subject) (ops int) {
	b.Helper()
	procs := runtime.GOMAXPROCS(0)
	one := func() {
		for range burst {
			s.Op()
		}
	}
	together(procs, one) // warm
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

// awake is how often a goroutine spins before it begins: a millisecond. A processor that
// has slept is slow at first.
const awake = 100

// together does it on so many goroutines, which begin when all are there, and returns
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
			for there.Add(1); there.Load() < int64(goroutines); { //nolint:revive // each on a processor of its own
			}
			starts[i] = time.Now()
			do()
			ends[i] = time.Now()
		})
	}
	all.Wait()
	return slices.MaxFunc(ends, time.Time.Compare).Sub(slices.MinFunc(starts, time.Time.Compare))
}

// tally keeps the bursts, and apart from them those that another process has
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

// report is of the undisturbed bursts, or all if there are none.
func (t *tally) report(b *testing.B, burst int) {
	b.Helper()
	took, spin := t.took, t.spin
	if len(took) == 0 {
		took, spin = t.tookDisturbed, t.spinDisturbed
	}
	b.ReportMetric(midmean(took)/float64(burst), "ns/op")
	b.ReportMetric(midmean(spin), "spin-ns")
}

// midmean is the mean of the middle half: what garbage collection costs is in it,
// and a burst that waited for a thread that was not running is not.
func midmean(all []time.Duration) float64 {
	slices.Sort(all)
	middle := all[len(all)/4 : len(all)-len(all)/4]
	var sum time.Duration
	for _, one := range middle {
		sum += one
	}
	return float64(sum) / float64(len(middle))
}

// Spin does a fixed piece of work, and returns how long it took. It keeps all of a
// core busy, so that it is slower too when another core that shares it works.
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
	if table[p%uint64(len(table))] == 1 { // hardly; but the loop must not be optimised away
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

// CPU is what this process has worked so far, in user and system.
func CPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// threadCPU is what this thread has worked.
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
