package shutdown

import (
	"testing"
	"time"
)

// The parts are added up here, as how long an end takes on a busy machine says little.
func TestTimes(t *testing.T) {
	const further = 2500 * time.Millisecond // what the client's Shutdown may take beyond its part
	if sum := forRequests + forHandlers + forEvents + further; sum >= 10*time.Second {
		t.Errorf("an end may take %v", sum)
	}
}
