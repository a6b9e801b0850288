package klime

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Exchange is what an adapter reports about one finished request. Its strings may lie
// in memory that the framework reuses: those that are kept are copied.
type Exchange struct {
	Method string // as requested
	Path   string // as requested, percent-decoded; compared with patterns, and sent only if [Capture] asks for it
	Route  string // the router's pattern, "" if none matched or it is not known; a parameter within a segment must be in braces: /user_{name}

	Status        int                      // of the final answer, 0 if none was written or it is not known
	RequestBytes  int64                    // of the body; negative if not known, 0 if there was none
	ResponseBytes int64                    // of the body; negative if not known, 0 if there was none
	Start         time.Time                // the zero time if not known
	ContentType   string                   // of the answer, "" if it has none
	Location      string                   // the header of the answer; it counts only if the status is 3xx
	GRPCStatus    string                   // the header or trailer Grpc-Status of an answer whose type is application/grpc…; "" if it has none
	Header        func(name string) string // returns a request header by its canonical name; may be nil

	// Caller tells what is known of who made the request. If set, it is used instead of
	// Header, and costs no allocation if its type is a pointer. It may be nil.
	Caller Caller

	Panicked bool // the handler panicked: unless Aborted, the status is 500, whatever Status says. See Recovered
	Aborted  bool // the panic was http.ErrAbortHandler, or the caller went away; ignored after an answer 204 or 304 without a panic

	// Unanswered says that no handler has answered: Status is what the framework then
	// sends, or 0 for 200. If the request's context has ended, whoever ended it may
	// answer instead, so that the request counts as aborted, unless it is Unmatched and has a
	// Status: then the router answers.
	Unanswered bool

	// AnsweredOutside says that a handler has failed and left the answer to whoever is
	// outside of the adapter, as with the errors of a Gin context. Status, ResponseBytes and
	// ContentType are then not known, and are ignored. The request counts as failed: its
	// event has no name of its own, and a group that it only claims does not count. If the
	// request's context has ended, it counts as aborted as well. AnsweredOutside is ignored
	// if Hijacked, after a panic, and in a middleware that has joined another, which sees
	// the answer.
	AnsweredOutside bool

	// Hijacked says that a handler has taken over the connection without an answer, and
	// writes to it directly, which the adapter cannot see. The status is then 101 if the
	// caller has asked for another protocol, and not known otherwise. Status, ResponseBytes,
	// ContentType, Location, Unanswered and AnsweredOutside are ignored.
	Hijacked bool

	// Conn is the connection that a handler has taken over, nil if none. If it is still open,
	// the handler has left it to goroutines: Unfinished then holds. It also does if that
	// cannot be told, as of a connection that the listener has wrapped.
	Conn net.Conn

	// Unmatched says that the router is known to have found no route. An answer of
	// 400 or above is then no event. If Route is set, Unmatched is ignored.
	Unmatched bool

	// Unfinished says that the answer goes on after Observe, as a stream does whose
	// end the framework does not report. Its duration is then left out.
	Unfinished bool

	// Values is where the framework keeps the values that handlers have set, such as
	// the context at the end of the request. It may be nil, and is read in Observe
	// only.
	Values interface{ Value(key any) any }

	// Native is the framework's own request, for resolvers, if the adapter has not
	// called Scope.Bind.
	Native any

	gaveUp   bool          // the panic was http.ErrAbortHandler
	upgraded bool          // Status was 101, even if a panic has changed it since
	matched  bool          // an inner router has found a route, perhaps under another path
	took     time.Duration // from Start to Observe, if there is a Start
}

// Caller is who made a request: a browser, say, or another program.
type Caller interface {
	// Header returns a header of the request, "" if it has none. The name is in the
	// canonical form of net/http: "User-Agent".
	Header(name string) string
	// ClientIP returns the caller's address by the framework's rules for proxies,
	// "" if it is not known.
	ClientIP() string
}

// Recovered takes what recover has returned after the handler, nil if there was no
// panic. That it was http.ErrAbortHandler is ignored where the caller has left a
// stream of server-sent events.
func (x *Exchange) Recovered(v any) {
	x.Panicked = v != nil
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it in the same way
		x.Aborted, x.gaveUp = true, true
	}
}

