package klime

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// If the context has ended, whoever ended it answers, unless the router has.
func TestAssumeAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in      Exchange
		ended   error
		status  int
		aborted bool
	}{
		"nothing":                      {Exchange{}, nil, 200, false},
		"a status":                     {Exchange{Status: 404}, nil, 404, false},
		"ended":                        {Exchange{Status: 200}, context.Canceled, 0, true},
		"ended, panicked":              {Exchange{Status: 200, Panicked: true}, context.Canceled, 200, false},
		"ended, no route":              {Exchange{Unmatched: true, Status: 404}, context.Canceled, 404, false},
		"ended, no route, no status":   {Exchange{Unmatched: true}, context.Canceled, 0, true},
		"ended, a route for the rest":  {Exchange{Unmatched: true, Route: "/*", Status: 404}, context.Canceled, 0, true},
		"ended, the route is not told": {Exchange{Status: 404}, context.Canceled, 0, true},
	} {
		test.in.assumeAnswer(test.ended)
		if test.in.Status != test.status || test.in.Aborted != test.aborted {
			t.Errorf("%s: status %d, aborted %v", name, test.in.Status, test.in.Aborted)
		}
	}
}

// What an adapter knows of an answer is kept; that a caller has left, or that the answer
// is not finished, is also found out.
func TestSettle(t *testing.T) {
	t.Parallel()
	left, leave := context.WithCancel(t.Context())
	leave()
	for name, test := range map[string]struct {
		ctx                 context.Context //nolint:containedctx // of the request
		in                  Exchange
		status              int
		aborted, unfinished bool
	}{
		"answered":                                 {t.Context(), Exchange{Status: 201}, 201, false, false},
		"answered, the caller has left":            {left, Exchange{Status: 201}, 201, false, false},
		"answered outside":                         {t.Context(), Exchange{AnsweredOutside: true, Status: 201}, 0, false, false},
		"answered outside, the caller has left":    {left, Exchange{AnsweredOutside: true, Status: 201}, 0, true, false},
		"answered outside, aborted":                {t.Context(), Exchange{AnsweredOutside: true, Status: 201, Aborted: true}, 0, true, false},
		"answered outside, but it panicked":        {left, Exchange{AnsweredOutside: true, Status: 201, Panicked: true}, 201, false, false},
		"not finished, as the adapter knows":       {t.Context(), Exchange{Status: 201, Unfinished: true}, 201, false, true},
		"taken over, and left to somebody else":    {t.Context(), Exchange{Hijacked: true, Conn: dialSelf(t)}, 0, false, true},
		"taken over instead of answered elsewhere": {left, Exchange{Hijacked: true, AnsweredOutside: true}, 0, false, false},
	} {
		scope := NewTracker(nil).Begin(test.ctx)
		test.in.settle(scope)
		if test.in.Status != test.status || test.in.Aborted != test.aborted || test.in.Unfinished != test.unfinished {
			t.Errorf("%s: status %d, aborted %v, unfinished %v", name, test.in.Status, test.in.Aborted, test.in.Unfinished)
		}
	}
	scope := NewTracker(nil).Begin(t.Context())
	inner := NewTracker(nil).Begin(scope)
	x := Exchange{AnsweredOutside: true, Status: 201}
	if x.settle(inner); x.Status != 201 {
		t.Errorf("answered by the middleware around: status %d", x.Status)
	}
}

func TestMayBeOpen(t *testing.T) {
	t.Parallel()
	type wrapped struct{ net.Conn } // as by a listener that counts connections
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	for name, tt := range map[string]struct {
		conn  func(tcp net.Conn) net.Conn
		known bool
	}{
		"TCP":     {func(tcp net.Conn) net.Conn { return tcp }, true},
		"TLS":     {func(tcp net.Conn) net.Conn { return tls.Client(tcp, new(tls.Config)) }, true},
		"wrapped": {func(tcp net.Conn) net.Conn { return wrapped{tcp} }, false},
		"a pipe":  {func(net.Conn) net.Conn { return pipe }, false},
	} {
		x := Exchange{Conn: tt.conn(dialSelf(t))}
		if !x.mayBeOpen() {
			t.Errorf("%s: closed while it is open", name)
		}
		_ = x.Conn.Close()
		if x.mayBeOpen() == tt.known {
			t.Errorf("%s: after it was closed: %v", name, tt.known)
		}
	}
	if (&Exchange{}).mayBeOpen() {
		t.Error("a connection that was not taken over is open")
	}
}

// dialSelf returns one end of a TCP connection.
func dialSelf(t *testing.T) net.Conn {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
