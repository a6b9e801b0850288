package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// SendError is a request that did not deliver its events. A Transport that
// returns another error is taken to have had no answer.
type SendError struct {
	StatusCode int           // of the answer, 0 without one
	Attempts   int           // requests so far that carried the first of the events
	RetryAfter time.Duration // what the answer asked for, 0 without
	Message    string        // what the answer said
	Rejected   []Rejection   // the events it named
	Err        error         // why there was no usable answer
}

func (e *SendError) Error() string {
	switch {
	case e.StatusCode == 0 && e.Err == nil:
		return cmp.Or(e.Message, "no answer")
	case e.StatusCode == 0:
		return fmt.Sprintf("no answer: %v", e.Err)
	case e.Err != nil:
		return fmt.Sprintf("status %d: %v", e.StatusCode, e.Err)
	case e.Message != "":
		return fmt.Sprintf("status %d: %s", e.StatusCode, e.Message)
	default:
		return fmt.Sprintf("status %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	}
}

// Unwrap returns Err.
func (e *SendError) Unwrap() error { return e.Err }

// LogValue leaves out what the answer said: it could repeat what events say.
func (e *SendError) LogValue() slog.Value {
	logged := SendError{StatusCode: e.StatusCode}
	if e.Err != nil {
		logged.Err = errors.New(unquoted(e.Err))
	}
	return slog.StringValue(logged.Error())
}

// unquoted is the text of err without what it quotes of an answer.
func unquoted(err error) string {
	if request := (*url.Error)(nil); errors.As(err, &request) {
		err = request.Err // else what comes first is our own URL
	}
	if line := textproto.ProtocolError(""); errors.As(err, &line) {
		what, _, _ := strings.Cut(line.Error(), ": ")
		return what
	}
	text, _, isQuoted := strings.Cut(err.Error(), `"`)
	if isQuoted {
		text += "…"
	}
	return text
}

// Temporary reports whether the same request may succeed later.
func (e *SendError) Temporary() bool { return judge(e) == transient }

// asSendError returns the SendError in err, or wraps err in one.
func asSendError(err error) *SendError {
	var failure *SendError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		own := *failure // the transport may hand out the same one again
		return &own
	default:
		return &SendError{Err: err}
	}
}

// verdict says what an answer means for the events of its request.
type verdict int

const (
	delivered verdict = iota
	transient         // the same request may succeed later
	refused           // some event of the request is at fault
	halting           // nothing will be accepted until somebody acts
)

// judge reads the answer to a request; nil is success.
func judge(failure *SendError) verdict {
	if failure == nil {
		return delivered
	}
	switch code := failure.StatusCode; {
	case code >= 200 && code < 300: // and yet a failure: an event that the answer names
		return refused
	case code >= 300 && code < 400: // never followed: it would carry the key elsewhere
		return halting
	case code == http.StatusUnauthorized, code == http.StatusForbidden,
		code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		return halting
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge,
		code == http.StatusUnprocessableEntity:
		return refused
	default:
		// 408, 425, 429, 5xx, no answer, an answer cut short, and codes nobody
		// foresaw: keeping an event is the lesser mistake.
		return transient
	}
}

// maybeOfEvents reports a failure that may be for what events say: the server failed
// of it, perhaps without a word, or a firewall before it took offence. It is not
// where the answer asks to wait, or finds nothing wrong but who asks, or where.
func (e *SendError) mayBlameEvents() bool {
	if e == nil || e.RetryAfter > 0 {
		return false
	}
	switch e.StatusCode {
	case http.StatusForbidden:
		return true
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return judge(e) == transient
	}
}

// Outcome names what came of a request: delivered, refused, retried or halted.
// No failure is nil.
func (e *SendError) Outcome() string {
	switch judge(e) {
	case delivered:
		return "delivered"
	case refused:
		return "refused"
	case halting:
		return "halted"
	default:
		return "retried"
	}
}
