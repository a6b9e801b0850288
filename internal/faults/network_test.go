package faults_test

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// network is the way to Klime: an http.RoundTripper that sends each request as the
// weather has it, over sockets of this machine.
type network struct {
	weather *weather
	good    *http.Transport
	routes  map[fault]route
	secure  bool // the endpoint is https
}

// route is a way on which a request does not arrive.
type route struct {
	transport *http.Transport
	scheme    string // of the request, "" to leave it
	host      string // likewise
}

// newNetwork returns the network, and the URL of Klime, https or not.
func newNetwork(tb testing.TB, w *weather, klime http.Handler, secure bool) (*network, string) {
	tb.Helper()
	plain, private := serve(tb, klime, false), serve(tb, klime, true)
	trust := private.Client().Transport.(*http.Transport).TLSClientConfig
	transport := func(change func(*http.Transport)) *http.Transport {
		t := &http.Transport{TLSClientConfig: trust.Clone(), MaxConnsPerHost: 4, MaxIdleConnsPerHost: 4}
		if change != nil {
			change(t)
		}
		tb.Cleanup(t.CloseIdleConnections)
		return t
	}
	through := func(address string) *http.Transport {
		return transport(func(t *http.Transport) { t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: address}) })
	}
	proxy := func(code int) string {
		return serve(tb, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }), false).Listener.Addr().String()
	}
	n := &network{weather: w, secure: secure, good: transport(nil)}
	n.routes = map[fault]route{
		connectionRefused: {transport: transport(nil), host: nobody},
		nameNotFound: {transport: transport(func(t *http.Transport) {
			resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", nobody)
			}}
			t.DialContext = (&net.Dialer{Resolver: resolver}).DialContext
		}), host: "klime.test"},
		tlsUntrusted: {transport: transport(func(t *http.Transport) { t.TLSClientConfig.RootCAs = x509.NewCertPool() }),
			scheme: "https", host: private.Listener.Addr().String()},
		tlsMissing:  {transport: transport(nil), scheme: "https", host: plain.Listener.Addr().String()},
		tlsCut:      {transport: transport(nil), scheme: "https", host: hangsUp(tb)},
		proxyDenies: {transport: through(proxy(http.StatusProxyAuthRequired))},
		proxyFails:  {transport: through(proxy(http.StatusBadGateway))},
		proxyGone:   {transport: through(nobody)},
	}
	if secure {
		return n, private.URL
	}
	return n, plain.URL
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	f, number := n.weather.next()
	r = r.Clone(r.Context())
	way, bad := n.routes[f]
	if !bad {
		r.Header.Set(faultHeader, encodeDraw(f, number))
		return n.good.RoundTrip(r)
	}
	if way.scheme != "" {
		r.URL.Scheme = way.scheme
	}
	if way.host != "" {
		r.URL.Host = way.host
	}
	return way.transport.RoundTrip(r)
}

// serve starts a server that ends with the test, and does not complain of what
// clients do to it.
func serve(tb testing.TB, handler http.Handler, secure bool) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// nobody is an address at which nobody listens. A port that was free a moment ago may
// be another test's now, whose server answers 200.
const nobody = "127.0.0.1:1"

// hangsUp is the address of somebody who hangs up at once.
func hangsUp(tb testing.TB) string {
	tb.Helper()
	l := listen(tb)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}
