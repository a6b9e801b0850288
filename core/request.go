package klime

import (
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// request is what is known about a request. All its scopes share that of the root; each
// Scope has room for one, so it is small. Its mu guards it, and the fields of scopes that
// say so.
type request struct {
	knowledge
	remarks

	mu         sync.Mutex
	incoming   *http.Request // nil if not known, or once the request is over
	innermost  *Scope        // the innermost open scope, of siblings the last; nil once the request is over
	properties []property
	fallback   telemetry // used if the request did not begin under a span: see noteSpan and noteTraceparent
}

// remarks are the part of a request that says how to record the request: what the
// app has asked for, and what inner middlewares have seen.
type remarks struct {
	event              string // the event's name, by SetEvent or an inner middleware's rules
	route              *route // as the innermost middleware that saw the path below knows it; nil if it does not
	path               string
	matched            bool // an inner router has found a route, perhaps under another path
	skip               bool
	reused             bool // the framework has given its request to another one meanwhile
	silent             bool
	optedOut           bool // the client does not want to be tracked, and the middleware honors that
	fallbackFromInside bool // fallback is from a span inside the request, not from a header
	canonicalRedirect  bool // an inner middleware saw a redirect to another form of the path
	unmatched          bool // an inner router is known to have found no route
}

// knowledge is the part of a request that says whose request it is.
type knowledge struct {
	declared     identity // what the app has said, by SetUser, SetGroup and the user of Link; once settled, what was found beneath it
	members      membership
	hasUser      bool  // declared.user counts even if it is empty
	hasGroup     bool  // declared.group counts even if it is empty
	settled      bool  // the request is over, and what was found at its end is in declared
	linkRequired bool  // by the option RequireMembership
	ended        int32 // how many of the request's scopes have ended
}

// isOpen reports whether the request is still being served.
func (r *request) isOpen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.innermost != nil
}

// isOther reports whether incoming is not this request. If either is not known, it is
// taken for the same.
func (r *request) isOther(incoming *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if incoming == nil || r.incoming == nil {
		return false
	}
	switch passedOn := shareHeader(r.incoming.Header, incoming.Header); {
	case incoming.RequestURI == "": // read from no connection: the app has made it, or it was passed on
		return !passedOn
	case passedOn: // middlewares in between may have changed the RequestURI
		return false
	default:
		return r.incoming.RequestURI != incoming.RequestURI
	}
}

// shareHeader reports whether two headers are the same map. A request that is passed
// on keeps its map, unless it is copied with Clone.
func shareHeader(one, other http.Header) bool {
	return one != nil && reflect.ValueOf(one).Pointer() == reflect.ValueOf(other).Pointer()
}

// add takes in what an inner middleware has seen, and what its rules say.
func (r *remarks) add(x *Exchange, rt *route, rule ruling) {
	if r.route == nil || r.path != x.Path { // a route seen behind a stripped prefix is only a part of the whole
		r.path = strings.Clone(x.Path)
		if r.route = rt; rt.text == "" {
			r.route = nil
		}
	}
	r.matched = r.matched || !rt.catchAll || rt.text != "" && rule.name != ""
	r.unmatched = r.unmatched || x.Unmatched && rt.text == ""
	if r.event == "" && x.succeeded() {
		r.event = rule.name
	}
	r.skip = r.skip || rule.skip
	r.canonicalRedirect = r.canonicalRedirect || isCanonicalRedirect(x) // compares with the path as this middleware sees it
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
func (r *request) setProperty(key string, value []byte) bool {
	size, at := len(key)+len(value), len(r.properties)
	for i, p := range r.properties {
		if p.key == key {
			at = i
		} else {
			size += len(p.key) + len(p.value)
		}
	}
	switch {
	case size > maxPropertyBytes, at == maxProperties:
		return false
	case at < len(r.properties):
		r.properties[at].value = value
	default:
		r.properties = append(r.properties, property{key, value})
	}
	return true
}
