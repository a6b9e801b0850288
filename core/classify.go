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

// String returns the kind as the log has it.
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

// classify tells what a request was, by the response and then the request, and by
// what the app has said of its route. It depends on nothing else.
func classify(x *Exchange, rule ruling) Kind {
	mediaType := mediaTypeOf(x.ContentType)
	named := rule.name != ""
	switch {
	case isNoiseMethod(x.Method):
		return KindNoise
	case x.speaksAnotherProtocol(), mediaType == "text/event-stream":
		return KindStream
	case rule.health && !named, isNoise(x, rule):
		return KindNoise
	case x.Method != http.MethodGet || x.Status >= http.StatusBadRequest || x.Panicked:
		return KindAPI
	case x.Status == http.StatusNotModified:
		return classifyNotModified(x)
	case isAsset(mediaType), isPartOfPage(x.header("Sec-Fetch-Dest")):
		return KindAsset
	case isHTML(mediaType) && x.Status != http.StatusNoContent && !isFragment(x):
		return KindPage
	default:
		return KindAPI
	}
}

// isNoise reports requests that say nothing about a customer.
func isNoise(x *Exchange, rule ruling) bool {
	redirect := x.Status >= 300 && x.Status < 400 && x.Status != http.StatusNotModified
	switch {
	case isUnmatched(x, rule), isCanonicalRedirect(x):
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
// nothing found is no route, unless the app has named it or a middleware inside of
// that router has told.
func isUnmatched(x *Exchange, rule ruling) bool {
	if rule.matched {
		return false
	}
	prefix := x.Route == "" || rule.name == "" && strings.HasSuffix(x.Route, "*")
	nothing := x.Status == http.StatusNotFound || x.Status == http.StatusMethodNotAllowed
	return prefix && nothing || x.Route == "" && x.Unmatched && x.Status >= http.StatusBadRequest && !x.Panicked
}

// knownMethod is a method of HTTP (RFC 9110, 5789 and 4918), or "_OTHER" as
// OpenTelemetry has it: a client may make up any, and any number. What it returns
// may be kept, whatever becomes of the memory in which the method came.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet:
		return http.MethodGet
	case http.MethodHead:
		return http.MethodHead
	case http.MethodPost:
		return http.MethodPost
	case http.MethodPut:
		return http.MethodPut
	case http.MethodPatch:
		return http.MethodPatch
	case http.MethodDelete:
		return http.MethodDelete
	case http.MethodConnect:
		return http.MethodConnect
	case http.MethodOptions:
		return http.MethodOptions
	case http.MethodTrace:
		return http.MethodTrace
	case "QUERY":
		return "QUERY"
	case "PROPFIND":
		return "PROPFIND"
	case "PROPPATCH":
		return "PROPPATCH"
	case "MKCOL":
		return "MKCOL"
	case "COPY":
		return "COPY"
	case "MOVE":
		return "MOVE"
	case "LOCK":
		return "LOCK"
	case "UNLOCK":
		return "UNLOCK"
	case "REPORT":
		return "REPORT"
	default:
		return "_OTHER"
	}
}

// isCanonicalRedirect reports a redirect to another form of the path that was asked for, as
// routers make them: a clean one, in the right case, with or without a slash at
// its end. Nothing is done yet, and the client will ask again.
func isCanonicalRedirect(x *Exchange) bool {
	switch x.Status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return false
	}
	location, err := url.Parse(x.Location)
	return err == nil && location.Path != x.Path && strings.EqualFold(path.Clean(location.Path), path.Clean(x.Path))
}

// isPrefetch reports a guess at what a user will want, of the browser (Sec-Purpose,
// and its predecessors Purpose and X-Moz) or of Turbo (X-Sec-Purpose).
func isPrefetch(x *Exchange) bool {
	for _, name := range [...]string{"Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Moz"} {
		if purpose := x.header(name); purpose != "" {
			purpose = strings.ToLower(purpose)
			return strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview")
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
	dest, accept := x.header("Sec-Fetch-Dest"), x.header("Accept")
	switch {
	case isVisit(x), isDocument(dest):
		return KindPage
	case isPartOfPage(dest):
		return KindAsset
	case dest != "": // a script has fetched it, or it is embedded and most likely no page
		return KindAPI
	case strings.Contains(accept, "text/html") && !isFragment(x):
		return KindPage
	case strings.HasPrefix(accept, "image/"), strings.HasPrefix(accept, "text/css"):
		return KindAsset
	default:
		return KindAPI
	}
}

// isDocument, isEmbedded and isPartOfPage read Sec-Fetch-Dest, by the Fetch standard:
// for what a browser asks. A script that fetches is "empty" or "json", and none of
// these, nor is what is not known.

func isDocument(dest string) bool {
	return dest == "document" || dest == "iframe" || dest == "frame" || dest == "fencedframe"
}

// isEmbedded: by its type, it is a page, a picture, or something else, such as a PDF.
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

// isVisit reports a fetch that stands for the load of a page: a link that htmx or
// Turbo follows in the browser's stead.
func isVisit(x *Exchange) bool {
	return x.header("Hx-Boosted") == "true" || x.header("Hx-History-Restore-Request") == "true" ||
		x.header("X-Turbo-Request-Id") != "" && x.header("Turbo-Frame") == ""
}

// isFragment reports HTML that goes into a page rather than being one: fetched
// by a script, by htmx or by a Turbo frame.
func isFragment(x *Exchange) bool {
	dest := x.header("Sec-Fetch-Dest")
	switch {
	case isVisit(x):
		return false
	case x.header("Hx-Request") == "true", x.header("Turbo-Frame") != "":
		return true
	default:
		return dest != "" && !isDocument(dest) && !isEmbedded(dest)
	}
}

func isHTML(mediaType string) bool {
	return mediaType == "text/html" || mediaType == "application/xhtml+xml"
}

// isAsset knows the parts of a page.
func isAsset(mediaType string) bool {
	switch mediaType {
	case "text/css", "text/javascript", "application/javascript", "application/x-javascript", "application/wasm",
		"application/manifest+json", "application/font-woff", "application/font-woff2", "application/vnd.ms-fontobject":
		return true
	}
	for _, prefix := range [...]string{"image/", "font/", "video/", "audio/"} {
		if strings.HasPrefix(mediaType, prefix) {
			return true
		}
	}
	return false
}

// mediaTypeOf returns the media type of a Content-Type, lower case, without
// its parameters.
func mediaTypeOf(contentType string) string {
	switch contentType { // the usual ones
	case "application/json", "application/json; charset=utf-8":
		return "application/json"
	case "text/html", "text/html; charset=utf-8":
		return "text/html"
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}
