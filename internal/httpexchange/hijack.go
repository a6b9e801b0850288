package httpexchange

import (
	"net"
	"net/http"
	"strings"
	"syscall"

	klime "github.com/klimeapp/klime-go/core"
)

// takeover is a connection that a handler has taken over.
type takeover struct {
	conn     net.Conn
	forHTTP2 bool
}

// Hijacked notes that a handler has taken over the connection. If that was for HTTP/2
// (h2c), this request and later ones, perhaps of other users, are served with contexts
// made from this one. So it no longer has a Scope.
func (p *Passed) Hijacked(conn net.Conn) {
	t := &takeover{conn, upgradesToHTTP2(p.incoming.Header)}
	if t.forHTTP2 {
		klime.Skip(&p.Scope)
	}
	p.takeover.Store(t)
}

// upgradesToHTTP2 goes by what RFC 7540, section 3.2, requires of such a request.
func upgradesToHTTP2(header http.Header) bool {
	if firstValue(header, "Http2-Settings") == "" {
		return false
	}
	for _, line := range header["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "h2c") {
				return true
			}
		}
	}
	return false
}

// LeftOpen reports whether a handler has taken over the connection and not closed it, as
// one does that leaves a WebSocket to goroutines. If that cannot be told, it has not.
func (p *Passed) LeftOpen() bool {
	t := p.takeover.Load()
	if t == nil {
		return false
	}
	conn := t.conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok { // as of TLS
		conn = secured.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	return err == nil && raw.Control(func(uintptr) {}) == nil // fails once closed
}
