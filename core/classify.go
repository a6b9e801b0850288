package klime

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Kind is what a request was to the customer who made it.
type Kind int

// The kinds of requests.
const (
	KindAPI    Kind = iota // recorded as "API Called"
	KindPage               // recorded as "Page Viewed"
	KindStream             // recorded as "API Called", with protocol and openMs
	KindAsset              // not recorded: part of a page
	KindNoise              // not recorded: nothing that a customer did
)

// String returns the kind as it is logged.
func (k Kind) String() string {
	switch k {
	case KindAPI:
		return "API call"
	case KindPage:
		return "page"
	case KindStream:
		return "stream"
	case KindAsset:
		return "asset"
	case KindNoise:
		return "noise"
	default:
		return "unknown"
	}
}

const eventStream = "text/event-stream" // of server-sent events

// classify decides what a request was, and if it was an asset or noise, says why. It is
// a pure function of the response, the request, the ruling on its route, and whether
// the app has named the request or its route, here or further in.
func classify(x *Exchange, rule ruling, named bool) (kind Kind, why outcome) {
	mediaType := mediaTypeOf(x.ContentType)
	failed := named && !x.succeeded()
	switch {
	case isNoiseMethod(x.Method):
		return KindNoise, outcomeAsksAbout
	case x.speaksAnotherProtocol(), mediaType == eventStream:
		return KindStream, ""
	case rule.health && !named:
		return KindNoise, outcomeHealthCheck
	}
	if why := noiseOf(x, rule, failed); why != "" {
		return KindNoise, why
	}
	switch {
	case x.Method != http.MethodGet || x.Status >= http.StatusBadRequest || x.Panicked || failed:
		return KindAPI, ""
	case x.Status == http.StatusNotModified:
		kind = classifyNotModified(x)
	case isAsset(mediaType), isPartOfPage(x.header("Sec-Fetch-Dest")):
		kind = KindAsset
	case isHTML(mediaType) && x.Status != http.StatusNoContent && !isFragment(x):
		kind = KindPage
	}
	if kind == KindAsset {
		why = outcomePartOfPage
	}
	return kind, why
}

// noiseOf says why a request tells nothing about a customer, "" if it may. A named route
// that has failed does, whoever asked.
func noiseOf(x *Exchange, rule ruling, failed bool) outcome {
	switch {
	case isUnmatched(x, rule):
		if x.Route != "" {
			return outcomeCatchAll
		}
		return outcomeNoRoute
	case x.Method != http.MethodGet:
		return ""
	case (!failed || x.Status == http.StatusServiceUnavailable) && isPrefetch(x): // a 503 declines to guess: the user will ask again
		return outcomePrefetched
	case failed:
		return ""
	case isProbe(x.header("User-Agent")):
		return outcomeProbed
	case x.Status >= 300 && x.Status < 400 && x.Status != http.StatusNotModified:
		return outcomeRedirected
	default:
		return ""
	}
}

// isNoiseMethod reports whether a method asks about a resource rather than for it. Such
// a request is not recorded, even if its route is named.
func isNoiseMethod(method string) bool {
	switch method {
	case http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return true
	default:
		return false
	}
}

// isUnmatched reports whether there is no route for a request. A route that ends in *
// may be the prefix under which another router is mounted. Then a 404 or 405 is taken to
// mean that the other router has no route either, unless the app has named the route,
// or a middleware inside that router has seen one.
func isUnmatched(x *Exchange, rule ruling) bool {
	if x.matched {
		return false
	}
	mayBeUnmatched := x.Route == "" || rule.name == "" && strings.HasSuffix(x.Route, "*")
	return mayBeUnmatched && x.isNotFound() || x.Route == "" && x.Unmatched && x.Status >= http.StatusBadRequest && !x.Panicked
}

// isNotFound reports whether the answer is one that routers give if they have no route.
func (x *Exchange) isNotFound() bool {
	return x.Status == http.StatusNotFound || x.Status == http.StatusMethodNotAllowed
}

// isCanonicalRedirect reports whether the answer redirects to another form of the
// requested URL. Routers do so to the path cleaned, in the right case, with or without a
// slash at its end; others for good to https, or the right host. Nothing has been done yet,
// and the caller will ask again. A temporary redirect may lead to a file elsewhere, and the
// 301 of a form to its own page.
func isCanonicalRedirect(x *Exchange) bool {
	switch x.Status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return false
	}
	raw, _, _ := strings.Cut(x.Location, "?") // the path, if it is not escaped, as by chi's RedirectSlashes
	location, err := url.Parse(x.Location)
	if err != nil {
		location = &url.URL{Path: raw}
	}
	again, _ := url.PathUnescape(location.Path) // escaped twice, as by http.ServeMux; else "" or the same
	if !isSamePath(location.Path, x.Path) && !isSamePath(again, x.Path) && !isSamePath(raw, x.Path) {
		return false
	}
	if location.Path != x.Path {
		return location.Host == "" || x.Status != http.StatusTemporaryRedirect
	}
	forGood := x.Status == http.StatusPermanentRedirect || x.Status == http.StatusMovedPermanently && x.Method == http.MethodGet
	return location.Host != "" && forGood
}

