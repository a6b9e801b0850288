// Package measure times what is too short to time alone, on a machine whose speed
// changes: in bursts, each followed by a spin of fixed work that shows how fast the
// machine was just then.
package measure

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Subject is what is measured.
type Subject struct {
	Op    func() // once
	Drain func() // waits until all that Op has left to other goroutines is done; nil if nothing
}

// Run times bursts of s.Op. Between them, untimed, it drains: queues never fill,
// while what empties them runs beside the caller, as it does in production. Every
// sample has the metrics
//
//	ns/op      what the caller waits
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

	var busy, spun time.Duration
	var was, is runtime.MemStats
	bursts := 0
	runtime.ReadMemStats(&was)
	before := CPU()
	for b.Loop() {
		start := time.Now()
		for range burst {
			s.Op()
		}
		busy += time.Since(start)
		drain()
		spun += Spin()
		bursts++
	}
	work := CPU() - before - spun
	runtime.ReadMemStats(&is)
	ops = bursts * burst
	b.ReportAllocs()
	b.ReportMetric(float64(is.TotalAlloc-was.TotalAlloc)/float64(ops), "B/op")
	b.ReportMetric(float64(busy)/float64(ops), "ns/op")
	b.ReportMetric(float64(work)/float64(ops), "cpu-ns/op")
	b.ReportMetric(allocs, "allocs/op")
	b.ReportMetric(float64(spun)/float64(bursts), "spin-ns")
	return 2*burst + ops
}

// Parallel is Run with bursts on GOMAXPROCS goroutines at the same time; ns/op is
// the time from the first start to the last end, over the Ops of all.
func Parallel(b *testing.B, burst int, s Subject) (ops int) {
	b.Helper()
	procs := runtime.GOMAXPROCS(0)
	together := func(do func()) time.Duration {
		var all sync.WaitGroup
		start := time.Now()
		for range procs {
			all.Go(do)
		}
		all.Wait()
		return time.Since(start)
	}
	one := func() {
		for range burst {
			s.Op()
		}
	}
	together(one) // warm
	s.Drain()
	var busy, spun time.Duration
	bursts := 0
	for b.Loop() {
		busy += together(one)
		s.Drain()
		spun += together(func() {
			for range 10 { // the goroutines take some time to start
				Spin()
			}
		}) / 10
		bursts++
	}
	b.ReportMetric(float64(busy)/float64(bursts*burst*procs), "ns/op")
	b.ReportMetric(float64(spun)/float64(bursts), "spin-ns")
	return (bursts + 1) * burst * procs
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
func CPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
