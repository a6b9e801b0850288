package adaptertest

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	textPlain = "text/plain; charset=utf-8"
	textHTML  = "text/html; charset=utf-8"
	appJSON   = "application/json"
)

func reply(status int, contentType, body string) func(Request) {
	return func(r Request) { r.Reply(status, contentType, body) }
}

func redirect(location string) func(Request) {
	return func(r Request) {
		if setHeader(r, "Location", location) {
			r.Reply(http.StatusPermanentRedirect, "", "")
		}
	}
}

// replyGRPC answers without a message, and with a header or trailer.
func replyGRPC(name, value string) func(Request) {
	return func(r Request) {
		if setHeader(r, name, value) {
			r.Reply(http.StatusOK, "application/grpc-web+proto", "")
		}
	}
}

// cannotSetHeaders is what a handler answers if its Request has no way to set headers.
const cannotSetHeaders = http.StatusNotImplemented

// setHeader sets a header of the answer. If r cannot do so, it answers, and reports false.
func setHeader(r Request, name, value string) bool {
	if s, ok := r.(HeaderSetter); ok {
		s.SetHeader(name, value)
		return true
	}
	w, _ := r.HTTP()
	if w == nil {
		r.Reply(cannotSetHeaders, "", "")
		return false
	}
	w.Header().Set(name, value)
	return true
}

// jane is a resolver to which every user is jane.
func jane(Request) any { return "jane" }

