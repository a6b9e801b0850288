package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Only a failure that may be due to what an event says leads to quarantine.
func TestMayBlameEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		failure *SendError
		want    bool
	}{
		{nil, false},
		{&SendError{StatusCode: http.StatusInternalServerError}, true},
		{&SendError{StatusCode: http.StatusServiceUnavailable}, true},
		{&SendError{StatusCode: http.StatusServiceUnavailable, RetryAfter: time.Second}, false},
		{&SendError{Err: errors.New("connection reset")}, true},
		{&SendError{StatusCode: http.StatusForbidden}, true},
		{&SendError{StatusCode: http.StatusForbidden, RetryAfter: time.Second}, false},
		{&SendError{StatusCode: http.StatusOK, Err: fmt.Errorf("%w: of a firewall", errWebPage)}, true},
		{&SendError{StatusCode: http.StatusRequestTimeout}, false},
		{&SendError{StatusCode: http.StatusTooEarly}, false},
		{&SendError{StatusCode: http.StatusTooManyRequests}, false},
		{&SendError{StatusCode: http.StatusUnauthorized}, false},
		{&SendError{StatusCode: http.StatusNotFound}, false},
		{&SendError{StatusCode: http.StatusBadRequest}, false},
	} {
		if got := tt.failure.mayBlameEvents(); got != tt.want {
			t.Errorf("%+v: %v", tt.failure, got)
		}
	}
}
