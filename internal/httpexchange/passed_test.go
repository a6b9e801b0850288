package httpexchange

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"weak"

	klime "github.com/klimeapp/klime-go/core"
)

// A handler that outlives its request ends while the server reads the original. If the
// handler has left nothing, the race detector has nothing to complain of.
func TestGiveBackNothing(t *testing.T) {
	t.Parallel()
	incoming := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	passed := incoming.WithContext(t.Context())
	given := make(chan struct{})
	go func() {
		defer close(given)
		GiveBack(incoming, passed)
	}()
	if incoming.MultipartForm != nil || incoming.Form != nil || incoming.PostForm != nil || incoming.Pattern != "" {
		t.Errorf("given back: %+v", incoming)
	}
	<-given
}

// A context that is kept does not keep what a handler has put into its request: one that
// reads the body puts back a copy.
func TestKeptContextHoldsNoBody(t *testing.T) {
	t.Parallel()
	client, err := klime.New(klime.Config{WriteKey: "key"}) // nobody is known, and nothing is sent
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Shutdown(context.Background()) }()
	type body struct {
		io.ReadCloser

		_ [1 << 20]byte
	}
	var kept context.Context
	var left weak.Pointer[body]
	wayTo := func(*http.Request) *Way { return nil }
	route := func(_, r *http.Request, _ int) (pattern string, unmatched bool) { return r.Pattern, false }
	Middleware(client, wayTo, route, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		copied := &body{ReadCloser: http.NoBody}
		left = weak.Make(copied)
		r.Body, kept = copied, r.Context()
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	runtime.GC()
	if left.Value() != nil {
		t.Error("the body is kept")
	}
	runtime.KeepAlive(kept)
}
