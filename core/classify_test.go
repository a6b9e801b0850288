package klime

import (
	"net/http"
	"testing"
)

// What kind of request it was: by the response, then by the request.
func TestClassify(t *testing.T) {
	t.Parallel()
	const html, json, sse = "text/html; charset=utf-8", "application/json", "text/event-stream"
	type headers = map[string]string
	get := func(status int, contentType string) Exchange {
		return Exchange{Method: "GET", Path: "/reports/7", Route: "/reports/{id}", Status: status, ContentType: contentType}
	}
	with := func(x Exchange, change func(*Exchange)) Exchange {
		change(&x)
		return x
	}
	method := func(name string, status int, contentType string) Exchange {
		return with(get(status, contentType), func(x *Exchange) { x.Method = name })
	}
	unmatched := func(x Exchange) Exchange { return with(x, func(x *Exchange) { x.Route = "" }) }
	nothing := func(x Exchange) Exchange { return with(x, func(x *Exchange) { x.Unmatched = true }) }
	asks := func(x Exchange, h headers) Exchange {
		header := http.Header{}
		for name, value := range h {
			header.Set(name, value)
		}
		return with(x, func(x *Exchange) { x.Header = header.Get })
	}

	tests := []struct {
		name string
		in   Exchange
		want Kind
	}{
		// Streams, whatever the request says.
		{"WebSocket", get(101, ""), KindStream},
		{"server-sent events", get(200, sse), KindStream},
		{"server-sent events, parameters", get(200, "Text/Event-Stream; charset=utf-8"), KindStream},
		{"server-sent events to a POST", method("POST", 200, sse), KindStream},
		{"server-sent events, fetched", asks(get(200, sse), headers{"Sec-Fetch-Dest": "empty"}), KindStream},

		// Pages: HTML answered to a GET below 400.
		{"page", get(200, html), KindPage},
		{"page without parameters", get(200, "text/html"), KindPage},
		{"page in capitals", get(200, "TEXT/HTML"), KindPage},
		{"XHTML", get(200, "application/xhtml+xml"), KindPage},
		{"page by a browser", asks(get(200, html), headers{"Sec-Fetch-Dest": "document"}), KindPage},
		{"page in an iframe", asks(get(200, html), headers{"Sec-Fetch-Dest": "iframe"}), KindPage},
		{"page in a frame", asks(get(200, html), headers{"Sec-Fetch-Dest": "frame"}), KindPage},
		{"page in a fenced frame", asks(get(200, html), headers{"Sec-Fetch-Dest": "fencedframe"}), KindPage},
		{"page in an object", asks(get(200, html), headers{"Sec-Fetch-Dest": "object"}), KindPage},
		{"page that is embedded", asks(get(200, html), headers{"Sec-Fetch-Dest": "embed"}), KindPage},
		{"page for a purpose that is none of these", asks(get(200, html), headers{"Sec-Purpose": "visit"}), KindPage},
		{"page whose route is not known", unmatched(get(200, html)), KindPage},
		{"page without a status", get(0, html), KindPage},
		{"HTML to a POST", method("POST", 200, html), KindAPI},
		{"HTML of a failure", get(400, html), KindAPI},
		{"HTML of a server's failure", get(500, html), KindAPI},
		{"HTML, then a panic", with(get(200, html), func(x *Exchange) { x.Panicked = true }), KindAPI},

		// HTML that goes into a page.
		{"htmx", asks(get(200, html), headers{"HX-Request": "true"}), KindAPI},
		{"htmx, boosted", asks(get(200, html), headers{"HX-Request": "true", "HX-Boosted": "true"}), KindPage},
		{"boosted, by fetch", asks(get(200, html), headers{"HX-Request": "true", "HX-Boosted": "true", "Sec-Fetch-Dest": "empty"}), KindPage},
		{"Turbo frame", asks(get(200, html), headers{"Turbo-Frame": "menu"}), KindAPI},
		{"Turbo Drive", asks(get(200, html), headers{"X-Turbo-Request-Id": "1", "Sec-Fetch-Dest": "empty"}), KindPage},
		{"Turbo frame by Turbo", asks(get(200, html), headers{"X-Turbo-Request-Id": "1", "Turbo-Frame": "menu"}), KindAPI},
		{"htmx goes back", asks(get(200, html), headers{"HX-Request": "true", "HX-History-Restore-Request": "true"}), KindPage},
		{"HTML without content", get(204, html), KindAPI},
		{"HTML by XMLHttpRequest", asks(get(200, html), headers{"X-Requested-With": "XMLHttpRequest"}), KindAPI},
		{"page that says more than its library", asks(get(200, html), headers{"X-Requested-With": "XMLHttpRequest", "Sec-Fetch-Dest": "document"}), KindPage},
		{"page in an Android app", asks(get(200, html), headers{"X-Requested-With": "com.example.app"}), KindPage},
		{"Turbo Drive by XMLHttpRequest", asks(get(200, html), headers{"X-Requested-With": "XMLHttpRequest", "X-Turbo-Request-Id": "1"}), KindPage},
		{"fetched HTML", asks(get(200, html), headers{"Sec-Fetch-Dest": "empty"}), KindAPI},

		// 304 has no content type: what was asked for decides.
		{"304 of a document", asks(get(304, ""), headers{"Sec-Fetch-Dest": "document"}), KindPage},
		{"304 of a boosted link", asks(get(304, ""), headers{"HX-Request": "true", "HX-Boosted": "true", "Sec-Fetch-Dest": "empty"}), KindPage},
		{"304 of Turbo Drive", asks(get(304, ""), headers{"X-Turbo-Request-Id": "1", "Sec-Fetch-Dest": "empty"}), KindPage},
		{"304 of a video", asks(get(304, ""), headers{"Sec-Fetch-Dest": "video"}), KindAsset},
		{"304 in a fenced frame", asks(get(304, ""), headers{"Sec-Fetch-Dest": "fencedframe"}), KindPage},
		{"304 of what is embedded", asks(get(304, ""), headers{"Sec-Fetch-Dest": "embed", "Accept": "text/html"}), KindAPI},
		{"304 of an object", asks(get(304, ""), headers{"Sec-Fetch-Dest": "object"}), KindAPI},
		{"304 of a JSON module", asks(get(304, ""), headers{"Sec-Fetch-Dest": "json"}), KindAPI},
		{"304 of a script", asks(get(304, ""), headers{"Sec-Fetch-Dest": "script"}), KindAsset},
		{"304 of an image", asks(get(304, ""), headers{"Sec-Fetch-Dest": "image"}), KindAsset},
		{"304 of a fetch", asks(get(304, ""), headers{"Sec-Fetch-Dest": "empty", "Accept": "text/html"}), KindAPI},
		{"304, Accept of a page", asks(get(304, ""), headers{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}), KindPage},
		{"304, Accept of a page, htmx", asks(get(304, ""), headers{"Accept": "text/html", "HX-Request": "true"}), KindAPI},
		{"304, Accept of a page, XMLHttpRequest", asks(get(304, ""), headers{"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}), KindAPI},
		{"304, Accept of a page, among others", asks(get(304, ""), headers{"Accept": "application/json, Text/HTML;level=1;q=0.1"}), KindPage},
		{"304, Accept of no page", asks(get(304, ""), headers{"Accept": "application/json, text/html;q=0"}), KindAPI},
		{"304, Accept of a page with a weight that is none", asks(get(304, ""), headers{"Accept": "text/html;q="}), KindPage},
		{"304, Accept of no page at all", asks(get(304, ""), headers{"Accept": "text/html; level=1; Q=0.000, */*"}), KindAPI},
		{"304, Accept of an image", asks(get(304, ""), headers{"Accept": "image/avif,image/webp,*/*"}), KindAsset},
		{"304, Accept of a style sheet", asks(get(304, ""), headers{"Accept": "text/css,*/*;q=0.1"}), KindAsset},
		{"304, Accept of JSON", asks(get(304, ""), headers{"Accept": "application/json"}), KindAPI},
		{"304 without headers", get(304, ""), KindAPI},
		{"304 of an HTML page with a content type", asks(get(304, html), headers{"Accept": "*/*"}), KindAPI},

		// Parts of a page.
		{"style sheet", get(200, "text/css"), KindAsset},
		{"script", get(200, "text/javascript; charset=utf-8"), KindAsset},
		{"script of old", get(200, "application/javascript"), KindAsset},
		{"script by the name of its standard", get(200, "application/ecmascript"), KindAsset},
		{"script of older", get(200, "application/x-javascript"), KindAsset},
		{"font of old", get(200, "application/font-woff"), KindAsset},
		{"video", get(206, "video/mp4"), KindAsset},
		{"audio", get(200, "audio/mpeg"), KindAsset},
		{"manifest as JSON", asks(get(200, json), headers{"Sec-Fetch-Dest": "manifest"}), KindAsset},
		{"image", get(200, "image/svg+xml"), KindAsset},
		{"font", get(200, "font/woff2"), KindAsset},
		{"WebAssembly", get(200, "application/wasm"), KindAsset},
		{"manifest", get(200, "application/manifest+json"), KindAsset},
		{"picture in an object", asks(get(200, "image/svg+xml"), headers{"Sec-Fetch-Dest": "object"}), KindAsset},
		{"image that was made by a POST", method("POST", 200, "image/png"), KindAPI},

		// API calls: the rest.
		{"JSON", get(200, json), KindAPI},
		{"no content type", get(200, ""), KindAPI},
		{"a download", get(200, "application/pdf"), KindAPI},
		{"a PDF that is embedded", asks(get(200, "application/pdf"), headers{"Sec-Fetch-Dest": "embed"}), KindAPI},
		{"a PDF in an object", asks(get(200, "application/pdf"), headers{"Sec-Fetch-Dest": "object"}), KindAPI},
		{"a PDF in an iframe", asks(get(200, "application/pdf"), headers{"Sec-Fetch-Dest": "iframe"}), KindAPI},
		{"a JSON module", asks(get(200, json), headers{"Sec-Fetch-Dest": "json"}), KindAPI},
		{"fetched JSON", asks(get(200, json), headers{"Sec-Fetch-Dest": "empty"}), KindAPI},
		{"for what is not known", asks(get(200, json), headers{"Sec-Fetch-Dest": "hologram"}), KindAPI},
		{"HTML for what is not known", asks(get(200, html), headers{"Sec-Fetch-Dest": "hologram"}), KindAPI},
		{"a table", get(200, "text/csv"), KindAPI},
		{"an archive", get(200, "application/octet-stream"), KindAPI},
		{"JSON:API", get(200, "application/vnd.api+json"), KindAPI},
		{"GraphQL", method("POST", 200, "application/graphql-response+json; charset=utf-8"), KindAPI},
		{"Connect", method("POST", 200, "application/connect+proto"), KindAPI},
		{"gRPC-Web", method("POST", 200, "application/grpc-web+proto"), KindAPI},
		{"problem details", get(422, "application/problem+json"), KindAPI},
		{"no content", get(204, ""), KindAPI},
		{"an upload", method("PUT", 201, "image/png"), KindAPI},
		{"text", get(200, "text/plain"), KindAPI},
		{"a calendar", get(200, "text/calendar"), KindAPI},
		{"POST", method("POST", 201, json), KindAPI},
		{"PUT", method("PUT", 200, json), KindAPI},
		{"PATCH", method("PATCH", 200, json), KindAPI},
		{"DELETE", method("DELETE", 204, ""), KindAPI},
		{"an unusual method", method("PROPFIND", 207, "application/xml"), KindAPI},
		{"a POST that redirects", method("POST", 303, ""), KindAPI},
		{"not found, of a route", get(404, json), KindAPI},
		{"forbidden", get(403, json), KindAPI},
		{"a server's failure without a route", unmatched(get(500, "")), KindAPI},

		// Noise.
		{"HEAD", method("HEAD", 200, html), KindNoise},
		{"OPTIONS", method("OPTIONS", 204, ""), KindNoise},
		{"TRACE", method("TRACE", 200, ""), KindNoise},
		{"CONNECT", method("CONNECT", 200, ""), KindNoise},
		{"a GET that redirects", get(302, html), KindNoise},
		{"moved for good", get(301, ""), KindNoise},
		{"several to choose from", get(300, html), KindNoise},
		{"no such route", unmatched(get(404, html)), KindNoise},
		{"no such route, POST", unmatched(method("POST", 404, json)), KindNoise},
		{"no such method", unmatched(method("DELETE", 405, "")), KindNoise},
		{"no such route, answered otherwise", nothing(unmatched(get(418, json))), KindNoise},
		{"no such route, but a page for it", nothing(unmatched(get(200, html))), KindPage},
		{"no such route, then a panic", with(nothing(unmatched(get(500, ""))), func(x *Exchange) { x.Panicked = true }), KindAPI},
		{"a route that says that there is nothing", nothing(get(418, json)), KindAPI},
		{"prefetch", asks(get(200, html), headers{"Sec-Purpose": "prefetch"}), KindNoise},
		{"prerender", asks(get(200, html), headers{"Sec-Purpose": "prefetch;prerender"}), KindNoise},
		{"prefetch, the old header", asks(get(200, html), headers{"Purpose": "prefetch"}), KindNoise},
		{"prefetch, Firefox of old", asks(get(200, html), headers{"X-Moz": "prefetch"}), KindNoise},
		{"preview", asks(get(200, html), headers{"Purpose": "preview"}), KindNoise},
		{"a prefetch declined", asks(get(503, html), headers{"Sec-Purpose": "prefetch"}), KindNoise},
		{"prefetch in capitals", asks(get(200, html), headers{"Sec-Purpose": "Prefetch"}), KindNoise},
		{"Turbo's prefetch", asks(get(200, html), headers{"X-Sec-Purpose": "prefetch"}), KindNoise},
		{"htmx's prefetch", asks(get(200, html), headers{"HX-Preloaded": "true"}), KindNoise},
		{"htmx's prefetch of a fragment", asks(get(200, html), headers{"HX-Request": "true", "HX-Preloaded": "true"}), KindNoise},
		{"HEAD of a stream", method("HEAD", 200, sse), KindNoise},
		{"kube-probe", asks(get(200, html), headers{"User-Agent": "kube-probe/1.31"}), KindNoise},
		{"Google's load balancer", asks(get(200, html), headers{"User-Agent": "GoogleHC/1.0"}), KindNoise},
		{"Amazon's load balancer", asks(get(200, html), headers{"User-Agent": "ELB-HealthChecker/2.0"}), KindNoise},
		{"somebody who mentions a probe", asks(get(200, html), headers{"User-Agent": "curl (kube-probe/1)"}), KindPage},
	}
	for _, tt := range tests {
		if got, _ := classify(&tt.in, ruling{}, false); got != tt.want {
			t.Errorf("%s: kind %d, want %d", tt.name, got, tt.want)
		}
		if got, _ := classify(&tt.in, ruling{health: true}, false); got != KindNoise && got != KindStream {
			t.Errorf("%s, by a health check: kind %d, want noise", tt.name, got)
		}
	}
}

// A name makes a request of interest that would be noise, but not one that is only guessed.
func TestClassifyNamed(t *testing.T) {
	t.Parallel()
	named := ruling{name: "File Viewed"}
	guessed := func(name string) string { return map[string]string{"Sec-Purpose": "prefetch"}[name] }
	for name, test := range map[string]struct {
		in   Exchange
		rule ruling
		want Kind
	}{
		"page":                        {Exchange{Route: "/files/{name}", Status: 200, ContentType: "text/html"}, named, KindPage},
		"page, guessed":               {Exchange{Route: "/files/{name}", Status: 200, ContentType: "text/html", Header: guessed}, named, KindNoise},
		"page that fails, guessed":    {Exchange{Route: "/files/{name}", Status: 500, Header: guessed}, named, KindAPI},
		"page that declines, guessed": {Exchange{Route: "/files/{name}", Status: 503, Header: guessed}, named, KindNoise},
		"nothing there":               {Exchange{Route: "/files/*", Status: 404}, named, KindAPI},
		"nothing there, no name":      {Exchange{Route: "/files/*", Status: 404}, ruling{}, KindNoise},
		"no route":                    {Exchange{Status: 404}, named, KindNoise},
		"health check":                {Exchange{Route: "/healthz", Status: 200}, ruling{name: "Checked", health: true}, KindAPI},
	} {
		test.in.Method = "GET"
		if got, _ := classify(&test.in, test.rule, test.rule.name != ""); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A redirect to another form of the same path: the caller will ask again.
func TestCanonicalRedirect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		method         string
		status         int
		path, location string
		want           bool
	}{
		{"with a slash", "POST", 307, "/reports/7", "/reports/7/", true},
		{"in full", "PUT", 308, "/reports/7", "https://app.example/Reports//7?a=b", true},
		{"cleaned, escaped twice", "POST", 307, "//reports/a b/c", "/reports/a%2520b%252Fc", true},
		{"cleaned, escaped twice for good reason", "POST", 307, "//reports/a%20b", "/reports/a%252520b", true},
		{"without a slash, not escaped", "POST", 307, "/reports/50%/", "/reports/50%", true},
		{"with a slash, escaped", "POST", 307, "/reports/50%", "/reports/50%25/", true},
		{"with a query", "POST", 307, "/reports/50%/", "/reports/50%?a=b", true},
		{"what looks escaped", "POST", 307, "/reports/a%41/", "/reports/a%41", true},
		{"another path", "POST", 308, "/reports/7", "/reports/8", false},
		{"another path, not escaped", "POST", 307, "/reports/50%/", "/reports/60%", false},
		{"another path, escaped twice", "POST", 307, "//reports/a b", "/reports/a%2520c", false},
		{"nowhere", "POST", 307, "/reports/7", "", false},
		{"the same path", "POST", 307, "/reports/7", "/reports/7", false},
		{"a page with a slash, after a POST", "POST", 303, "/reports/7", "/reports/7/", false},
	}
	for _, tt := range tests {
		x := Exchange{Method: tt.method, Path: tt.path, Status: tt.status, Location: tt.location}
		if got := isCanonicalRedirect(&x); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// The name under which each kind is recorded; a named event below 400 goes
// whatever its kind.
func TestEventName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind  Kind
		named string
		want  string
	}{
		{KindAPI, "", "API Called"},
		{KindPage, "", "Page Viewed"},
		{KindStream, "", "API Called"},
		{KindAsset, "", ""},
		{KindNoise, "", ""},
		{KindAPI, "Done", "Done"},
		{KindPage, "Done", "Done"},
		{KindStream, "Done", "Done"},
		{KindAsset, "Done", "Done"},
		{KindNoise, "Done", "Done"},
	}
	tracker := NewTracker(nil)
	for _, tt := range tests {
		if got, named := tracker.eventName(tt.kind, tt.named, &Exchange{Status: 200}); got != tt.want || named != (tt.named != "") {
			t.Errorf("kind %d, named %q: %q, want %q", tt.kind, tt.named, got, tt.want)
		}
	}
}

// Whatever an exchange looks like it has one of the kinds, the same each time;
// and what says least of a customer is always noise.
func FuzzClassify(f *testing.F) {
	f.Add("GET", "/a", "/a", 200, "text/html", "Sec-Fetch-Dest", "empty", false)
	f.Add("POST", "/a/", "", 307, "", "Hx-Request", "true", true)
	f.Fuzz(func(t *testing.T, method, path, route string, status int, contentType, header, value string, panicked bool) {
		x := Exchange{
			Method: method, Path: path, Route: route, Status: status, ContentType: contentType, Location: value, Panicked: panicked,
			Header: func(name string) string {
				if name == header {
					return value
				}
				return ""
			},
		}
		kind, why := classify(&x, ruling{}, false)
		again, _ := classify(&x, ruling{}, false)
		if kind < KindAPI || kind > KindNoise || kind != again || (why != "") != (kind >= KindAsset) {
			t.Errorf("kind %d", kind)
		}
		if kind != KindNoise && kind != KindStream && (method == http.MethodHead || method == http.MethodOptions || route == "" && status == 404) {
			t.Errorf("%s %d of no route is of kind %d", method, status, kind)
		}
		if kind == KindPage && (method != http.MethodGet || status >= 400 || panicked) {
			t.Errorf("%s %d is a page", method, status)
		}
	})
}

// What a browser fetches for a page by itself, by the Fetch standard, is a part of it
// whatever its type.
func TestPartsOfPages(t *testing.T) {
	t.Parallel()
	for _, dest := range [...]string{
		"audio", "audioworklet", "font", "image", "manifest", "paintworklet", "report", "script", "serviceworker", "sharedworker",
		"style", "track", "video", "webidentity", "worker", "xslt",
	} {
		for _, x := range [...]Exchange{
			{Status: 200, ContentType: "application/json"}, {Status: 200, ContentType: "text/html"}, {Status: 304},
		} {
			x.Method, x.Route, x.Header = "GET", "/part", http.Header{"Sec-Fetch-Dest": {dest}}.Get
			if got, _ := classify(&x, ruling{}, false); got != KindAsset {
				t.Errorf("%s, %d %s: %v", dest, x.Status, x.ContentType, got)
			}
		}
	}
}
