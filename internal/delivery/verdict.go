package delivery

import "net/http"

// Temporary reports whether the same request may succeed later.
func (e *SendError) Temporary() bool { return judge(e) == transient }

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
