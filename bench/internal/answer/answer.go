// Package answer has an http.ResponseWriter that discards the answer.
package answer

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// Writer is an http.ResponseWriter that discards the answer. It has the methods of
// net/http's own for HTTP/1, as middlewares wrap these.
type Writer struct{ header http.Header }

// Nowhere returns a Writer. It is for one request at a time.
func Nowhere() *Writer { return &Writer{header: http.Header{}} }

// Header implements http.ResponseWriter.
func (w *Writer) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) { return len(p), nil }

// WriteString implements io.StringWriter.
func (w *Writer) WriteString(s string) (int, error) { return len(s), nil }

// WriteHeader implements http.ResponseWriter.
func (w *Writer) WriteHeader(int) {}

// Flush implements http.Flusher.
func (w *Writer) Flush() {}

// FlushError is for http.ResponseController, and so are the three below.
func (w *Writer) FlushError() error { return nil }

// SetReadDeadline does nothing.
func (w *Writer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *Writer) SetWriteDeadline(time.Time) error { return nil }

// EnableFullDuplex does nothing.
func (w *Writer) EnableFullDuplex() error { return nil }

// ReadFrom implements io.ReaderFrom.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// CloseNotify implements http.CloseNotifier.
func (w *Writer) CloseNotify() <-chan bool { return nil }

// Hijack implements http.Hijacker.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }
