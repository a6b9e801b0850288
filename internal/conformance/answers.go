package conformance

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/klimeapp/klime-go/klimetest"
)

const (
	textPlain = "text/plain; charset=utf-8"
	textHTML  = "text/html; charset=utf-8"
	appJSON   = "application/json"
)

func reply(status int, contentType, body string) func(Request) {
	return func(r Request) { r.Reply(status, contentType, body) }
}

// jane is a resolver that always knows who it is.
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
				`{"type":"track","event":"Page Viewed","userId":"jane","properties":{"method":"GET","route":"/fresh","status":304,"requestBytes":0,"responseBytes":0}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/fresh","status":304,"requestBytes":0,"responseBytes":0}}`,
			},
		},
		{
			name: "answers that net/http completes",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/untyped", Handler: reply(http.StatusOK, "", "<!doctype html><p>")},
				{Path: "/bare", Handler: reply(0, "", "just text")},
				{Path: "/hinted", Handler: func(r Request) {
					w, _ := r.HTTP()
					w.Header().Set("Link", "</style.css>; rel=preload")
					w.WriteHeader(http.StatusEarlyHints)
					r.Reply(http.StatusAccepted, appJSON, `{}`)
				}},
			}},
			requests: []call{
				get("/untyped"), get("/bare"), {path: "/hinted", status: http.StatusAccepted},
			},
			want: []string{
				`{"type":"track","event":"Page Viewed","userId":"jane","properties":{"method":"GET","route":"/untyped","status":200,"requestBytes":0,"responseBytes":18}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/bare","status":200,"requestBytes":0,"responseBytes":9}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/hinted","status":202,"requestBytes":0,"responseBytes":2}}`,
			},
			needs: netHTTP,
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
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"POST","route":"/made","status":201,"requestBytes":5,"responseBytes":8}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/gone","status":404,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/broken","status":500,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"DELETE","route":"/nothing","status":204,"requestBytes":0,"responseBytes":0}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"PUT","route":"/silent","status":200,"requestBytes":0,"responseBytes":0}}`,
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
				{path: "/page", header: http.Header{"Sec-Purpose": {"prefetch"}}},
				get("/text"),
				get("/style.css"),
				{path: "/moved", status: http.StatusFound},
				{method: http.MethodPost, path: "/page"},
			},
			want: []string{
				`{"type":"track","event":"Page Viewed","userId":"jane","properties":{"method":"GET","route":"/page","status":200,"requestBytes":0,"responseBytes":3}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/page","status":200,"requestBytes":0,"responseBytes":3}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/text","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"POST","route":"/page","status":200,"requestBytes":0,"responseBytes":3}}`,
			},
		},
	}
}

// testStatusTwice: of two statuses, the one that the client sees is recorded.
func testStatusTwice(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{
		{Path: "/written", Handler: func(r Request) {
			w, _ := r.HTTP()
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusAccepted)
		}},
		{Path: "/flushed", Handler: func(r Request) {
			w, _ := r.HTTP()
			_ = http.NewResponseController(w).Flush()
			w.WriteHeader(http.StatusInternalServerError)
		}},
	}})
	var want []string
	for _, path := range []string{"/written", "/flushed"} {
		status, _ := do(t, url, get(path))
		want = append(want, fmt.Sprintf(`{"type":"track","event":"API Called","userId":"jane","properties":`+
			`{"method":"GET","route":%q,"status":%d,"requestBytes":0,"responseBytes":0}}`, path, status))
	}
	stop()
	compare(t, server, client, want)
}
