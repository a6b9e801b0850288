package ginklime

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// writer sees what Gin's own ResponseWriter does not tell: the type of a body
// that has no Content-Type, and that the connection was taken over.
type writer struct {
	gin.ResponseWriter

	media    httpexchange.MediaType
	hijacked bool
}

func (w *writer) Write(p []byte) (int, error) {
	w.media.Sniff(w.Header(), p)
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // the writer that it stands in for
}

func (w *writer) WriteString(s string) (int, error) {
	w.media.Sniff(w.Header(), []byte(s[:min(len(s), 512)]))
	return w.ResponseWriter.WriteString(s) //nolint:wrapcheck // likewise
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.ResponseWriter.Hijack()
	w.hijacked = err == nil
	return conn, rw, err //nolint:wrapcheck // likewise
}

func (w *writer) Status() int {
	if w.hijacked {
		return http.StatusSwitchingProtocols
	}
	return w.ResponseWriter.Status()
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
