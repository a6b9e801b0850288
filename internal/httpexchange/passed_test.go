package httpexchange

import (
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"testing"
	"weak"

	klime "github.com/klimeapp/klime-go/core"
)

// What handlers have left in the copy is given back, but not in place of what came with the
// original.
func TestGiveBack(t *testing.T) {
	t.Parallel()
	forms := func(r *http.Request, of string) {
		r.Form, r.PostForm = url.Values{"form": {of}}, url.Values{"post": {of}}
		r.MultipartForm = &multipart.Form{Value: url.Values{"multipart": {of}}}
	}
	for came, want := range map[bool]string{false: "left", true: "came"} {
		incoming := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		if came {
			forms(incoming, "came")
		}
		passed := incoming.WithContext(t.Context())
		forms(passed, "left")
		passed.Pattern = "POST /"
		GiveBack(incoming, passed)
		if incoming.Pattern != "POST /" || incoming.Form.Get("form") != want || incoming.PostForm.Get("post") != want ||
			url.Values(incoming.MultipartForm.Value).Get("multipart") != want {
			t.Errorf("given back: %+v, want what %s", incoming, want)
		}
	}
}

// A trailer that the client has announced stays. If a body of unknown length has none yet,
// there is a map that both requests share.
func TestPassOnTrailer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trailer http.Header
		length  int64
		want    http.Header
	}{
		"announced":     {http.Header{"Checksum": nil}, -1, http.Header{"Checksum": nil}},
		"not announced": {nil, -1, http.Header{}},
		"no chunks":     {nil, 5, nil},
	} {
		incoming := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		incoming.Trailer, incoming.ContentLength = test.trailer, test.length
		passed := new(Passed).PassOn(t.Context(), incoming)
		if !reflect.DeepEqual(incoming.Trailer, test.want) || !reflect.DeepEqual(passed.Trailer, test.want) {
			t.Errorf("%s: %#v, passed on %#v, want %#v", name, incoming.Trailer, passed.Trailer, test.want)
		}
	}
}

// A handler that outlives its request ends while the server reads the original. If the
// handler has left nothing, the race detector has nothing to complain of.
func TestGiveBackNothing(t *testing.T) {
	t.Parallel()
	incoming := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	incoming.Pattern = "/" // of a mux outside
	passed := incoming.WithContext(t.Context())
	given := make(chan struct{})
	go func() {
		defer close(given)
		GiveBack(incoming, passed)
	}()
	if incoming.MultipartForm != nil || incoming.Form != nil || incoming.PostForm != nil || incoming.Pattern != "/" {
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
