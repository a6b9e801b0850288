package httpexchange

import (
	"net"
	"net/http"
	"strings"

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

// Conn is the connection that a handler has taken over, nil if none.
func (p *Passed) Conn() net.Conn {
	if t := p.takeover.Load(); t != nil {
		return t.conn
	}
	return nil
}
