package klimetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
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

// Hang answers nothing until the client gives the request up, or the test ends; the
// events are not taken.
func Hang() Fault { return Fault{kind: answerNothing} }

// Cut takes the events, and then cuts the connection before the answer: the
// client cannot know, and sends them again with the same message IDs.
func Cut() Fault { return Fault{kind: cutConnection} }

// Reject takes all events but those at these places of the batch, from 0, if
// Klime does: a wrong write key and invalid events are refused as ever.
func Reject(indexes ...int) Fault { return Fault{kind: rejectEvents, indexes: indexes} }

// The code of the events that a Reject names, and what is said of them.
const (
	rejectCode    = "rejected"
	rejectMessage = "rejected by the test"
)

// answer is Klime's answer to a batch.
type answer struct {
	Status   string      `json:"status"`
	Accepted int         `json:"accepted"`
	Failed   int         `json:"failed"`
	Errors   []rejection `json:"errors,omitempty"`
}

type rejection struct {
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// without returns a batch without the events at these places, and the places that
// the others have had. What is no batch is left to Klime.
func without(body []byte, indexes []int) (rest []byte, places, named []int) {
	var batch struct {
		Batch []json.RawMessage `json:"batch"`
	}
	if err := json.Unmarshal(body, &batch); err != nil || batch.Batch == nil {
		return body, nil, nil
	}
	left := []json.RawMessage{}
	for i, event := range batch.Batch {
		if slices.Contains(indexes, i) {
			named = append(named, i)
		} else {
			left, places = append(left, event), append(places, i)
		}
	}
	batch.Batch = left
	rest, _ = json.Marshal(batch) //nolint:errchkjson // raw messages that were just read
	return rest, places, named
}

// partial is Klime's answer to what a Reject has left of a batch, as the answer to
// all of it.
func partial(rest []byte, places, named []int) []byte {
	var whole answer
	_ = json.Unmarshal(rest, &whole) // it is ours
	for i := range whole.Errors {
		whole.Errors[i].Index = places[whole.Errors[i].Index]
	}
	for _, index := range named {
		whole.Errors = append(whole.Errors, rejection{Index: index, Code: rejectCode, Message: rejectMessage})
	}
	slices.SortFunc(whole.Errors, func(a, b rejection) int { return a.Index - b.Index })
	whole.Failed = len(whole.Errors)
	text, _ := json.Marshal(whole) //nolint:errchkjson // strings and numbers
	return text
}

// text is how a test would write the fault.
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
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	w.WriteHeader(f.status)
}
