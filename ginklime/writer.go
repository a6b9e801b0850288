package ginklime

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// writer notes what Gin's own ResponseWriter does not tell: the type of a body
// without Content-Type, and whether the connection was taken over.
type writer struct {
	gin.ResponseWriter

	passed   *httpexchange.Passed
	media    httpexchange.MediaType
	bytes    int64 // of the body, before a middleware further out compresses it
	stated   bool  // a final status was set, which Gin sends with the body or after the handlers
	hijacked bool  // the connection was taken over before an answer
}

func (w *writer) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.stated = w.stated || !httpexchange.Informational(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.media.Sniff(w.Header(), p)
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err //nolint:wrapcheck // the handler must see the original error
}

func (w *writer) WriteString(s string) (int, error) {
	w.media.SniffString(w.Header(), s)
	n, err := w.ResponseWriter.WriteString(s)
	w.bytes += int64(n)
	return n, err //nolint:wrapcheck // as above
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	answered := w.Written() // which newer versions of Gin refuse
	conn, rw, err := w.ResponseWriter.Hijack()
	if err == nil {
		w.hijacked = !answered
		w.passed.Hijacked(conn)
	}
	return conn, rw, err //nolint:wrapcheck // as above
}

// Flush sends the header.
func (w *writer) Flush() {
	w.media.Flush(w.Header())
	w.ResponseWriter.Flush()
}

// WriteHeaderNow sends the header too. Net/http may still guess the content type
// afterwards. A 1xx status is not final: the header may change until the next one.
func (w *writer) WriteHeaderNow() {
	if !httpexchange.Informational(w.Status()) {
		w.media.Fix(w.Header())
	}
	w.ResponseWriter.WriteHeaderNow()
}

// answered reports whether a handler has answered.
func (w *writer) answered() bool { return w.stated || w.Written() }

// sentStatus is the status that the client has got, or would have got if it had not gone
// away. Gin keeps the last one that was set. If that is a 1xx, net/http has sent 200
// after it; if it is no status at all, net/http panics once Gin writes it, after all
// handlers.
func (w *writer) sentStatus() int {
	switch status := w.Status(); {
	case status <= 0: // such as c.Stream sets: Gin ignores it, but a writer further out may keep it
		return http.StatusOK
	case status < 100 || status > 999:
		return http.StatusInternalServerError
	case httpexchange.Informational(status):
		return http.StatusOK
	default:
		return status
	}
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
