package klime

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
