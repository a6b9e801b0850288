package klime

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Kind is what a request was, for the customer who made it.
type Kind int

// The kinds of requests.
const (
	KindAPI    Kind = iota // recorded as "API Called"
	KindPage               // recorded as "Page Viewed"
	KindStream             // recorded as "API Called", with protocol and openMs
	KindAsset              // not recorded: part of a page
	KindNoise              // not recorded: nobody's doing
)

// classify tells what a request was, by the response and then the request, and
// whether it was for a health check. It depends on nothing else.
func classify(x *Exchange, health bool) Kind {
	mediaType := mediaTypeOf(x.ContentType)
	switch {
	case x.Status == http.StatusSwitchingProtocols, mediaType == "text/event-stream":
		return KindStream
	case health || isNoise(x):
		return KindNoise
	case x.Method != http.MethodGet || x.Status >= http.StatusBadRequest || x.Panicked:
		return KindAPI
	case x.Status == http.StatusNotModified:
		return classifyNotModified(x)
	case isAsset(mediaType):
		return KindAsset
	case isHTML(mediaType) && !isFragment(x):
		return KindPage
	default:
		return KindAPI
	}
}

// isNoise reports requests that say nothing about a customer.
func isNoise(x *Exchange) bool {
	redirect := x.Status >= 300 && x.Status < 400 && x.Status != http.StatusNotModified
	switch {
	case isNoiseMethod(x.Method), isUnmatched(x), respells(x):
		return true
	case x.Method == http.MethodGet:
		return redirect || isPrefetch(x) || isProbe(x.header("User-Agent"))
	default:
		return false
	}
}

// isNoiseMethod reports methods that ask about something rather than for it. Such
// a request is no event of its route, whatever that is called.
func isNoiseMethod(method string) bool {
	switch method {
	case http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return true
	default:
		return false
	}
}

// isUnmatched reports requests for which there is no route. A route that takes the
// rest of a path may be another router's prefix, which does not tell more: there,
// nothing found is no route.
func isUnmatched(x *Exchange) bool {
	prefix := x.Route == "" || strings.HasSuffix(x.Route, "*")
	nothing := x.Status == http.StatusNotFound || x.Status == http.StatusMethodNotAllowed
	return prefix && nothing || x.Route == "" && x.Unmatched && x.Status >= http.StatusBadRequest && !x.Panicked
}

// respells reports a redirect to another form of the path that was asked for, as
// routers make them: a clean one, in the right case, with or without a slash at
// its end. Nothing is done yet, and the client will ask again.
func respells(x *Exchange) bool {
	switch x.Status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return false
	}
	location, err := url.Parse(x.Location)
	return err == nil && location.Path != x.Path && strings.EqualFold(path.Clean(location.Path), path.Clean(x.Path))
}

// isPrefetch reports a browser's guess at what its user will want
// (Sec-Purpose, and its predecessors Purpose and X-Moz).
func isPrefetch(x *Exchange) bool {
	for _, name := range [...]string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if strings.Contains(x.header(name), "prefetch") {
			return true
		}
	}
	return false
}

// isProbe knows the clients that ask whether the app is alive.
func isProbe(userAgent string) bool {
	for _, prefix := range [...]string{"kube-probe/", "GoogleHC/", "ELB-HealthChecker/"} {
		if strings.HasPrefix(userAgent, prefix) {
			return true
		}
	}
	return false
}

// classifyNotModified goes by what was asked for: the answer has no content.
func classifyNotModified(x *Exchange) Kind {
	switch dest := x.header("Sec-Fetch-Dest"); dest {
	case "document", "iframe", "frame":
		return KindPage
	case "empty":
		return KindAPI
	case "": // an old browser, or none
	default:
		return KindAsset
	}
	accept := x.header("Accept")
	switch {
	case strings.Contains(accept, "text/html") && !isFragment(x):
		return KindPage
	case strings.HasPrefix(accept, "image/"), strings.HasPrefix(accept, "text/css"):
		return KindAsset
	default:
		return KindAPI
	}
}

// isFragment reports HTML that goes into a page rather than being one: fetched
// by a script, by htmx (unless it stands for a page load) or by a Turbo frame.
func isFragment(x *Exchange) bool {
	switch {
	case x.header("Hx-Boosted") == "true": // a link that htmx follows in the browser's stead, by a fetch
		return false
	case x.header("Hx-Request") == "true", x.header("Turbo-Frame") != "":
		return true
	}
	switch x.header("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return false
	default:
		return true
	}
}

func isHTML(mediaType string) bool {
	return mediaType == "text/html" || mediaType == "application/xhtml+xml"
}

// isAsset knows the parts of a page.
func isAsset(mediaType string) bool {
	switch mediaType {
	case "text/css", "text/javascript", "application/javascript", "application/wasm", "application/manifest+json":
		return true
	default:
		return strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "font/")
	}
}

// mediaTypeOf returns the media type of a Content-Type, lower case, without
// its parameters.
func mediaTypeOf(contentType string) string {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}