// answerCases: what is recorded of an answer.
func answerCases() []testCase {
	return []testCase{
		{
			name: "methods and answers without a body",
			app: App{UserID: jane, Routes: []Route{
				{Method: http.MethodHead, Path: "/thing", Handler: reply(http.StatusOK, appJSON, "")},
				{Method: http.MethodOptions, Path: "/thing", Handler: reply(http.StatusNoContent, "", "")},
				{Path: "/fresh", Handler: reply(http.StatusNotModified, "", "")},
			}},
			requests: []call{
				{method: http.MethodHead, path: "/thing"},
				{method: http.MethodOptions, path: "/thing", status: http.StatusNoContent},
				{path: "/fresh", status: http.StatusNotModified, header: http.Header{"Sec-Fetch-Dest": {"document"}}},
				{path: "/fresh", status: http.StatusNotModified, header: http.Header{"Sec-Fetch-Dest": {"image"}}},
				{path: "/fresh", status: http.StatusNotModified, header: http.Header{"Sec-Fetch-Dest": {"empty"}}},
			},
			want: []string{
				"Page Viewed by jane: GET /fresh 304, 0 in, 0 out",
				"API Called by jane: GET /fresh 304, 0 in, 0 out",
			},
		},
		{
			name: "status and sizes",
			app: App{UserID: jane, Routes: []Route{
				{Method: http.MethodPost, Path: "/made", Handler: reply(http.StatusCreated, appJSON, `{"id":1}`)},
				{Path: "/gone", Handler: reply(http.StatusNotFound, appJSON, `{}`)},
				{Path: "/broken", Handler: reply(http.StatusInternalServerError, appJSON, `{}`)},
				{Method: http.MethodDelete, Path: "/nothing", Handler: reply(http.StatusNoContent, "", "")},
				{Method: http.MethodPut, Path: "/silent", Handler: func(Request) {}},
			}},
			requests: []call{
				{method: http.MethodPost, path: "/made", body: "hello", status: http.StatusCreated},
				{path: "/gone", status: http.StatusNotFound},
				{path: "/broken", status: http.StatusInternalServerError},
				{method: http.MethodDelete, path: "/nothing", status: http.StatusNoContent},
				{method: http.MethodPut, path: "/silent"},
			},
			want: []string{
				"API Called by jane: POST /made 201, 5 in, 8 out",
				"API Called by jane: GET /gone 404, 0 in, 2 out",
				"API Called by jane: GET /broken 500, 0 in, 2 out",
				"API Called by jane: DELETE /nothing 204, 0 in, 0 out",
				"API Called by jane: PUT /silent 200, 0 in, 0 out",
			},
		},
		{
			name: "nothing was copied, and then the handler answers", needs: netHTTP,
			app: App{UserID: jane, Routes: []Route{{Path: "/reports/{id}", Handler: func(r Request) {
				w, _ := r.HTTP()
				_, _ = io.Copy(w, onlyReads{strings.NewReader("")})
				w.WriteHeader(http.StatusNotFound)
			}}}},
			requests: []call{{path: "/reports/7", status: http.StatusNotFound}},
			want: []string{
				"API Called by jane: GET /reports/{id} 404, 0 in, 0 out",
			},
		},
		{
			name: "cut off by a deadline", needs: netHTTP,
			app: App{UserID: jane, Outside: []Middleware{expired}, Routes: []Route{
				{Method: http.MethodPost, Path: "/reports", Event: "Report Generated", Handler: func(Request) {}},
				{Method: http.MethodDelete, Path: "/reports", Event: "Report Deleted", Handler: reply(http.StatusNoContent, "", "")},
				{Path: "/reports", Event: "Report Viewed", Handler: reply(http.StatusOK, appJSON, `{}`)},
				{Method: http.MethodPut, Path: "/reports", Event: "Report Changed", Handler: func(r Request) {
					w, _ := r.HTTP()
					w.WriteHeader(http.StatusAccepted)
				}},
			}},
			requests: []call{
				{method: http.MethodPost, path: "/reports", header: http.Header{"Late": {"1"}}, status: http.StatusGatewayTimeout},
				{method: http.MethodDelete, path: "/reports", status: http.StatusNoContent}, // answered all the same
				get("/reports"),
				{method: http.MethodPut, path: "/reports", status: http.StatusAccepted},
				{path: "/nowhere", status: http.StatusNotFound}, // which the router answers
			},
			want: []string{
				"API Called by jane: POST /reports ?, 0 in, 0 out, aborted=true",
				"Report Deleted by jane: DELETE /reports 204, 0 in, 0 out",
				"Report Viewed by jane: GET /reports 200, 0 in, 2 out",
				"Report Changed by jane: PUT /reports 202, 0 in, 0 out",
			},
		},
		{
			name: "a status that does not exist, at which net/http panics", needs: netHTTP,
			app: App{UserID: jane, Routes: []Route{{Path: "/reports", Event: "Report Viewed", Handler: func(r Request) {
				w, _ := r.HTTP()
				w.WriteHeader(99)
			}}}},
			requests: []call{{path: "/reports", status: anyStatus}},
			want: []string{
				"API Called by jane: GET /reports 500, 0 in, 0 out",
			},
		},
		{
			name: "redirected to another form of the path",
			app: App{UserID: jane, Routes: []Route{
				{Method: http.MethodPost, Path: "/reports", Handler: redirect("/reports/")},
				{Method: http.MethodPut, Path: "/reports", Event: "Report Changed", Handler: redirect("/reports/")},
				{Method: http.MethodPost, Path: "/old", Handler: redirect("/new")},
			}},
			requests: []call{
				{method: http.MethodPost, path: "/reports", status: http.StatusPermanentRedirect}, // the client asks again
				{method: http.MethodPut, path: "/reports", status: http.StatusPermanentRedirect},
				{method: http.MethodPost, path: "/old", status: http.StatusPermanentRedirect},
			},
			want: []string{
				"API Called by jane: POST /old 308, 0 in, 0 out",
			},
		},
		{
			name: "page against API",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/page", Handler: reply(http.StatusOK, textHTML, "<p>")},
				{Path: "/text", Handler: reply(http.StatusOK, textPlain, "hi")},
				{Path: "/style.css", Handler: reply(http.StatusOK, "text/css", "p{}")},
				{Path: "/moved", Handler: func(r Request) { r.Reply(http.StatusFound, "", "") }},
				{Method: http.MethodPost, Path: "/page", Handler: reply(http.StatusOK, textHTML, "<p>")},
			}},
			requests: []call{
				get("/page"),
				{path: "/page", header: http.Header{"Hx-Request": {"true"}}},
				{path: "/page", header: http.Header{"X-Requested-With": {"XMLHttpRequest"}}},
				{path: "/page", header: http.Header{"Sec-Purpose": {"prefetch"}}},
				{path: "/page", header: http.Header{"Hx-Preloaded": {"true"}}},
				get("/text"),
				get("/style.css"),
				{path: "/moved", status: http.StatusFound},
				{method: http.MethodPost, path: "/page"},
			},
			want: []string{
				"Page Viewed by jane: GET /page 200, 0 in, 3 out",
				"API Called by jane: GET /page 200, 0 in, 3 out",
				"API Called by jane: GET /page 200, 0 in, 3 out",
				"API Called by jane: GET /text 200, 0 in, 2 out",
				"API Called by jane: POST /page 200, 0 in, 3 out",
			},
		},
	}
}

