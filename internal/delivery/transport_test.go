package delivery_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// serve returns a Transport to a server with this handler.
func serve(tb testing.TB, handler http.HandlerFunc) *delivery.HTTP {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return ours(tb, 2, server.URL+"/v1/batch")
}

func TestRequest(t *testing.T) {
	t.Parallel()
	const body = `{"batch":[{"id":1},{"id":2}]}`
	transport := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/v1/batch" || string(got) != body ||
			r.Header.Get("Authorization") != "Bearer key" || r.ContentLength != int64(len(body)) {
			t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, got)
		}
	})
	if _, err := transport.Send(t.Context(), delivery.Batch{{Body: []byte(`{"id":1}`)}, {Body: []byte(`{"id":2}`)}}); err != nil {
		t.Error(err)
	}
}

// If the proxy does not let us through, the error says that it is the proxy, without what
// it says.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{302: "302 Found", 407: "407 Proxy Authentication Required", 502: "502 Bad Gateway"} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(proxy.Close)
		at, err := url.Parse(strings.Replace(proxy.URL, "http://", "http://user:password@", 1))
		if err != nil {
			t.Fatal(err)
		}
		client := delivery.DefaultClient(1)
		client.Transport.(*http.Transport).Proxy = http.ProxyURL(at)
		_, err = delivery.NewHTTP(client, "https://klime.test/v1/batch", "key", "test").Send(t.Context(), make(delivery.Batch, 1))
		want := "no answer: the proxy " + at.Host + " answers " + want
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.LogValue().String() != want || !failure.Temporary() {
			t.Errorf("%d: %v, want %s", code, err, want)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer other.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) }))
		t.Cleanup(server.Close)
		for _, client := range []*http.Client{delivery.DefaultClient(1), {Transport: &http.Transport{}}} { // ours and an app's
			t.Cleanup(client.CloseIdleConnections)
			_, err := delivery.NewHTTP(client, server.URL, "key", "test").Send(t.Context(), make(delivery.Batch, 1))
			var failure *delivery.SendError
			if !errors.As(err, &failure) || failure.StatusCode != code || failure.Temporary() {
				t.Errorf("%d: %v", code, err)
			}
		}
	}
	if followed.Load() {
		t.Error("the key was carried elsewhere")
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	transport := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) }) // before the server waits for its handlers
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := transport.Send(ctx, make(delivery.Batch, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}