func isSamePath(a, b string) bool { return strings.EqualFold(path.Clean(a), path.Clean(b)) }

// isPrefetch reports whether a request only guesses what the user will open next. The
// browser says so in Sec-Purpose, or in its predecessors Purpose and X-Moz, Turbo in
// X-Sec-Purpose, and htmx's extension preload in HX-Preloaded.
func isPrefetch(x *Exchange) bool {
	purpose := cmp.Or(x.header("Sec-Purpose"), x.header("X-Sec-Purpose"), x.header("Purpose"), x.header("X-Moz"))
	if purpose == "" {
		return x.says("Hx-Preloaded")
	}
	purpose = strings.ToLower(purpose)
	return strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview")
}

// isProbe reports whether a caller is known to check whether the app is alive.
func isProbe(userAgent string) bool {
	return strings.HasPrefix(userAgent, "kube-probe/") || strings.HasPrefix(userAgent, "GoogleHC/") ||
		strings.HasPrefix(userAgent, "ELB-HealthChecker/")
}

// classifyNotModified decides by the request, as the answer 304 has no content.
func classifyNotModified(x *Exchange) Kind {
	dest, accept := x.header("Sec-Fetch-Dest"), x.header("Accept")
	switch {
	case isVisit(x), isDocument(dest):
		return KindPage
	case isPartOfPage(dest):
		return KindAsset
	case dest != "": // a script has fetched it, or it is embedded, and then hardly ever a page
		return KindAPI
	case acceptsHTML(accept) && !isFragment(x):
		return KindPage
	case strings.HasPrefix(accept, "image/"), strings.HasPrefix(accept, "text/css"):
		return KindAsset
	default:
		return KindAPI
	}
}

// acceptsHTML reports whether a header Accept names HTML, unless to refuse it (q=0).
func acceptsHTML(accept string) bool {
	for mediaRange := range strings.SplitSeq(accept, ",") {
		mediaType, parameters, _ := strings.Cut(mediaRange, ";")
		if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
			return !refuses(parameters)
		}
	}
	return false
}

// refuses reports whether the weight among the parameters of a media range is zero.
func refuses(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "q") {
			return strings.HasPrefix(value, "0") && strings.Trim(value, "0.") == ""
		}
	}
	return false
}

// isDocument, isEmbedded and isPartOfPage sort the values of Sec-Fetch-Dest, by which a
// browser says what it asks for (Fetch standard). A fetch by a script has "empty" or
// "json", for which all three are false, as they are for unknown values.

func isDocument(dest string) bool {
	return dest == "document" || dest == "iframe" || dest == "frame" || dest == "fencedframe"
}

// isEmbedded is true for what may be a page, a picture or something else, such as a PDF:
// only the type of the answer tells.
func isEmbedded(dest string) bool { return dest == "embed" || dest == "object" }

func isPartOfPage(dest string) bool {
	switch dest {
	case "audio", "audioworklet", "font", "image", "manifest", "paintworklet", "report", "script", "serviceworker", "sharedworker",
		"style", "track", "video", "webidentity", "worker", "xslt":
		return true
	default:
		return false
	}
}

// isVisit reports whether a fetch takes the place of a page load: htmx or Turbo follows
// a link instead of the browser.
func isVisit(x *Exchange) bool {
	return x.says("Hx-Boosted") || x.says("Hx-History-Restore-Request") ||
		x.header("X-Turbo-Request-Id") != "" && x.header("Turbo-Frame") == ""
}

// isFragment reports whether HTML becomes a part of a page rather than being one: a
// script, htmx or a Turbo frame has fetched it.
func isFragment(x *Exchange) bool {
	dest := x.header("Sec-Fetch-Dest")
	switch {
	case isVisit(x):
		return false
	case x.says("Hx-Request"), x.header("Turbo-Frame") != "":
		return true
	case dest == "": // an older browser, or a site without TLS: many libraries name themselves, and Android's WebView its app
		return x.header("X-Requested-With") == "XMLHttpRequest"
	default:
		return !isDocument(dest) && !isEmbedded(dest)
	}
}

// says reports whether the request has a header of htmx's for yes.
func (x *Exchange) says(name string) bool { return x.header(name) == "true" }

func isHTML(mediaType string) bool {
	return mediaType == "text/html" || mediaType == "application/xhtml+xml"
}

// isAsset reports whether a media type is usually that of a part of a page.
func isAsset(mediaType string) bool {
	switch mediaType {
	case "text/css", "text/javascript", "application/javascript", "application/x-javascript", "text/ecmascript",
		"application/ecmascript", "application/wasm",
		"application/manifest+json", "application/font-woff", "application/font-woff2", "application/vnd.ms-fontobject":
		return true
	}
	return strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "font/") ||
		strings.HasPrefix(mediaType, "video/") || strings.HasPrefix(mediaType, "audio/")
}

// mediaTypeOf returns the media type of a Content-Type in lower case, without
// parameters.
func mediaTypeOf(contentType string) string {
	switch contentType { // a fast path for the usual ones
	case "application/json", "application/json; charset=utf-8":
		return "application/json"
	case "text/html", "text/html; charset=utf-8":
		return "text/html"
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}
