package httpexchange

import (
	"net"
	"net/http"
)

// caller tells who sent a request.
type caller struct{ r *http.Request }

func (c caller) Header(name string) string { return firstValue(c.r.Header, name) }

// firstValue is Header.Get for a name in canonical form, without canonicalizing it.
func firstValue(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// ClientIP is the address of the connection: behind a proxy, that of the proxy,
// unless a middleware has replaced it with the client's.
func (c caller) ClientIP() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr // a middleware that replaces it may leave out the port
	}
	return host
}
