package klime

import "context"

// NewContext returns a context for work that belongs to no request, such as a job or a
// message from a queue: in it, [Track], [Link] and the client's own methods act for this
// user and group, as they do in a request of theirs. So one function can serve both.
// Either ID may be empty. [SetUser] and [SetGroup] change them for all who hold the
// context, so make one for each piece of work.
//
// ctx may be that of a request, if it may be kept (of Gin, c.Request.Context() and not c;
// of Fiber 2, c.UserContext() and not c.Context()): whose request that is, and what options
// of its middleware add, no longer counts, but its [Silence] and [HonorOptOut] do. Within a
// Middleware it does not say whose that request is: the request's own event is still that of
// whoever SetUser and SetGroup name in its own context, or nobody's.
//
// A request that the app makes to itself in the work is that user's, unless somebody else
// is known there. So is any request that passes a Middleware within the work, but for those
// over a connection of a net/http server whose BaseContext or ConnContext is of NewContext.
//
// The work itself is no event, so [SetEvent], [SetProperty] and [Skip] do nothing. In what a nil
// Client returns, functions such as [Track] do nothing, even if ctx is another client's.
func (c *Client) NewContext(ctx context.Context, userID, groupID string) context.Context {
	if c == nil {
		return withoutScope(ctx)
	}
	s := &Scope{parent: orBackground(ctx), tracker: &c.workTracker}
	s.root = s
	around, isHidden := innermostIn(s.parent)
	s.nested, s.subrequest = around != nil, around != nil
	if around != nil && !isHidden && (around.isWork() || around.request().isOpen()) {
		s.around = around
		around.update(func(r *request) { s.own.fallback = r.fallback })
	}
	if id := s.keep(userID, ErrMissingUser); id != "" {
		s.own.declareUser(id)
	}
	if id := s.keep(groupID, ErrMissingGroup); id != "" {
		s.own.declareGroup(id)
	}
	s.own.frozen = true // as of a request that is over: nobody else is asked, and nothing joins it
	return s
}

// isWork reports whether s is of a NewContext.
func (s *Scope) isWork() bool {
	return s.tracker.client != nil && s.tracker == &s.tracker.client.workTracker
}
