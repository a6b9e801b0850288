package main

import (
	"strings"
	"testing"
)

const printed = `go: go1.26.8
pkg: github.com/klimeapp/klime-go/bench/middleware
BenchmarkGin/klime-2         	      60	      1000 ns/op	     100 spin-ns	     512 B/op	       6 allocs/op
BenchmarkGin/klime-2         	      60	      1200 ns/op	     101 spin-ns	     512 B/op	       6 allocs/op
BenchmarkGin/klime-2         	      60	      9000 ns/op	     190 spin-ns	     512 B/op	       6 allocs/op
BenchmarkTrackParallel/klime-2   	  10	       300 ns/op	     100 spin-ns
BenchmarkTrackParallel/klime     	  10	       500 ns/op	     100 spin-ns
Benchmarking is not a line of a benchmark
`

func read(t *testing.T, text string) *samples {
	t.Helper()
	s := &samples{of: map[string][]sample{}}
	if err := s.read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	s.calibrate()
	return s
}

func TestRead(t *testing.T) {
	s := read(t, printed)
	if len(s.head) != 1 || s.head[0] != "go: go1.26.8" {
		t.Errorf("head %q", s.head)
	}
	if got := s.of["Gin/klime"]; len(got) != 3 || got[1]["ns/op"] != 1200 || got[1]["allocs/op"] != 6 {
		t.Errorf("Gin/klime %v", got)
	}
	one, two := s.median("TrackParallel/klime", "ns/op"), s.median("TrackParallel/klime-2", "ns/op")
	if one.value != 500 || two.value != 300 {
		t.Errorf("parallel: %v and %v", one.value, two.value)
	}
}

func TestMedianTakesCalmSamples(t *testing.T) {
	calm := strings.Repeat("BenchmarkX-2 60 100 ns/op 100 spin-ns\nBenchmarkX-2 60 300 ns/op 110 spin-ns\n", 3)
	busy := strings.Repeat("BenchmarkX-2 60 900 ns/op 150 spin-ns\n", 10)
	for _, c := range []struct {
		name, text string
		want       figure
	}{
		{"calm and busy", calm + busy, figure{200, 6, true, true}},
		{"one calm", "BenchmarkX-2 60 100 ns/op 100 spin-ns\n" + busy, figure{900, 6, false, true}},
		{"few", "BenchmarkX-2 60 100 ns/op 100 spin-ns\n", figure{100, 1, false, true}},
		{"none", busy[:0], figure{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(t, c.text).median("X", "ns/op"); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTableLeavesOutWhatWasNotMeasured(t *testing.T) {
	text := table(read(t, "BenchmarkGin/bare-2 60 500 ns/op 100 spin-ns\n"+printed))
	for _, want := range []string{"Gin: time added", "~0.70 µs", "Track on 2 cores against 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Fiber") {
		t.Errorf("Fiber was not measured, but is in\n%s", text)
	}
}
