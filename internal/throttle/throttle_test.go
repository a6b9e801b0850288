package throttle_test

import (
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

// Allows is true once per interval. A clock that was ahead and is set right does not
// silence it for the difference.
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
