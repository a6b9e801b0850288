package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Percentiles are at most 3.2 % off, whatever the durations look like; count, mean
// and maximum are exact.
func TestSketch(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func() time.Duration{
		"alike":   func() time.Duration { return 42 * time.Millisecond },
		"uniform": func() time.Duration { return time.Duration(random.Int64N(int64(time.Second))) + time.Microsecond },
		"exponential": func() time.Duration {
			return time.Duration(random.ExpFloat64()*float64(20*time.Millisecond)) + time.Microsecond
		},
		"long tail": func() time.Duration {
			return time.Duration(math.Exp(random.NormFloat64()*3) * float64(time.Millisecond))
		},
		"two humps": func() time.Duration {
			if random.IntN(10) == 0 {
				return 3 * time.Second
			}
			return 2 * time.Millisecond
		},
	}
	for name, shape := range shapes {
		for _, n := range []int{1, 2, 3, 10, 10_000} {
			var s Sketch
			var all []time.Duration
			var sum time.Duration
			for range n {
				d := shape()
				s.Add(d)
				sum += d
				all = append(all, d)
			}
			slices.Sort(all)
			for _, p := range []uint64{1, 50, 95, 99, 100} {
				exact := all[(n*int(p)+99)/100-1]
				if got := s.Percentile(p); math.Abs(float64(got-exact)) > 0.032*float64(exact) && exact > time.Microsecond {
					t.Errorf("%s, %d durations: P%d is %v, exactly %v", name, n, p, got, exact)
				}
			}
			if s.Max() != all[n-1] || s.Mean() != sum/time.Duration(n) || s.Count() != uint64(n) {
				t.Errorf("%s, %d durations: longest %v, mean %v, count %d", name, n, s.Max(), s.Mean(), s.Count())
			}
		}
	}
}

func TestExtremes(t *testing.T) {
	t.Parallel()
	var empty Sketch
	if empty.Mean() != 0 || empty.Percentile(50) != 0 {
		t.Error("an empty sketch has durations")
	}
	var s Sketch
	for _, d := range []time.Duration{-time.Hour, 0, 1, time.Microsecond, 1000 * time.Hour, math.MaxInt64 / 4} {
		s.Add(d)
	}
	if got := s.Percentile(50); got != 32 { // ns, the middle of the first bucket
		t.Errorf("P50 %v", got)
	}
	if got := s.Percentile(100); got > math.MaxInt64/4 || got < math.MaxInt64/4/32*31 {
		t.Errorf("P100 %v", got)
	}
}

// The middle of a bucket is off by 1/32 at most, and by 32 ns below a microsecond, at both
// of its ends.
func TestBounds(t *testing.T) {
	t.Parallel()
	var last uint16
	for power := range 62 {
		for part := range 16 {
			first := time.Duration(1) << power
			first += first / 16 * time.Duration(part)
			for _, d := range []time.Duration{first - 1, first} {
				index := bucketOf(d)
				b := bucket{index: index}
				if off := (b.middle() - d).Abs(); off > max(d/32, 32) {
					t.Errorf("%v is counted as %v", d, b.middle())
				}
				if index < last {
					t.Errorf("%v is sorted before shorter ones", d)
				}
				last = index
			}
		}
	}
}

// A bucket that is full stays so: its percentile does not jump.
func TestBucketsDoNotOverflow(t *testing.T) {
	t.Parallel()
	var s Sketch
	s.Add(time.Millisecond)
	s.buckets[0].count = math.MaxUint32
	s.Add(time.Millisecond)
	if got := s.buckets[0].count; got != math.MaxUint32 {
		t.Errorf("%d durations in a bucket", got)
	}
}
