package inspector_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/internal/inspector"
)

type object = map[string]any

// local is a local Klime under test.
type local struct {
	*inspector.Handler

	t      testing.TB
	engine *ingest.Server
}

func newLocal(t testing.TB, opts inspector.Options) *local {
	t.Helper()
	engine := ingest.New(ingest.Options{})
	return &local{inspector.New(engine, opts), t, engine}
}

func (l *local) serve(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+target, nil)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	if target == "/stream" { // it would not end
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		r = r.WithContext(ctx)
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w
}

// post sends events in batches of a hundred.
func (l *local) post(events ...object) {
	l.t.Helper()
	for len(events) > 0 {
		n := min(len(events), ingest.MaxBatchEvents)
		body, err := json.Marshal(object{"batch": events[:n]})
		if err != nil {
			l.t.Fatal(err)
		}
		l.postRaw(string(body))
		events = events[n:]
	}
}

func (l *local) postRaw(body string) {
	l.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/batch", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer key")
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		l.t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

// page returns a page. The test fails if it is not answered 200.
func (l *local) page(path string, query ...string) string {
	l.t.Helper()
	w := l.serve("GET", address(path, query...))
	if w.Code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(w.Body.String()), "</html>") {
		l.t.Fatalf("%s %q: status %d: %.2000s", path, query, w.Code, w.Body)
	}
	return w.Body.String()
}

// api decodes an answer of the query API.
func api[T any](l *local, path string, query ...string) (answer T) {
	l.t.Helper()
	w := l.serve("GET", address(path, query...))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		l.t.Fatalf("%s %q: status %d: %.2000s", path, query, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		l.t.Fatalf("%s %q: %v", path, query, err)
	}
	return answer
}

// walk returns the items of all parts of a list.
func walk[T any](l *local, path string, query ...string) (items []T) {
	l.t.Helper()
	for next := address(path, query...); next != ""; {
		list := api[inspector.List[T]](l, next)
		items, next = append(items, list.Items...), list.Next
		if len(items) > list.Total {
			l.t.Fatalf("%s %q: %d items of %d", path, query, len(items), list.Total)
		}
	}
	return items
}

func address(path string, query ...string) string {
	values := make(url.Values)
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

func ingestWith(maxEvents int) *ingest.Server {
	return ingest.New(ingest.Options{MaxEvents: maxEvents})
}