// settle completes what the adapter has reported at the end of s.
func (x *Exchange) settle(s *Scope) {
	if x.gaveUp && mediaTypeOf(x.ContentType) == eventStream && errors.Is(s.root.Err(), context.Canceled) {
		x.Panicked = false // httputil.ReverseProxy ends so when the caller leaves
	}
	x.AnsweredOutside = x.AnsweredOutside && !x.Hijacked && !x.Panicked && s == s.root
	switch {
	case x.Hijacked:
		x.hijack()
	case x.AnsweredOutside:
		x.Status, x.ResponseBytes, x.ContentType = 0, -1, ""
		x.Aborted = x.Aborted || s.Err() != nil
	case x.Unanswered:
		x.assumeAnswer(s.Err())
	}
	x.took = time.Since(x.Start) // functions of the app that are asked later do not count; of no use without a Start
	x.Unfinished = x.Unfinished || x.mayBeOpen()
}

// assumeAnswer sets what is most likely sent for a request that no handler has answered.
// ended is why its context has ended, nil if it has not.
func (x *Exchange) assumeAnswer(ended error) {
	switch {
	case x.Panicked:
	case x.Unmatched && x.Route == "" && x.Status != 0: // the router answers
	case ended != nil:
		x.Aborted, x.Status = true, 0
	case x.Status == 0:
		x.Status = http.StatusOK
	}
}

// hijack sets what a handler most likely writes to a connection that it has taken over.
// It may be anything unless the caller has asked for another protocol.
func (x *Exchange) hijack() {
	x.Status, x.ResponseBytes, x.ContentType, x.Location = 0, -1, "", ""
	if x.header("Upgrade") != "" {
		x.Status = http.StatusSwitchingProtocols
	}
}

// normalize adjusts x to what the caller has really received.
func (x *Exchange) normalize() {
	x.Method = knownMethod(x.Method)
	if x.Status/100 != 3 {
		x.Location = "" // that of a 201 is what was created
	}
	x.upgraded = x.speaksAnotherProtocol()
	switch {
	case x.Panicked && x.Aborted:
		x.Status = 0 // the answer is not complete
	case x.Panicked:
		x.Status = http.StatusInternalServerError
	}
	bodyless := x.Status == http.StatusNoContent || x.Status == http.StatusNotModified
	switch {
	case x.upgraded:
		x.ResponseBytes = -1 // nobody has counted what was sent in the other protocol
	case bodyless, x.Method == http.MethodHead:
		x.ResponseBytes = 0 // a body that the framework has counted is not sent
	}
	if bodyless {
		x.Aborted = false // a caller that goes away has already had the whole answer
	}
}

// mayBeOpen reports whether a handler has taken over the connection and may not have
// closed it.
func (x *Exchange) mayBeOpen() bool {
	conn := x.Conn
	if conn == nil {
		return false
	}
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok { // as of TLS
		conn = secured.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	return err == nil && raw.Control(func(uintptr) {}) == nil // fails once closed
}

// turnsAway reports whether the answer refuses the caller, so that the group it claims
// cannot be trusted. With gRPC, it does so behind a status 200.
func (x *Exchange) turnsAway() bool {
	if x.AnsweredOutside {
		return true // perhaps
	}
	switch x.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	switch x.GRPCStatus {
	case "5", "7", "12", "16": // NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED (no such method), UNAUTHENTICATED
		return true
	}
	return false
}

// succeeded reports whether a handler did what it was asked to, as far as its answer tells.
func (x *Exchange) succeeded() bool {
	unanswered := x.Panicked || x.AnsweredOutside || x.Aborted && x.Status == 0
	return !unanswered && x.fault() == noFault
}

// speaksAnotherProtocol reports whether the connection was taken over, as by a WebSocket.
func (x *Exchange) speaksAnotherProtocol() bool {
	return x.upgraded || x.Status == http.StatusSwitchingProtocols
}

// header returns a header of the request, "" if it has none.
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
