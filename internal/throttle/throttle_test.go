package throttle_test

import (
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

// Once in an interval, and no silence for as long as a clock was ahead
// that is then set right.
func TestThrottle(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Second
	now := time.Now()
	tests := []struct {
		name string
		at   []time.Duration // when it is asked, after now
		want []bool
	}{
		{"steady", []time.Duration{0, time.Second, interval - 1, interval, interval + time.Second, 2 * interval}, []bool{true, false, false, true, false, true}},
		{"two at nearly the same time", []time.Duration{time.Microsecond, 0}, []bool{true, false}},
		{"set back by a year", []time.Duration{365 * 24 * time.Hour, 0, time.Second, interval}, []bool{true, true, false, true}},
		{"set back by a little", []time.Duration{9 * time.Second, 0, 19 * time.Second}, []bool{true, false, true}},
		{"set forward", []time.Duration{0, time.Hour, time.Hour + time.Second}, []bool{true, true, false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var lines throttle.Throttle
			for i, at := range test.at {
				if got := lines.Allows(interval, now.Add(at)); got != test.want[i] {
					t.Errorf("at %v: %v", at, got)
				}
			}
		})
	}
}
