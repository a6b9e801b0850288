package klimetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Fault is what happens to one request in place of a proper answer.
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

// Status answers with an HTTP status; the events are not taken.
func Status(code int) Fault { return Fault{kind: answerStatus, status: code} }

// RetryAfter answers with an HTTP status and asks to wait, in whole seconds;
// the events are not taken.
func RetryAfter(code int, wait time.Duration) Fault {
	return Fault{kind: answerStatus, status: code, retryAfter: wait}
}

// Hang answers nothing until the client gives the request up; the events are
// not taken.
func Hang() Fault { return Fault{kind: answerNothing} }

// Cut takes the events, and then cuts the connection before the answer: the
// client cannot know, and sends them again with the same message IDs.
func Cut() Fault { return Fault{kind: cutConnection} }

// Reject takes all events but those at these places of the batch, from 0.
func Reject(indexes ...int) Fault { return Fault{kind: rejectEvents, indexes: indexes} }

// rejectCode is the code of the events that a Reject names.
const rejectCode = "rejected"

// without returns a batch without the events at these places, and how many
// events are left and were named.
func without(body []byte, indexes []int) (rest []byte, kept int, named []int) {
	var batch struct {
		Batch []json.RawMessage `json:"batch"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return body, 0, nil
	}
	left := []json.RawMessage{}
	for i, event := range batch.Batch {
		if slices.Contains(indexes, i) {
			named = append(named, i)
		} else {
			left = append(left, event)
		}
	}
	batch.Batch = left
	rest, _ = json.Marshal(batch) //nolint:errchkjson // raw messages that were just read
	return rest, len(left), named
}

// partial is the answer to a batch of which some events were rejected.
func partial(kept int, named []int) []byte {
	type rejection struct {
		Index   int    `json:"index"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	errs := make([]rejection, len(named))
	for i, index := range named {
		errs[i] = rejection{Index: index, Code: rejectCode, Message: "rejected by the test"}
	}
	answer, _ := json.Marshal(struct { //nolint:errchkjson // strings and numbers
		Status   string      `json:"status"`
		Accepted int         `json:"accepted"`
		Failed   int         `json:"failed"`
		Errors   []rejection `json:"errors"`
	}{"ok", kept, len(named), errs})
	return answer
}

// answer answers with f's status.
func (f Fault) answer(w http.ResponseWriter) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	w.WriteHeader(f.status)
}
