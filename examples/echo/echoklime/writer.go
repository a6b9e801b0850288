package echoklime

import (
	"bufio"
	"cmp"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	klime "github.com/klimeapp/klime-go/core"
)

// writer sees the answer on its way out, after a middleware inside ours has compressed
// it. Handlers write to an *echo.Response, which finds by Unwrap what the connection can
// do. Flush and Push are for code that asks c.Response().Writer for them.
type writer struct {
	http.ResponseWriter

	conn     net.Conn // that a handler has taken over
	hijacked bool     // before an answer

	status      int // of the final answer, 0 until it has begun
	bytes       int64
	contentType string // what the header says when it is sent, or what net/http guesses
	guess       bool   // net/http will guess the type from the first bytes
	head        []byte // these first bytes
}

// sniffBytes is how many bytes net/http looks at.
const sniffBytes = 512

func (w *writer) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.begin(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	if w.guess {
		w.head = append(w.head, p[:min(len(p), sniffBytes-len(w.head))]...)
		if len(w.head) == sniffBytes {
			w.settle()
		}
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		w.begin(http.StatusOK)
		w.settle() // the header has gone
	}
	return err
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.conn, w.hijacked = conn, w.status == 0
	}
	return conn, rw, err
}

// Push implements http.Pusher.
func (w *writer) Push(target string, opts *http.PushOptions) error {
	if pusher, ok := w.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begin notes the final status, and the header as it is at that moment. A 1xx is not
// final, except 101.
func (w *writer) begin(status int) {
	informational := status < http.StatusOK && status != http.StatusSwitchingProtocols
	if w.status != 0 || w.hijacked || informational {
		return
	}
	_, declared := w.Header()[echo.HeaderContentType]
	w.status = status
	w.contentType = w.Header().Get(echo.HeaderContentType)
	w.guess = !declared && w.Header().Get(echo.HeaderContentEncoding) == "" && w.Header().Get("Transfer-Encoding") == ""
}

// settle guesses the type from the bytes that have been written.
func (w *writer) settle() {
	if w.guess && len(w.head) > 0 {
		w.contentType = http.DetectContentType(w.head)
	}
	w.guess, w.head = false, nil
}

// report adds what was answered to x.
func (w *writer) report(x *klime.Exchange) {
	x.Conn, x.Hijacked = w.conn, w.hijacked
	if w.status == 0 && !x.Panicked {
		x.Unanswered = true
		w.begin(http.StatusOK) // which net/http sends then
	}
	w.settle()
	x.Status = w.status
	x.ResponseBytes = w.bytes
	x.Location = w.Header().Get(echo.HeaderLocation)
	x.ContentType = w.contentType
	if strings.HasPrefix(x.ContentType, "application/grpc") {
		x.GRPCStatus = cmp.Or(w.Header().Get("Grpc-Status"), w.Header().Get(http.TrailerPrefix+"Grpc-Status"))
	}
}
