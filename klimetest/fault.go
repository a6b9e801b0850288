package klimetest

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is what happens to one request in place of Klime's answer.
type Fault struct {
	kind       faultKind
	status     int
	retryAfter time.Duration
	indexes    []int
}

type faultKind int

const (
	answerStatus faultKind = iota + 1
	answerNothing
	cutConnection
	rejectEvents
)

// Status answers with an HTTP status. The events are not taken. It panics if no answer
// can have that status: see [http.ResponseWriter]; a 1xx would be followed by another.
func Status(code int) Fault { return RetryAfter(code, 0) }

// RetryAfter is Status with a Retry-After header of whole seconds, rounded up.
func RetryAfter(code int, wait time.Duration) Fault {
	if code < 200 || code > 999 {
		panic(fmt.Sprintf("klimetest: no answer can have the status %d", code))
	}
	return Fault{kind: answerStatus, status: code, retryAfter: wait}
}

// Hang does not answer until the client gives up the request, or the test ends. The
// events are not taken.
func Hang() Fault { return Fault{kind: answerNothing} }

// Cut takes the events, and cuts the connection before the answer. The client cannot
// know that they have arrived, and sends them again with the same message IDs.
func Cut() Fault { return Fault{kind: cutConnection} }

// Reject refuses the events at these indexes of the batch, from 0. The others are
// checked as ever: a wrong write key or an invalid event is still refused.
func Reject(indexes ...int) Fault { return Fault{kind: rejectEvents, indexes: indexes} }

// text returns the fault as a test would write it.
func (f Fault) text() string {
	switch f.kind {
	case answerStatus:
		if f.retryAfter > 0 {
			return fmt.Sprintf("RetryAfter(%d, %v)", f.status, f.retryAfter)
		}
		return fmt.Sprintf("Status(%d)", f.status)
	case answerNothing:
		return "Hang()"
	case cutConnection:
		return "Cut()"
	case rejectEvents:
		return "Reject(" + strings.ReplaceAll(strings.Trim(fmt.Sprint(f.indexes), "[]"), " ", ", ") + ")"
	default:
		return "none"
	}
}

// answer answers with f's status.
func (f Fault) answer(w http.ResponseWriter) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
	}
	w.WriteHeader(f.status)
}
