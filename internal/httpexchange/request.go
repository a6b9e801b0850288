package httpexchange

import (
	"net"
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
)

// caller tells who sent a request.
type caller struct{ r *http.Request }

func (c caller) Header(name string) string { return firstValue(c.r.Header, name) }

// ClientIP is the address of the connection: behind a proxy, that of the proxy,
// unless a middleware has replaced it with the client's.
func (c caller) ClientIP() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr // a middleware that replaces it may leave out the port
	}
	return host
}

// Request returns what a request says of its exchange. It leaves out the path, which
// a handler may have changed.
func Request(r *http.Request) klime.Exchange {
	return klime.Exchange{
		Method:       r.Method,
		RequestBytes: r.ContentLength,
		Caller:       caller{r},
	}
}
