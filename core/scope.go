package klime

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Scope is whose request this is: what the app said of it, and how to find out
// the rest. It is itself the context of the request, over the one that was
// there before. All its methods are safe for concurrent use, and on nil.
//
// A Scope is never reused, so that a context made from it may outlive the
// request: events tracked with it later still belong to the right user.
type Scope struct {
	parent  context.Context
	tracker *Tracker
	around  *Scope // in whose open request this one was begun, of whichever client; nil for none
	outer   *Scope // that this one has joined; nil for the outermost, which holds the state

	came *http.Request // of the outermost, until it is over; nil if not known

	request   loan       // of the framework's request
	mu        sync.Mutex // guards all below, which is of use in the outermost scope only
	innermost *Scope     // of those that are still open, or of several such the last one
	state     state
}

// scopeKey finds the Scope in a context.
type scopeKey struct{}

// ScopeKey is the plain string key under which adapters whose context holds
// only string keys keep the Scope. It is of use to adapters alone.
const ScopeKey = "github.com/klimeapp/klime-go/scope"

// ScopeFrom returns the Scope of the request that ctx belongs to, nil if there
// is none.
func ScopeFrom(ctx context.Context) *Scope {
	if ctx == nil {
		return nil
	}
	if s, ok := ctx.Value(scopeKey{}).(*Scope); ok {
		return s
	}
	s, _ := ctx.Value(ScopeKey).(*Scope)
	return s
}

// Deadline implements [context.Context].
func (s *Scope) Deadline() (time.Time, bool) { return s.context().Deadline() }

// Done implements [context.Context].
func (s *Scope) Done() <-chan struct{} { return s.context().Done() }

// Err implements [context.Context].
func (s *Scope) Err() error { return s.context().Err() }

// Value implements [context.Context].
func (s *Scope) Value(key any) any {
	if _, ok := key.(scopeKey); ok && s != nil {
		return s
	}
	return s.context().Value(key)
}

func (s *Scope) context() context.Context {
	if s == nil {
		return context.Background()
	}
	return s.parent
}

// Bind tells the Scope the framework's own request, which resolvers are asked
// with until [Tracker.Observe], and where that keeps the values of handlers, nil
// if nowhere else than in the Scope's parent. Both are used from any goroutine
// that tracks: values must be safe for concurrent use.
func (s *Scope) Bind(native any, values interface{ Value(key any) any }) {
	if s != nil {
		s.request.bind(native, values)
	}
}

// ReadHeader tells the Scope the headers of the request, before the handler: some
// options decide by them. Get is asked with names in their canonical form, as
// net/http has it, and is not kept.
func (s *Scope) ReadHeader(get func(name string) string) {
	if s == nil {
		return
	}
	if s.tracker.honorOptOut && (get("Sec-Gpc") == "1" || get("Dnt") == "1") {
		s.update(func(known *state) { known.optedOut = true })
	}
	if header := get("Traceparent"); header != "" {
		s.cameWith(header)
	}
}

// UserID returns whose event it would be now, "" if nobody is known.
func (s *Scope) UserID() string { return s.identify(s, nil).user }

// GroupID returns in which group an event would be now, "" if none is known.
func (s *Scope) GroupID() string { return s.identify(s, nil).group }

// update changes the request's state, if there is a request.
func (s *Scope) update(change func(*state)) {
	if s == nil {
		return
	}
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	change(&root.state)
}

// remarks returns what is said of the request so far.
func (s *Scope) remarks() remarks {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	return root.state.remarks
}

// isSilent reports whether nothing is sent of the request, by the app's word, which
// holds for every client, or by what the middleware honors.
func (s *Scope) isSilent() bool {
	if s == nil {
		return false
	}
	known := s.remarks()
	return known.silent || known.optedOut || s.root().isSilentAround()
}

func (s *Scope) client() *Client {
	if s == nil {
		return nil
	}
	return s.root().tracker.client
}
