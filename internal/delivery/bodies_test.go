package delivery

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
)

// roundTrip answers requests in place of net/http.
type roundTrip func(*http.Request, *httptrace.ClientTrace)

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	r(req, httptrace.ContextClientTrace(req.Context()))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// The memory of a body is used again only if nobody can be reading it any more.
func TestBodiesAreUsedAgain(t *testing.T) {
	t.Parallel()
	read := func(req *http.Request, trace *httptrace.ClientTrace) {
		_, _ = io.Copy(io.Discard, req.Body)
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	for name, tt := range map[string]struct {
		answer roundTrip
		size   int
		want   bool
	}{
		"read, then answered":  {read, 1000, true},
		"large":                {read, maxSpareBytes, false},
		"answered, being read": {func(*http.Request, *httptrace.ClientTrace) {}, 1000, false},
		"not written": {func(_ *http.Request, trace *httptrace.ClientTrace) {
			trace.WroteRequest(httptrace.WroteRequestInfo{Err: errors.New("broken pipe")})
		}, 1000, false},
		"repeated": {func(req *http.Request, trace *httptrace.ClientTrace) {
			again, _ := req.GetBody()
			_ = again.Close()
			read(req, trace)
		}, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &http.Transport{}
			client.RegisterProtocol("klime", tt.answer)
			transport := NewHTTP(&http.Client{Transport: client}, "klime://test/v1/batch", "key", "test")
			if got := reuses(t, transport, tt.size); got != tt.want {
				t.Errorf("used again: %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("asked for later", func(t *testing.T) {
		t.Parallel()
		var again []func() (io.ReadCloser, error)
		client := &http.Transport{}
		client.RegisterProtocol("klime", roundTrip(func(req *http.Request, trace *httptrace.ClientTrace) {
			again = append(again, req.GetBody)
			read(req, trace)
		}))
		transport := NewHTTP(&http.Client{Transport: client}, "klime://test/v1/batch", "key", "test")
		if !reuses(t, transport, 1000) {
			t.Error("not used again")
		}
		if _, err := again[len(again)-1](); err == nil {
			t.Error("a body that may hold another request's events can be read")
		}
	})
	t.Run("an app's RoundTripper", func(t *testing.T) {
		t.Parallel()
		answer := roundTrip(func(_ *http.Request, trace *httptrace.ClientTrace) {
			if trace != nil {
				t.Error("it would have to keep what net/http promises")
			}
		})
		if reuses(t, NewHTTP(&http.Client{Transport: answer}, "http://test/v1/batch", "key", "test"), 1000) {
			t.Error("used again")
		}
	})
	for name, http2 := range map[string]bool{"a server, HTTP/1": false, "a server, HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			t.Cleanup(server.Close)
			if !reuses(t, NewHTTP(server.Client(), server.URL, "key", "test"), 1000) {
				t.Error("not used again")
			}
		})
	}
}

// reuses reports whether one of several bodies of this size was kept. (With -race,
// sync.Pool loses some.)
func reuses(t *testing.T, transport *HTTP, size int) bool {
	t.Helper()
	for range 20 {
		if _, err := transport.Send(t.Context(), Batch{{Body: []byte(strings.Repeat("x", size))}}); err != nil {
			t.Fatal(err)
		}
		if transport.bodies.get() != nil {
			return true
		}
	}
	return false
}