// testResponseTime: the time that a handler takes counts.
func testResponseTime(t *testing.T, a Adapter) {
	const takes = 20 * time.Millisecond
	app := a.record(t, App{UserID: jane, Routes: []Route{{Path: "/", Handler: func(r Request) {
		<-time.After(takes)
		r.Reply(http.StatusOK, appJSON, `{}`)
	}}}})
	do(t, app.url, get("/"))
	for _, e := range app.server.Wait(1) {
		if ms, ok := e.Properties["durationMs"].(float64); !ok || ms < float64(takes.Milliseconds()) {
			t.Errorf("durationMs %v, want %v or more", e.Properties["durationMs"], takes.Milliseconds())
		}
	}
}

// testAnswers: the recorded status, kind and size are those that the client sees, even
// if net/http or the framework has completed the answer.
func testAnswers(t *testing.T, a Adapter) {
	var routes []Route
	add := func(path string, handler func(Request)) {
		routes = append(routes, Route{Path: path, Handler: handler})
	}
	add("/nothing", func(Request) {})
	add("/untyped", reply(http.StatusOK, "", aPage))
	add("/untyped/json", reply(http.StatusOK, "", `{"a":1}`))
	add("/unstated", reply(0, "", aPage))
	add("/unstated/typed", reply(0, textHTML, aPage))
	add("/upper", reply(http.StatusOK, "TEXT/HTML", aPage))
	add("/large", reply(http.StatusOK, textHTML, strings.Repeat(aPage, 10_000)))
	add("/not/found", reply(http.StatusNotFound, textHTML, aPage))
	add("/empty/page", reply(http.StatusOK, textHTML, ""))
	add("/reset", reply(http.StatusResetContent, "", ""))
	if !a.OwnServer {
		addHTTPAnswers(t, add)
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	var want []string
	for _, route := range routes {
		got := ask(t, app.url, get(route.Path))
		if got.status == 0 {
			t.Errorf("%s: no answer", route.Path)
		}
		if event := seen(http.MethodGet, route.Path, got); !strings.HasPrefix(got.header.Get("Content-Type"), "TEXT") {
			want = append(want, event)
		} else {
			want = append(want, strings.Replace(event, "API Called", "Page Viewed", 1))
		}
		if got := ask(t, app.url, call{method: http.MethodHead, path: route.Path}); got.body != "" {
			t.Errorf("HEAD %s: body %q", route.Path, got.body)
		}
	}
	app.expect(want...)
}

// aPage is HTML whose type can be guessed.
const aPage = "<!doctype html><title>Reports</title>"

// addHTTPAnswers adds the ways to answer with an http.ResponseWriter.
func addHTTPAnswers(tb testing.TB, add func(path string, handler func(Request))) {
	tb.Helper()
	const longPage = "long page.html"
	folder := tb.TempDir()
	for name, content := range map[string]string{"page.html": aPage, longPage: strings.Repeat(aPage, 1000), "empty": ""} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	// send copies a real file, so that net/http can use sendfile(2).
	send := func(w io.Writer, name string) {
		file, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			tb.Error(err)
			return
		}
		info, _ := file.Stat()
		if n, err := io.Copy(w, file); n != info.Size() || err != nil {
			tb.Errorf("%s: copied %d bytes of %d, %v", name, n, info.Size(), err)
		}
		if err := file.Close(); err != nil {
			tb.Error(err)
		}
	}
	writer := func(use func(http.ResponseWriter)) func(Request) {
		return func(r Request) {
			w, _ := r.HTTP()
			use(w)
		}
	}
	add("/file", writer(func(w http.ResponseWriter) { send(w, "page.html") }))
	add("/file/long", writer(func(w http.ResponseWriter) { send(w, longPage) }))
	add("/file/empty", writer(func(w http.ResponseWriter) { send(w, "empty") }))
	add("/file/typed", writer(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", appJSON)
		send(w, longPage)
	}))
	add("/file/page", writer(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", textHTML)
		send(w, longPage)
	}))
	add("/file/with/status", writer(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusAccepted)
		send(w, longPage)
	}))
	add("/file/after/text", writer(func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, "text first ")
		send(w, longPage)
	}))
	add("/file/before/text", writer(func(w http.ResponseWriter) {
		send(w, longPage)
		_, _ = io.WriteString(w, " and text")
	}))
	add("/file/with/length", writer(func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", strconv.Itoa(len(aPage)))
		send(w, "page.html")
	}))
	add("/encoded", writer(func(w http.ResponseWriter) { // net/http guesses no type for it
		w.Header().Set("Content-Encoding", "x-none")
		_, _ = io.WriteString(w, aPage)
	}))
	add("/encoded/file", writer(func(w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "x-none")
		send(w, longPage)
	}))
	add("/transfer/identity", writer(func(w http.ResponseWriter) { // nor for this one
		w.Header().Set("Transfer-Encoding", "identity")
		_, _ = io.WriteString(w, aPage)
	}))
	add("/type/withheld", writer(func(w http.ResponseWriter) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, aPage)
	}))
	add("/type/after/status", writer(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Content-Type", textHTML)
		_, _ = io.WriteString(w, "some text")
	}))
	add("/type/too/late", writer(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "some text")
		w.Header().Set("Content-Type", textHTML)
	}))
	add("/flushed/first", writer(func(w http.ResponseWriter) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, aPage)
	}))
	add("/in/pieces", writer(func(w http.ResponseWriter) {
		for range 100 {
			_, _ = io.WriteString(w, aPage)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	pieces := func(flush bool, texts ...string) func(Request) {
		return writer(func(w http.ResponseWriter) {
			for i, text := range texts {
				if i%2 == 0 {
					_, _ = io.WriteString(w, text)
				} else {
					_, _ = w.Write([]byte(text))
				}
				if flush {
					_ = http.NewResponseController(w).Flush()
				}
			}
		})
	}
	add("/small/pieces", pieces(false, "", "\n", " ", "<!doc", "type html>", "<title>", "Reports</title>"))
	add("/small/pieces/flushed", pieces(true, "\n", "<!doctype html>"))
	add("/small/pieces/and/large", pieces(false, "\n", "<!doc", "type html>"+strings.Repeat(aPage, 1000)))
	add("/small/pieces/too/late", pieces(false, strings.Repeat(" ", 500), "            ", aPage))
	add("/small/pieces/never", pieces(false, "<", "title"))
	add("/file/after/space", writer(func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, "\n")
		send(w, longPage)
	}))
	add("/nothing/written", writer(func(w http.ResponseWriter) { _, _ = w.Write(nil) }))
	add("/status/twice", writer(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusAccepted)
	}))
	add("/status/after/flush", writer(func(w http.ResponseWriter) {
		_ = http.NewResponseController(w).Flush()
		w.WriteHeader(http.StatusInternalServerError)
	}))
	add("/hints", writer(func(w http.ResponseWriter) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, aPage)
	}))
	add("/hints/then/type", writer(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusEarlyHints)
		if gins, ok := w.(interface{ WriteHeaderNow() }); ok {
			gins.WriteHeaderNow() // Gin's WriteHeader only notes the status
		}
		w.Header().Set("Content-Type", textHTML)
		_, _ = io.WriteString(w, "some text")
	}))
	add("/hints/then/status", func(r Request) { // which Echo takes for a second status
		w, _ := r.HTTP()
		w.WriteHeader(http.StatusEarlyHints)
		r.Reply(http.StatusAccepted, appJSON, `{}`)
	})
}
