package inspector_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/internal/inspector"
)

// hostile are texts that an attacker could send to take over a page, or to spoil it.
func hostile() map[string]string {
	return map[string]string{
		"script":                 `<script>alert(1)</script>`,
		"closing the element":    `</td></pre></bdi></option></title><img src=x onerror=alert(1)>`,
		"attribute":              `" onmouseover="alert(1)" x="`,
		"single quotes":          `' onmouseover='alert(1)`,
		"script URL":             `javascript:alert(1)`,
		"comment":                `--><!--`,
		"template":               `{{.Summary}}${alert(1)}`,
		"null byte":              "a\x00b",
		"line breaks":            "a\r\nb\u2028c\u2029",
		"right-to-left override": "invoice\u202egpj.exe",
		"isolates":               "\u2066\u2067\u2068a",
		"invisible":              "a\u200b\u200d\ufeff\u00adb",
		"tag characters":         "a\U000e0041b",
		"tower of accents":       "Z" + strings.Repeat("\u0301\u0302\u0300", 500),
		"huge":                   strings.Repeat("é", 5000),
		"one long word":          strings.Repeat("W", 5000),
		"path":                   "../../etc/passwd?a=b&c=d#e%2e%00",
		"emoji and Hebrew":       "🎉 שלום",
	}
}

var (
	tag       = regexp.MustCompile(`<[a-zA-Z/!][^>]*>`)
	attribute = regexp.MustCompile(`\s([a-zA-Z:_-]+)(="[^"]*")?`)
	allowed   = regexp.MustCompile(`^(a|abbr|aside|b|bdi|body|button|code|dd|dialog|div|dl|dt|footer|form|h1|h2|head|header|html|input|kbd|label|li|link|main|meta|nav|option|p|path|pre|rect|script|section|select|small|span|svg|table|tbody|td|th|thead|time|title|tr|ul|!doctype)$`)
)

// checkPage checks that a page has only our elements and attributes, and no invisible
// characters.
func checkPage(t *testing.T, where, page string) {
	t.Helper()
	for _, element := range tag.FindAllString(page, -1) {
		name := strings.ToLower(strings.Trim(strings.Fields(strings.Trim(element, "<>"))[0], "/"))
		if !allowed.MatchString(name) {
			t.Errorf("%s: an element %s", where, element)
		}
		for _, a := range attribute.FindAllStringSubmatch(element, -1) {
			key, value := strings.ToLower(a[1]), html.UnescapeString(strings.Trim(a[2], `="`))
			if strings.HasPrefix(key, "on") || key == "style" || key == "srcdoc" {
				t.Errorf("%s: an attribute %s in %s", where, key, element)
			}
			if (key == "href" || key == "src" || key == "action") && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "#") {
				t.Errorf("%s: a link to %q", where, value)
			}
		}
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%s: %d scripts", where, n)
	}
	if i := strings.IndexFunc(tag.ReplaceAllString(page, ""), func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200b || r == 0xfeff || r >= 0xe0000
	}); i >= 0 {
		t.Errorf("%s: an invisible character", where)
	}
	if len(page) > 400_000 {
		t.Errorf("%s: %d bytes", where, len(page))
	}
}

