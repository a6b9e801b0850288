package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// result is the result of one run.
type result struct {
	latencies []time.Duration // in order
	samples   []sample        // of the app, at least one
}

func newResult(latencies []time.Duration, samples []sample) result {
	slices.Sort(latencies)
	if len(samples) == 0 {
		samples = []sample{{}}
	}
	return result{latencies, samples}
}

// percentile is the latency that p per cent of the requests did not exceed.
func (r result) percentile(p int) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	i := min(len(r.latencies)*p/100, len(r.latencies)-1)
	return r.latencies[i].Round(time.Microsecond)
}

// last is the sample at the end.
func (r result) last() sample { return r.samples[len(r.samples)-1] }

// bound is the index of the sample from which on memory should be flat: the middle one of
// those since the first event was dropped. By then memory holds as many events as it may,
// and garbage has been collected.
func (r result) bound() int {
	first := slices.IndexFunc(r.samples, dropped)
	if first < 0 {
		return len(r.samples) - 1
	}
	return (first + len(r.samples) - 1) / 2
}

func dropped(s sample) bool { return s.Dropped > 0 }

// full reports whether memory has held as many events as it may.
func (r result) full() bool { return slices.ContainsFunc(r.samples, dropped) }

func (r result) atBound() sample { return r.samples[r.bound()] }

// grown is by how many bytes the peak of RSS since the bound exceeds the peak before.
func (r result) grown() int64 {
	most := func(samples []sample) (rss int64) {
		for _, s := range samples {
			rss = max(rss, int64(s.RSS)) //nolint:gosec // less than the address space
		}
		return rss
	}
	return most(r.samples[r.bound():]) - most(r.samples[:r.bound()+1])
}

// report sums up the pairs.
type report struct {
	with, without []time.Duration // p99 of each
	ratios        []float64
	grown         []int64
	short         int    // runs with Klime in which the bound was not reached
	heap, rss     uint64 // the most that was seen
}

func (r *report) add(p pair) {
	r.with = append(r.with, p.with.percentile(99))
	r.without = append(r.without, p.without.percentile(99))
	r.ratios = append(r.ratios, p.ratio())
	r.grown = append(r.grown, p.with.grown())
	if !p.with.full() {
		r.short++
	}
	for _, s := range p.with.samples {
		r.heap, r.rss = max(r.heap, s.Heap), max(r.rss, s.RSS)
	}
}

// The target.
const (
	mostTimes = 1.10
	mostMore  = 100 * time.Microsecond
	mostGrown = 3 << 20 // bytes, in the second half of a run; at most 0.7 MiB was measured
)

func (r *report) good() bool {
	allowed := time.Duration(float64(median(r.without))*mostTimes) + mostMore
	return median(r.with) <= allowed && median(r.grown) <= mostGrown && r.short == 0
}

func (r *report) write(out io.Writer) {
	fmt.Fprintf(out, "\nmedian p99: without %v, with %v; median ratio of the pairs %.3f, from %.3f to %.3f\n",
		median(r.without), median(r.with), median(r.ratios), slices.Min(r.ratios), slices.Max(r.ratios))
	fmt.Fprintf(out, "memory with Klime: RSS at most %s, heap at most %s; growth of RSS after the bound: median %.1f MiB, at most %.1f MiB\n",
		mib(r.rss), mib(r.heap), float64(median(r.grown))/(1<<20), float64(slices.Max(r.grown))/(1<<20))
	if r.short > 0 {
		fmt.Fprintf(out, "in %d of %d runs the bound was not reached, and memory not measured: take more time, or a higher rate\n",
			r.short, len(r.with))
	}
	verdict := "met"
	if !r.good() {
		verdict = "missed"
	}
	fmt.Fprintf(out, "target (p99 at most %.2f times that without, plus %v; RSS grows by %s at most): %s\n",
		mostTimes, mostMore, mib(mostGrown), verdict)
}

// median is the median of at least one value. Of an even number of values it is the lower
// of the two in the middle.
func median[T int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

func mib(bytes uint64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
