package klime

import (
	"net/http"
	"time"
)

// Exchange is what an adapter reports of one finished request. Strings are
// copied where they are kept: they may live in memory that the framework
// reuses.
type Exchange struct {
	Method string // as requested
	Path   string // as requested, percent-decoded, to recognise health checks; sent only if [Capture] asks for it
	Route  string // the router's pattern, "" if none matched or it is not known; within a segment, a parameter is in braces: /user_{name}

	Status        int                      // of the final answer, 0 if none was written or it is not known
	RequestBytes  int64                    // of the body; negative if not known
	ResponseBytes int64                    // of the body; negative if not known
	Start         time.Time                // the zero time if not known
	ContentType   string                   // of the answer, "" if it has none
	Location      string                   // to which the answer redirects, "" if it does not
	Header        func(name string) string // of the request, by its canonical name; may be nil, and Caller may tell instead

	// Caller tells more of the request, where it is asked for; it goes before
	// Header, and costs no allocation if its type is a pointer. It may be nil.
	Caller Caller

	Panicked bool // the handler panicked: unless Aborted, the answer is a 500 whatever Status says. See Recovered
	Aborted  bool // the panic was http.ErrAbortHandler, or the client went away, which says nothing after an answer 204 or 304

	// Unmatched says that the router is known to have found no route: an answer of
	// 400 and above, whatever that is, is then no event. Next to a Route it says
	// nothing.
	Unmatched bool

	// Unfinished says that the answer goes on after Observe, as that of a stream
	// whose end the framework does not tell: how long it takes is left out.
	Unfinished bool

	// Values is where the framework keeps the values of handlers at the end of
	// the request, such as its context then; nil if it does not tell. It is
	// read in Observe only.
	Values interface{ Value(key any) any }

	// Native is the framework's own request, for resolvers, of an adapter that
	// has not called Scope.Bind.
	Native any

	upgraded bool // Status was 101, before a panic
}

// Caller is who made a request.
type Caller interface {
	// Header returns a header of the request, "" without. The name is in its
	// canonical form, as net/http has it: "User-Agent".
	Header(name string) string
	// ClientIP returns the client's address, by the framework's rules for proxies,
	// "" if it is not known.
	ClientIP() string
}

// Recovered notes what the handler panicked with, nil if it did not.
func (x *Exchange) Recovered(v any) {
	x.Panicked = v != nil
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it likewise
		x.Aborted = true
	}
}

// settle makes x what the client has seen.
func (x *Exchange) settle() {
	x.Method = knownMethod(x.Method)
	x.upgraded = x.speaksAnotherProtocol()
	switch {
	case x.Panicked && x.Aborted:
		x.Status = 0 // there is no whole answer
	case x.Panicked:
		x.Status = http.StatusInternalServerError
	}
	headOnly := x.Status == http.StatusNoContent || x.Status == http.StatusNotModified
	if headOnly || x.Method == http.MethodHead {
		x.ResponseBytes = 0 // whatever the framework has put there is not sent
	}
	if headOnly && !x.Panicked {
		x.Aborted = false // who goes away then has had the whole answer
	}
}

// ended is when a request has ended, which is now, and how long it took.
func (x *Exchange) ended() (now time.Time, took time.Duration) {
	if x.Start.IsZero() {
		return time.Now(), 0
	}
	took = time.Since(x.Start)
	return x.Start.Add(took), took
}

// unanswered reports whether the client got no answer of the handler's.
func (x *Exchange) unanswered() bool { return x.Panicked || x.Aborted && x.Status == 0 }

// speaksAnotherProtocol reports a connection that was taken over, such as a WebSocket's.
func (x *Exchange) speaksAnotherProtocol() bool {
	return x.upgraded || x.Status == http.StatusSwitchingProtocols
}

// header returns a header of the request, "" without.
func (x *Exchange) header(name string) string {
	switch {
	case x.Caller != nil:
		return x.Caller.Header(name)
	case x.Header != nil:
		return x.Header(name)
	default:
		return ""
	}
}