func TestHostileEvents(t *testing.T) {
	for name, text := range hostile() {
		for _, mode := range []inspector.Mode{inspector.GroupMode, inspector.UserMode} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				l := newLocal(t, inspector.Options{Mode: mode})
				traits := object{"name": text, "email": text, "plan": text, text: object{text: []string{text}}}
				context := object{"library": object{"name": text, "version": text}, "trace": object{"traceId": text}}
				for i := range 3 {
					l.post(
						object{"type": "group", "messageId": fmt.Sprint("g", i), "timestamp": now(), "groupId": text, "userId": text, "traits": traits, "context": context},
						object{"type": "identify", "messageId": fmt.Sprint("i", i), "timestamp": now(), "userId": text, "traits": traits, "context": context},
						object{
							"type": "track", "messageId": text + fmt.Sprint(i), "timestamp": now(), "groupId": text, "userId": text, "event": text, "context": context,
							"properties": object{"method": "GET", "route": text, "status": 500, "durationMs": 1e308, text: text},
						},
						object{"type": "track", "messageId": fmt.Sprint("n", i), "timestamp": now(), "groupId": text + "2", "event": text, "properties": object{text: i}},
						object{"type": "track", "messageId": fmt.Sprint("o", i), "timestamp": now(), "userId": text + "3", "event": text + "x", "properties": object{text: "s"}})
					l.postRaw(mustJSON(t, object{"batch": []any{object{"type": text, "userId": text, "messageId": "m", "timestamp": now()}, text}}))
				}
				paths := []string{
					"/customers", "/events", "/health", "/events?show=problems", "/events?show=repeated",
					"/events?seq=1", "/events?seq=2", "/events?seq=3", "/customer?id=nobody",
				}
				if mode == inspector.GroupMode {
					paths = append(paths, "/users", "/users?show=alone")
				}
				for _, path := range paths {
					checkPage(t, path, l.serve("GET", path).Body.String())
				}
				for _, query := range [][]string{
					{"/customer", "id", text},
					{"/customer", "id", text, "user", text, "event", text, "window", text, "sort", text, "seq", "3"},
					{"/user", "id", text},
					{"/customers", "q", text, "sort", text, "window", text},
					{"/users", "q", text},
					{"/events", "q", text},
					{"/events", "user", text, "group", text, "event", text, "trace", text, "type", "track"},
					{"/events", "show", "problems", "code", text},
				} {
					if mode == inspector.UserMode && query[0] == "/users" {
						continue // it redirects
					}
					checkPage(t, strings.Join(query, " "), l.serve("GET", address(query[0], query[1:]...)).Body.String())
				}
				if mode == inspector.GroupMode && !strings.Contains(l.page("/customer", "id", text), "Timeline") {
					t.Error("the customer has no page")
				}
				if c := api[inspector.CustomerDetail](l, "/api/customer", "id", text); c.Name != text {
					t.Errorf("the API has changed the name: %q", c.Name)
				}
			})
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Events that are very large, or nested thousands deep, do not make huge pages.
func TestDeepAndLargeEvents(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	deep := strings.Repeat(`{"a":[`, 4000) + `1` + strings.Repeat(`]}`, 4000)
	large := `"` + strings.Repeat("x", 190_000) + `"`
	many := make([]string, 0, 5000)
	for i := range 5000 {
		many = append(many, fmt.Sprintf(`"k%d":%d`, i, i))
	}
	for i, value := range []string{deep, large, `{` + strings.Join(many, ",") + `}`} {
		for j := range 30 {
			l.postRaw(fmt.Sprintf(`{"batch":[{"type":"group","messageId":"%d-%d","timestamp":%q,"groupId":"acme","userId":"ann","traits":{"t%d":%s}},
				{"type":"track","messageId":"t%d-%d","timestamp":%q,"userId":"ann","event":"Report Generated","properties":{"p":%s}}]}`, i, j, now(), i, value, i, j, now(), value))
		}
	}
	for _, path := range []string{"/customers", "/customer?id=acme", "/user?id=ann", "/events", "/events?seq=2", "/events?seq=62", "/events?seq=122", "/health"} {
		checkPage(t, path, l.serve("GET", path).Body.String())
	}
	for _, path := range []string{"/api/events?limit=500", "/api/timeline?customer=acme&limit=500"} {
		w := l.serve("GET", path)
		if w.Code != 200 || w.Body.Len() > 6<<20 || !strings.Contains(w.Body.String()[w.Body.Len()-200:], `"next":"/api/`) {
			t.Errorf("%s: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
}

func TestHeaders(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	l.post(object{"type": "group", "messageId": "1", "timestamp": now(), "groupId": "acme"})
	for _, path := range []string{"/", "/customers", "/customer?id=acme", "/users", "/events", "/health", "/api/customers", "/api/events", "/api/event/json?seq=1", "/assets/app.js", "/nowhere"} {
		w := l.serve("GET", path, "Origin", "https://evil.example")
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "no-referrer",
			"Access-Control-Allow-Origin":  "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			if code := l.serve(method, path).Code; code != 405 && code != 404 {
				t.Errorf("%s %s: status %d", method, path, code)
			}
		}
		if head := l.serve("HEAD", path); head.Code != w.Code {
			t.Errorf("HEAD %s: status %d, by GET %d", path, head.Code, w.Code)
		}
	}
	// The browser SDK may send events from any page.
	if got := l.serve("OPTIONS", "/v1/batch").Header().Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("batches from other origins: %q", got)
	}
}

