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

// SendError is the failure of a request. If a Transport returns another error, it
// is taken as a request without an answer.
type SendError struct {
	StatusCode int           // of the answer; 0 if there was none
	Attempts   int           // requests so far that carried the first event
	RetryAfter time.Duration // what the answer asked for, or 0; asSendError bounds it
	Message    string        // what the answer said; asSendError cuts it
	Rejected   []Rejection   // the events that it named
	Err        error         // why there was no usable answer, or what it means (3xx, 401, 404, 405, a web page)
}

func (e *SendError) Error() string {
	switch {
	case e.StatusCode == 0 && e.Err == nil:
		return cmp.Or(e.Message, "no answer")
	case e.StatusCode == 0:
		return fmt.Sprintf("no answer: %v", e.Err)
	case e.Err != nil && e.Message != "":
		return fmt.Sprintf("status %d: %v: %s", e.StatusCode, e.Err, e.Message)
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

// LogValue leaves out what the answer said, which could repeat what events say.
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
		err = request.Err // whose text does not begin with our own URL in quotes
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
		own := *failure                       // a copy: the Transport may return the same one again
		own.Message = CutMessage(own.Message) // reports keep it
		own.RetryAfter = min(max(own.RetryAfter, 0), maxRetryAfter)
		return &own
	default:
		return &SendError{Err: err}
	}
}
