package klime

import (
	"context"
	"time"
)

// Scope knows whose request this is: it holds what the app has said, and knows how
// to find out the rest. It is also the context of the request, derived from the one
// that was there before. All its methods are safe for concurrent use, and on nil.
//
// A Scope is never reused, so a context derived from it may outlive the request:
// events tracked with it later still belong to the right user.
type Scope struct {
	parent  context.Context
	tracker *Tracker
	around  *Scope // the Scope in whose open request this one was begun, of any client; nil if none
	root    *Scope // the outermost Scope of the request: this one, unless it has joined another

	// The flags fill a gap. A larger Scope makes each request of the net/http family 64 bytes
	// larger: see TestExchangeSize in internal/httpexchange.
	loan       loan      // lends the framework's request to resolvers
	found      *findings // by ended scopes within, and by itself once it has left; nil if by none. The request's mu guards it
	left       bool      // it has left the Scope that it had joined. The request's mu guards it
	nested     bool      // there is a Scope in parent, perhaps of a request that is over; set once
	subrequest bool      // the app made the request within the one around it; set once
	webhook    bool      // see noteWebhook. Used in the root only; the request's mu guards it
	asksUser   bool      // a middleware of the request has the option UserID. As webhook
	asksGroup  bool      // a middleware of the request has the option GroupID. As webhook

	own request // used in the root only
}

// request is what is known about the request of s: it lies in the root.
func (s *Scope) request() *request { return &s.root.own }

// scopeKey finds the Scope in a context.
type scopeKey struct{}

// ScopeKey is the key under which an adapter stores the Scope if its framework's
// context allows only string keys. Only adapters need it.
const ScopeKey = "github.com/klimeapp/klime-go/scope"

// ScopeFrom returns the Scope of the request that ctx belongs to, or nil.
func ScopeFrom(ctx context.Context) *Scope {
	s, isHidden := innermostIn(ctx)
	if isHidden {
		return nil
	}
	return s
}

// Deadline implements [context.Context].
func (s *Scope) Deadline() (time.Time, bool) { return s.context().Deadline() }

// Done implements [context.Context].
func (s *Scope) Done() <-chan struct{} { return s.context().Done() }

// Err implements [context.Context].
func (s *Scope) Err() error { return s.context().Err() }

// Value implements [context.Context]. It also finds the Scope itself.
func (s *Scope) Value(key any) any {
	if _, ok := key.(scopeKey); ok && s != nil {
		return s
	}
	return s.context().Value(key)
}

// String returns a name, so that printing the context of a request, as a log line may,
// neither tells whose it is nor reads what other goroutines write.
func (s *Scope) String() string { return "klime.Scope" }

func (s *Scope) context() context.Context {
	if s == nil {
		return context.Background()
	}
	return s.parent
}

// Bind gives the Scope the framework's own request, which is passed to resolvers
// until [Tracker.Observe], and the place where the framework keeps the values that
// handlers set: nil if that is the Scope's parent. Both are used from any goroutine
// that tracks events, so values must be safe for concurrent use.
//
// If a handler can outlive its request, as behind a timeout, the framework may reuse
// native before Observe. Then give values a method Current() bool that reports whether
// native is still this request: if it is not, neither is used, and Observe leaves the
// request out.
func (s *Scope) Bind(native any, values interface{ Value(key any) any }) {
	if s != nil {
		s.loan.bind(native, values)
	}
}

// ReadHeader lets the Scope read the request's headers before the handler runs. It
// looks for a trace, and for a wish not to be tracked (see [HonorOptOut]). It calls
// get with names in the canonical form of net/http, and does not keep it.
func (s *Scope) ReadHeader(get func(name string) string) {
	if s == nil {
		return
	}
	if s.tracker.honorOptOut && (get("Sec-Gpc") == "1" || get("Dnt") == "1") {
		s.update(func(r *request) { r.optedOut = true })
	}
	if header := get("Traceparent"); header != "" {
		s.noteTraceparent(header)
	}
}

// UserID returns the user to whom an event would belong now, "" if none is known.
func (s *Scope) UserID() string { return s.identify(s).user }

// GroupID returns the group to which an event would belong now, "" if none is known.
func (s *Scope) GroupID() string { return s.identify(s).group }

// Silenced reports whether nothing would be sent from the request, or the work of a
// [Client.NewContext], now: the app has called [Silence], or the user asks not to be
// tracked ([HonorOptOut]). It does not go with what is handed to a queue: hand it over too,
// and call Silence there.
func (s *Scope) Silenced() bool { return s.isSilentTo(s.client()) }

// update calls change with the request, under its lock. On nil it does nothing.
func (s *Scope) update(change func(*request)) {
	if s == nil {
		return
	}
	r := s.request()
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// noteWebhook notes that a handler has sent an event of a user or group that it named, as
// for a webhook: that the request is nobody's is then no mistake.
func (s *Scope) noteWebhook() { s.update(func(*request) { s.root.webhook = true }) }

// noteOptions notes, in the root, what the options of a middleware mean for the request. The
// request's lock must be held.
func (s *Scope) noteOptions(t *Tracker) {
	s.own.requireMembership = s.own.requireMembership || t.requireMembership
	s.asksUser, s.asksGroup = s.asksUser || t.user != nil, s.asksGroup || t.group != nil
}

// hasOption reports whether a middleware of the request has an option for the ID that the
// plain key stands for.
func (s *Scope) hasOption(key string) (has bool) {
	s.update(func(*request) { has = key == userKey && s.root.asksUser || key == groupKey && s.root.asksGroup })
	return has
}

// remarks returns a copy of the request's remarks as they are now.
func (s *Scope) remarks() remarks {
	r := s.request()
	r.mu.Lock()
	remarks := r.remarks
	r.mu.Unlock()
	return remarks
}

func (s *Scope) client() *Client {
	if s == nil {
		return nil
	}
	return s.root.tracker.client
}
