package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain also runs the app that is measured.
func TestMain(m *testing.M) {
	if options := os.Getenv(appVariable); options != "" {
		exit(serveApp(options, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// BenchmarkOutage measures one short pair of each kind, to see that it still runs. Its
// figures mean little.
func BenchmarkOutage(b *testing.B) {
	const rate = 500
	for _, how := range []string{refuses, hangs} {
		b.Run(how, func(b *testing.B) {
			endpoint, stop, err := downKlime(how)
			if err != nil {
				b.Fatal(err)
			}
			defer stop()
			var r report
			for b.Loop() {
				p, err := measurePair(b.Context(), options{duration: 2 * time.Second, rate: rate}, endpoint, false)
				if err != nil {
					b.Fatal(err)
				}
				if len(p.with.latencies) != 2*rate || len(p.without.latencies) != 2*rate {
					b.Errorf("%d and %d requests answered, want %d", len(p.with.latencies), len(p.without.latencies), 2*rate)
				}
				if p.with.last().Queued == 0 || p.without.last().Queued != 0 {
					b.Errorf("%d events held with Klime, %d without", p.with.last().Queued, p.without.last().Queued)
				}
				r.add(p)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(median(r.without).Microseconds()), "p99-without-µs")
			b.ReportMetric(float64(median(r.with).Microseconds()), "p99-with-µs")
		})
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var latencies []time.Duration
	for i := range 1000 {
		latencies = append(latencies, time.Duration(999-i)*time.Millisecond)
	}
	r := newResult(latencies, nil)
	if p50, p99, p100 := r.percentile(50), r.percentile(99), r.percentile(100); p50 != 500*time.Millisecond ||
		p99 != 990*time.Millisecond || p100 != 999*time.Millisecond {
		t.Errorf("got %v, %v, %v", p50, p99, p100)
	}
}

// Memory is compared with that at the bound, not with an empty queue.
func TestGrowth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		rss     []uint64
		dropped []uint64
		grown   int64
	}{
		{"flat", []uint64{10, 50, 60, 60, 60, 60}, []uint64{0, 0, 1, 2, 3, 4}, 0},
		{"growing", []uint64{10, 50, 60, 70, 80, 90}, []uint64{0, 0, 1, 2, 3, 4}, 20},
		{"bound not reached", []uint64{10, 20, 30}, []uint64{0, 0, 0}, 0},
	} {
		var samples []sample
		for i := range test.rss {
			samples = append(samples, sample{RSS: test.rss[i], Dropped: test.dropped[i]})
		}
		if got := newResult(nil, samples).grown(); got != test.grown {
			t.Errorf("%s: got %d, want %d", test.name, got, test.grown)
		}
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	at := func(p99 time.Duration, rss ...uint64) result {
		var samples []sample
		for i, n := range rss {
			samples = append(samples, sample{RSS: n << 20, Dropped: uint64(i)})
		}
		return newResult([]time.Duration{p99}, samples)
	}
	for _, test := range []struct {
		p    pair
		good bool
	}{
		{pair{with: at(1200*time.Microsecond, 10, 40), without: at(time.Millisecond)}, true},
		{pair{with: at(1201*time.Microsecond, 10, 40), without: at(time.Millisecond)}, false},
		{pair{with: at(time.Millisecond, 10, 40, 40, 40, 41), without: at(time.Millisecond)}, true},
		{pair{with: at(time.Millisecond, 10, 40, 50, 60, 70), without: at(time.Millisecond)}, false},
		{pair{with: at(time.Millisecond, leaking(16)...), without: at(time.Millisecond)}, false},
		{pair{with: at(time.Millisecond, 10), without: at(time.Millisecond)}, false}, // nothing was dropped
	} {
		var r report
		r.add(test.p)
		var text strings.Builder
		r.write(&text)
		want := map[bool]string{true: ": met\n", false: ": missed\n"}[test.good]
		if r.good() != test.good || !strings.HasSuffix(text.String(), want) {
			t.Errorf("%v with, %v without: %s", r.with, r.without, text.String())
		}
	}
}

// leaking is the memory, in MiB, of a run that leaks so much, as it is seen twice a second
// in a minute.
func leaking(leak int) []uint64 {
	const samples = 120
	var rss []uint64
	for i := range samples {
		rss = append(rss, uint64(100+i*leak/samples))
	}
	return rss
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	for _, opts := range []options{
		{duration: time.Second, pairs: 0, klime: refuses},
		{duration: 0, pairs: 1, klime: refuses},
		{duration: time.Second, pairs: 1, rate: -1, klime: refuses},
		{duration: time.Second, pairs: 1, klime: "sleeps"},
	} {
		if err := run(t.Context(), opts, t.Output()); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}
