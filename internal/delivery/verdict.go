package delivery

import (
	"errors"
	"net/http"
)

// Temporary reports whether the same request may succeed later.
func (e *SendError) Temporary() bool { return judge(e) == transient }

// verdict says what an answer means for the events of its request.
type verdict int

const (
	delivered verdict = iota
	transient         // the same request may succeed later
	refused           // some event of the request is at fault
	halting           // nothing will be accepted until somebody changes something
)

// judge reads the answer to a request; nil is success.
func judge(failure *SendError) verdict {
	if failure == nil {
		return delivered
	}
	switch code := failure.StatusCode; {
	case code >= 200 && code < 300 && (failure.Err == nil || len(failure.Rejected) > 0): // the answer names events as refused
		return refused
	case failure.isMisdirected(), code == http.StatusUnauthorized, code == http.StatusForbidden:
		return halting
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge,
		code == http.StatusUnprocessableEntity:
		return refused
	default:
		// 408, 425, 429, 5xx, no answer, an answer cut short, and codes nobody
		// foresaw: to keep an event is the lesser mistake.
		return transient
	}
}

// isMisdirected reports whether the request went to something else than Klime. A redirect
// is not followed: that would send the key elsewhere.
func (e *SendError) isMisdirected() bool {
	code := e.StatusCode
	return code >= 300 && code < 400 || code == http.StatusNotFound || code == http.StatusMethodNotAllowed || errors.Is(e.Err, errWebPage)
}

// mayBlameEvents reports whether a request may have failed because of what its
// events say: the server failed on it, perhaps without an answer, or a firewall
// blocked it (403). It is false if the answer asks to wait, objects to the key or
// the address, or refuses events outright: such a batch is split instead.
func (e *SendError) mayBlameEvents() bool {
	if e == nil || e.RetryAfter > 0 {
		return false
	}
	if e.isForbidden() {
		return true
	}
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return judge(e) == transient
	}
}

// Verdict says in one word how a request ended: delivered (also for a nil e),
// refused, retried or halted.
func (e *SendError) Verdict() string {
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

// isForbidden reports whether the answer may be that of a firewall, which turns away some
// events for what they say. Some do so by a page with a status of 200.
func (e *SendError) isForbidden() bool {
	return e.StatusCode == http.StatusForbidden || errors.Is(e.Err, errWebPage)
}
