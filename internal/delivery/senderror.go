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