// A web site whose name points to this machine must not read the pages.
func TestHosts(t *testing.T) {
	l := newLocal(t, inspector.Options{Hosts: []string{"klime.internal"}})
	for host, ok := range map[string]bool{
		"localhost": true, "localhost:8081": true, "LOCALHOST:8081": true, "klime.localhost:8081": true, "localhost.": true,
		"127.0.0.1:8081": true, "127.0.0.2": true, "[::1]:8081": true, "[::1]": true, "192.168.1.7:8081": true,
		"klime.internal:8081": true, "Klime.Internal": true,
		"evil.example": false, "evil.example:8081": false, "localhost.evil.example": false, "127.0.0.1.evil.example:8081": false,
		"notlocalhost": false, "": false, "klime.internal.evil.example": false, "0x7f000001": false,
	} {
		for _, path := range []string{"/customers", "/api/customers", "/stream", "/assets/app.js", "/"} {
			w := l.serve("GET", path, "Host", host)
			if refused := w.Code == http.StatusMisdirectedRequest; refused == ok {
				t.Errorf("%q %s: status %d", host, path, w.Code)
			}
		}
	}
	r := httptest.NewRequest("POST", "http://evil.example/v1/batch", strings.NewReader(`{"batch":[]}`))
	r.Header.Set("Authorization", "Bearer key")
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	if w.Code != 200 { // containers reach it under other names, and it shows nothing
		t.Errorf("a batch under another name: status %d", w.Code)
	}
}

func TestKey(t *testing.T) {
	l := newLocal(t, inspector.Options{Key: "secret"})
	basic := func(password string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth("anybody", password)
		return r.Header.Get("Authorization")
	}
	for header, status := range map[string]int{
		"": 401, "Bearer other": 401, "Bearer secre": 401, "Bearer": 401, basic("other"): 401, basic(""): 401, "secret": 401,
		"Bearer secret": 200, "bearer secret": 200, basic("secret"): 200,
	} {
		for _, path := range []string{"/customers", "/events", "/api/summary", "/assets/app.css"} {
			w := l.serve("GET", path, "Authorization", header)
			if w.Code != status || status == 401 && (!strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") || strings.Contains(w.Body.String(), "<")) {
				t.Errorf("%q %s: status %d, want %d", header, path, w.Code, status)
			}
		}
	}
	if w := l.serve("GET", "/stream"); w.Code != 401 {
		t.Errorf("the stream: status %d", w.Code)
	}
}

// stream reads a server's events.
func stream(t *testing.T, server *httptest.Server) (next func() string, stop func()) {
	t.Helper()
	resp, err := server.Client().Get(server.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("status %d, %s", resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() string {
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				if lines.Scan(); lines.Text() != "data: {}" { // browsers ignore events without data
					t.Errorf("%s has %q", name, lines.Text())
				}
				return name
			}
		}
		return ""
	}, func() { _ = resp.Body.Close() }
}

