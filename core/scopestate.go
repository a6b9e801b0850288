package klime

// state is what is known of a request. There is one in each request, so it is small.
type state struct {
	knowledge
	remarks

	properties []property
	met        telemetry // the first that the app's calls have shown, or that the request came with
}

// remarks are the part of it that says what becomes of the request.
type remarks struct {
	event     string // its name, by the app
	route     *route // as the innermost middleware saw it that knows the path; nil if none knows one
	path      string // to which that belongs
	matched   bool   // an inner router has found a route, also if it goes by another path
	skip      bool
	silent    bool
	optedOut  bool // the client wants no tracking, and the middleware honors that
	metInside bool // state.met is of the app's calls
	apart     bool // it was made by the app within the request around it; set once
	respelled bool // an inner middleware saw the client sent to another form of the path
	unmatched bool // an inner middleware knows that the router has found nothing
}

// knowledge is the part of it that says whose request it is.
type knowledge struct {
	said         identity // by the app: SetUser, SetGroup, and the user of Link
	members      membership
	hasUser      bool          // said.user counts even if it is empty
	hasGrp       bool          // said.group counts even if it is empty
	linkRequired bool          // by the option RequireMembership
	closed       int32         // how many scopes of the request have ended; of a Scope that has joined, whether it has
	legacy       *closedScopes // of each Scope, also of one that has joined; nil while none has left anything
}

// closedScopes is what scopes knew that have joined another, and ended before it.
type closedScopes struct {
	found identity // by their resolvers
	held  identity // in their context values
}

// inherit adds to what closed scopes knew. Who reads it meanwhile has the old one.
func (k *knowledge) inherit(found, held identity) {
	legacy := new(closedScopes)
	if k.legacy != nil {
		*legacy = *k.legacy
	}
	fill(&legacy.found, found)
	fill(&legacy.held, held)
	k.legacy = legacy
}

// property is an encoded property.
type property struct {
	key   string
	value []byte
}

// maxProperties bounds how many properties the app adds to a request's event.
const maxProperties = 100

// maxPropertyBytes bounds the properties that the app adds to a request's
// event, so that one too many of them does not make the event too large.
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
