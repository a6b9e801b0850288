package klime

// state is what is known about a request. Each Scope has one, so it is small.
type state struct {
	knowledge
	remarks

	properties []property
	fallback   telemetry // used if the request did not begin under a span: see noteSpan and noteTraceparent
}

// remarks are the part of the state that says how to record the request: what the
// app has asked for, and what inner middlewares have seen.
type remarks struct {
	event              string // the event's name, by SetEvent or an inner middleware's rules
	route              *route // as the innermost middleware that saw the path below knows it; nil if it does not
	path               string
	matched            bool // an inner router has found a route, perhaps under another path
	skip               bool
	silent             bool
	optedOut           bool // the client does not want to be tracked, and the middleware honors that
	fallbackFromInside bool // state.fallback is from a span inside the request, not from a header
	subrequest         bool // of each Scope: the app made the request within the one around it; set once
	canonicalRedirect  bool // an inner middleware saw a redirect to another form of the path
	unmatched          bool // an inner router is known to have found no route
}

// knowledge is the part of the state that says whose request it is.
type knowledge struct {
	declared     identity // what the app has said, by SetUser, SetGroup and the user of Link
	members      membership
	hasUser      bool         // declared.user counts even if it is empty
	hasGroup     bool         // declared.group counts even if it is empty
	linkRequired bool         // by the option RequireMembership
	ended        int32        // in the root: how many of the request's scopes have ended; in others: 1 if this one has
	inner        *endedScopes // of each Scope: what ended scopes within have left to it; nil if nothing
}

// endedScopes is what scopes that had joined another knew when they ended.
type endedScopes struct {
	resolved identity // from their resolvers
	stored   identity // from context values
}

// addEnded adds what an ended scope knew. It copies, as others may be reading the old
// value.
func (k *knowledge) addEnded(resolved, stored identity) {
	sum := new(endedScopes)
	if k.inner != nil {
		*sum = *k.inner
	}
	fill(&sum.resolved, resolved)
	fill(&sum.stored, stored)
	k.inner = sum
}

// property is an encoded property.
type property struct {
	key   string
	value []byte
}

// maxProperties is how many properties the app may add to a request's event.
const maxProperties = 100

// maxPropertyBytes is how many bytes these properties may have together. It leaves
// room for the rest of the event, which would be refused if it were too large.
const maxPropertyBytes = maxEventBytes - 16*1024

// setProperty sets a property, and reports whether there was room for it.
func (s *state) setProperty(key string, value []byte) bool {
	size, at := len(key)+len(value), len(s.properties)
	for i, p := range s.properties {
		if p.key == key {
			at = i
		} else {
			size += len(p.key) + len(p.value)
		}
	}
	switch {
	case size > maxPropertyBytes, at == maxProperties:
		return false
	case at < len(s.properties):
		s.properties[at].value = value
	default:
		s.properties = append(s.properties, property{key, value})
	}
	return true
}
