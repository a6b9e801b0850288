package delivery

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	maxMessage = 300 // characters of an answer's message that are kept
	maxCode    = 64  // of an event's error code
)

// answer is Klime's answer to a batch, as far as it can be read: a field of the wrong
// type counts as missing.
type answer struct {
	Accepted looseInt      `json:"accepted"`
	Failed   looseInt      `json:"failed"`
	Message  looseString   `json:"message"`
	Error    looseString   `json:"error"`
	Errors   []answerError `json:"errors"`
}

// answerError is an entry of errors. Without an index it names no event.
type answerError struct {
	Index   looseInt    `json:"index"`
	Code    looseString `json:"code"`
	Message looseString `json:"message"`
}

// looseInt is an integer of 32 bits, also one written as 1.0. Anything else leaves it as it is.
type looseInt int

// UnmarshalJSON never fails.
func (i *looseInt) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64) // 1 may be written as 1.0
	if err == nil && f == math.Trunc(f) && math.Abs(f) <= math.MaxInt32 {
		*i = looseInt(f)
	}
	return nil
}

// looseString is a string, or "" for JSON of another type.
type looseString string

// UnmarshalJSON never fails.
func (t *looseString) UnmarshalJSON(b []byte) error {
	var s string
	_ = json.Unmarshal(b, &s)
	*t = looseString(s)
	return nil
}

// UnmarshalJSON never fails. A missing index becomes -1.
func (n *answerError) UnmarshalJSON(b []byte) error {
	type plain answerError
	p := plain{Index: -1}
	_ = json.Unmarshal(b, &p)
	*n = answerError(p)
	return nil
}

// unpack returns what an answer says that was compressed, which nobody asked for. It reads
// as much as of any other. An answer that is no gzip stays as it is.
func unpack(raw []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return raw
	}
	content, _ := io.ReadAll(io.LimitReader(r, maxAnswerBytes)) // what is cut short says as much as it says
	return content
}

// isWebPage reports whether an answer is HTML, or XML. Klime answers with JSON, and a success with
// any other body counts as one all the same: it may be empty, or a plain ok.
func isWebPage(raw []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n\ufeff"), []byte("<"))
}

// parseAnswer reads an answer. A server may quote what it was sent, at any length, so
// texts are cut and the key is hidden.
func (t *HTTP) parseAnswer(raw []byte) answer {
	var a answer
	_ = json.Unmarshal(raw, &a) // an error is most likely a proxy's page, whose status says enough
	clean := func(s looseString) looseString { return looseString(CutMessage(t.key.hideIn(string(s)))) }
	a.Message = clean(cmp.Or(a.Message, a.Error))
	for i := range a.Errors {
		a.Errors[i].Message = clean(a.Errors[i].Message)
		if code := string(a.Errors[i].Code); strings.Contains(code, string(t.key)) || !isCode(code) {
			a.Errors[i].Code = ""
		}
	}
	return a
}

// CutMessage leaves 300 characters of s.
func CutMessage(s string) string {
	if runes := []rune(s); len(runes) > maxMessage {
		return string(runes[:maxMessage]) + "…"
	}
	return s
}

// isCode reports whether s is a word such as "invalid_timestamp".
func isCode(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return len(s) <= maxCode
}

// rejections returns the events that the answer names. Their indexes may be wrong.
func (a *answer) rejections() []Rejection {
	rejected := make([]Rejection, len(a.Errors))
	for i, n := range a.Errors {
		rejected[i] = Rejection{Index: int(n.Index), Code: string(n.Code), Message: string(n.Message)}
	}
	return rejected
}

// refused returns the events of a batch that were not accepted: those that the answer
// names, and if it counts all as failed and none as accepted, all others. Other counts do
// not say which events they mean, so events that are not named count as accepted. Of those
// with the same index, the first counts.
func (a *answer) refused(events int) []Rejection {
	refused := a.rejections()
	if a.Accepted > 0 || int(a.Failed) < events {
		return refused
	}
	why := Rejection{Message: string(a.Message)}
	if events == 1 && len(a.Errors) > 0 { // it means the only event, whatever its index
		why = Rejection{Code: string(a.Errors[0].Code), Message: cmp.Or(string(a.Errors[0].Message), why.Message)}
	}
	for why.Index = range events {
		refused = append(refused, why)
	}
	return refused
}

// NewResult is the result of a request of which all events but the rejected ones were
// accepted.
func NewResult(events int, rejected []Rejection) Result {
	rejected = validRejections(rejected, events)
	return Result{Accepted: events - len(rejected), Failed: len(rejected), Rejected: rejected}
}

// validRejections keeps the rejections that name an event of the request, each event
// once.
func validRejections(rejections []Rejection, events int) []Rejection {
	var kept []Rejection
	seen := make(map[int]bool, len(rejections))
	for _, r := range rejections {
		if r.Index >= 0 && r.Index < events && !seen[r.Index] {
			seen[r.Index] = true
			kept = append(kept, r)
		}
	}
	return kept
}