func TestStream(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	server := httptest.NewUnstartedServer(l)
	server.Config.ReadTimeout = 100 * time.Millisecond // must not end streams
	server.Start()
	defer server.Close()
	next, stop := stream(t, server)
	defer stop()
	if got := next(); got != "hello" {
		t.Fatalf("got %q, want hello", got)
	}
	for i := range 2 {
		l.post(object{"type": "identify", "messageId": fmt.Sprint(i), "timestamp": now(), "userId": "ann"})
		if got := next(); got != "change" {
			t.Fatalf("got %q, want change", got)
		}
	}
	l.Close()
	l.Close()
	if got := next(); got != "" {
		t.Errorf("after Close: %q", got)
	}
}

// While nothing happens, a tick is sent now and then, so that a page can update how long
// ago events were.
func TestStreamTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, inspector.Options{})
		w := httptest.NewRecorder()
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		l.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream", http.NoBody))
		if got := regexp.MustCompile(`event: \w+`).FindAllString(w.Body.String(), -1); strings.Join(got, ", ") != "event: hello, event: tick, event: tick" {
			t.Errorf("in 31 s: %q", got)
		}
	})
}

// Changes in quick succession are told together, so that a page is not fetched for each.
func TestStreamPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, inspector.Options{})
		w, ended := httptest.NewRecorder(), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(ended)
			l.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream", http.NoBody))
		}()
		for i := range 12 { // in 1.2 s
			synctest.Wait()
			l.post(object{"type": "identify", "messageId": fmt.Sprint(i), "timestamp": now(), "userId": "ann"})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		cancel()
		<-ended
		if got := strings.Count(w.Body.String(), "event: change"); got != 4 { // at 0, 0.5, 1 and 1.5 s
			t.Errorf("%d changes are told, want 4", got)
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	server := httptest.NewServer(l)
	defer server.Close()
	defer l.Close()
	for range 64 {
		next, stop := stream(t, server)
		t.Cleanup(stop)
		if next() != "hello" {
			t.Fatal("no stream")
		}
	}
	resp, err := server.Client().Get(server.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestEmptyPages(t *testing.T) {
	for _, mode := range []inspector.Mode{inspector.GroupMode, inspector.UserMode} {
		l := newLocal(t, inspector.Options{Mode: mode})
		paths := []string{"/customers", "/events", "/events?show=problems", "/events?show=repeated", "/health"}
		if mode == inspector.GroupMode {
			paths = append(paths, "/users")
		}
		for _, path := range paths {
			page := l.page(path)
			checkPage(t, path, page)
			if !strings.Contains(page, `class="empty"`) {
				t.Errorf("%s %s: nothing is said of there being nothing", mode, path)
			}
		}
	}
	l := newLocal(t, inspector.Options{})
	for i := range 3 {
		l.post(object{"type": "track", "messageId": fmt.Sprint(i), "timestamp": now(), "userId": "ann", "event": "Report Generated"})
	}
	page := l.page("/customers")
	if !strings.Contains(page, "No customers yet") || !strings.Contains(page, "only once <code>group()</code> was called") ||
		!strings.Contains(page, `<b data-figure="unlinked">3</b> events wait`) {
		t.Error("it is not said that events wait for group()")
	}
	if w := l.serve("GET", "/"); w.Code != 303 || w.Header().Get("Location") != "/customers" {
		t.Errorf("/: %d to %s", w.Code, w.Header().Get("Location"))
	}
}

// In user mode the users are the customers, and have only one page. The redirect to it
// keeps the query, and never leads to another site.
func TestUsersAreCustomers(t *testing.T) {
	l := newLocal(t, inspector.Options{Mode: inspector.UserMode})
	for target, want := range map[string]string{
		"/users":                         "/customers",
		"/users?q=ann&sort=name":         "/customers?q=ann&sort=name",
		"/users?q=%0d%0aA:b%22&page=//x": "/customers?q=%0d%0aA:b%22&page=//x",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if w := l.serve(method, target); w.Code != 303 || w.Header().Get("Location") != want {
				t.Errorf("%s %s: %d to %q, want %q", method, target, w.Code, w.Header().Get("Location"), want)
			}
		}
	}
}

// The commands that an empty page shows work as they are, with and without a write key.
func TestWhatAnEmptyPageSaysWorks(t *testing.T) {
	for _, mode := range []inspector.Mode{inspector.GroupMode, inspector.UserMode} {
		for key, shown := range map[string]string{"": "anything", "secret": "YOUR-KEY"} {
			engine := ingest.New(ingest.Options{WriteKey: key})
			l := &local{inspector.New(engine, inspector.Options{Mode: mode}), t, engine}
			if page := l.page("/customers"); !strings.Contains(page, "KLIME_ENDPOINT=http://localhost\nKLIME_WRITE_KEY="+shown+"<") {
				t.Errorf("%s mode, key %q: the page does not say how to send: %s", mode, key, page)
			}
			command := regexp.MustCompile(`(?s)<pre>curl (\S+) (.*) -d '(.*)'</pre>`).FindStringSubmatch(html.UnescapeString(l.page("/events")))
			if command == nil {
				t.Fatal("no command on the page")
			}
			r := httptest.NewRequest(http.MethodPost, command[1], strings.NewReader(command[3]))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // curl's default with -d
			for _, header := range regexp.MustCompile(`-H '(.*?): (.*?)'`).FindAllStringSubmatch(command[2], -1) {
				r.Header.Set(header[1], strings.Replace(header[2], "YOUR-KEY", "secret", 1))
			}
			w := httptest.NewRecorder()
			l.ServeHTTP(w, r)
			if got := strings.TrimSpace(w.Body.String()); got != `{"status":"ok","accepted":2,"failed":0}` {
				t.Errorf("%s mode, key %q: %s is answered %s", mode, key, command[0], got)
			}
			if page := l.page("/customers"); !strings.Contains(page, map[inspector.Mode]string{inspector.GroupMode: "Acme", inspector.UserMode: "Jane"}[mode]) {
				t.Errorf("%s mode: no customer follows", mode)
			}
		}
	}
}

// If klime-go would refuse to send the write key in the clear, the page says how to allow
// it.
func TestEmptyPageOnOtherMachines(t *testing.T) {
	l := newLocal(t, inspector.Options{Hosts: []string{"staging.example"}})
	for host, insecure := range map[string]bool{
		"localhost": false, "LOCALHOST:8081": false, "127.0.0.1:8081": false, "127.9.9.9": false, "[::1]:8081": false, "[::1]": false,
		"192.0.2.2:8080": true, "192.0.2.2": true, "[2001:db8::1]:8080": true, "staging.example": true, "app.localhost:8081": true,
	} {
		page := l.serve("GET", "/customers", "Host", host).Body.String()
		if !strings.Contains(page, "KLIME_ENDPOINT=http://"+host+"\n") || strings.Contains(page, "cfg := klime.FromEnv()\ncfg.AllowInsecure = true") != insecure {
			t.Errorf("%s: it is not said that this is insecure, or said without need", host)
		}
	}
}

// A page is shown whatever its query is.
func FuzzQuery(f *testing.F) {
	l := newLocal(f, inspector.Options{})
	l.post(
		object{"type": "group", "messageId": "1", "timestamp": now(), "groupId": "acme", "userId": "ann"},
		object{"type": "track", "messageId": "2", "timestamp": now(), "userId": "ann", "event": "Report Generated"})
	f.Add("customer", "id=acme&window=7d&before=1&at=9223372036854775807")
	f.Add("events", "seq=-1&limit=999999999999999999999&q=%00%ff&show=problems&page=0")
	f.Add("users", "page=1000000000&limit=500&sort=groups&order=asc")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: "/" + path, RawQuery: query}, Host: "localhost", Header: http.Header{}}
		if path == "stream" {
			return
		}
		w := httptest.NewRecorder()
		l.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && w.Code == 200 {
			checkPage(t, path+"?"+query, w.Body.String())
		}
	})
}
