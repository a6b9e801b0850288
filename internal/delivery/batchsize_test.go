package delivery

import "testing"

// Batches shrink at once, down to one event, and grow again after some successes in a row.
func TestBatchSize(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps  string // h: halve, s: succeeded
		shrink int
	}{
		"usual":                         {"", 0},
		"no larger than usual":          {"ssssssssssssssssss", 0},
		"half":                          {"h", 1},
		"no smaller than one event":     {"hhhhhhhhhhhh", maxShrink},
		"not yet":                       {"hhsssssss", 2},
		"grown again":                   {"hhssssssss", 1},
		"each time after as many":       {"hhsssssssssssssss", 1},
		"as usual again":                {"hhssssssssssssssss", 0},
		"successes before do not count": {"sssssssssshsssssss", 1},
		"in a row":                      {"hsssssssh" + "sssssss", 2},
	} {
		var b batchSize
		for _, step := range test.steps {
			if step == 'h' {
				b.halve()
			} else {
				b.succeeded()
			}
		}
		if b.shrink != test.shrink {
			t.Errorf("%s: %s: shrink is %d, want %d", name, test.steps, b.shrink, test.shrink)
		}
	}
}
