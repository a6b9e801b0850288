package httpexchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// response is what is known of an answer. It is also an http.ResponseWriter itself,
// without optional interfaces.
type response struct {
	next   http.ResponseWriter
	passed *Passed
	start  time.Time
	status int // of the final header, 0 until that is written, or takenOver
	bytes  int64
	media  MediaType
}

// takenOver stands in place of a status if the connection was taken over before an answer.
const takenOver = -1

// observe starts to observe the answer that is written to w. It returns the writer to
// use in place of w, with the same optional interfaces and with Unwrap for
// http.ResponseController.
func (s *shaped) observe(w http.ResponseWriter) http.ResponseWriter {
	s.next, s.start = w, time.Now()
	return s.shape(abilitiesOf(w))
}

// Header implements http.ResponseWriter.
func (r *response) Header() http.Header { return r.next.Header() }

// WriteHeader implements http.ResponseWriter.
func (r *response) WriteHeader(status int) {
	r.next.WriteHeader(status)
	r.begin(status)
}

// Write implements http.ResponseWriter.
func (r *response) Write(p []byte) (int, error) {
	r.begin(http.StatusOK)
	r.media.Sniff(r.next.Header(), p)
	n, err := r.next.Write(p)
	r.bytes += int64(n)
	return n, err //nolint:wrapcheck // the writer's own, as the handler would see it
}

// WriteString implements io.StringWriter.
func (r *response) WriteString(s string) (int, error) {
	w, ok := r.next.(io.StringWriter)
	if !ok {
		return r.Write([]byte(s)) //nolint:gocritic // the original has no WriteString
	}
	r.begin(http.StatusOK)
	r.media.SniffString(r.next.Header(), s)
	n, err := w.WriteString(s)
	r.bytes += int64(n)
	return n, err //nolint:wrapcheck // the writer's own, as the handler would see it
}

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter {
	if _, wraps := r.next.(interface{ Unwrap() http.ResponseWriter }); !wraps {
		return (*unwrapped)(r)
	}
	controller := unwrappedController{(*unwrapped)(r)}
	if readerFrom(r.next) != nil {
		return unwrappedCopier{controller}
	}
	return controller
}

// beforeFlush notes that the header is sent, as a flush does.
func (r *response) beforeFlush() {
	r.begin(http.StatusOK)
	r.media.Flush(r.next.Header())
}

// begin notes the status of the final header. Later ones do not count.
func (r *response) begin(status int) {
	if r.status == 0 && !Informational(status) {
		r.status = status
		r.media.Fix(r.next.Header())
	}
}

// afterHijack notes that the connection was taken over.
func (r *response) afterHijack(conn net.Conn) {
	if r.status == 0 {
		r.status = takenOver
	}
	r.passed.Hijacked(conn)
}

// Informational reports whether status is a 1xx after which the answer is still to
// come. 101 is not: it is the answer.
func Informational(status int) bool {
	return status < http.StatusOK && status != http.StatusSwitchingProtocols
}

// readFrom lets the original writer copy, so that it decides which bytes it sends
// when. To guess the type, it looks at the first bytes while they are read.
func (r *response) readFrom(src io.Reader) (int64, error) {
	header := r.next.Header()
	switch {
	case !r.media.needsSniff(header):
		return r.copyFrom(src)
	case firstValue(header, "Content-Length") == "": // the body is sent in chunks, so the kernel does not copy it anyway
		return r.copyFrom(r.sniffing(src))
	}
	// The kernel may copy the rest: net/http itself copies this much before it lets it.
	head, err := r.copyFrom(io.LimitReader(r.sniffing(src), sniffBytes))
	if err != nil || head < sniffBytes {
		return head, err
	}
	rest, err := r.copyFrom(src)
	return head + rest, err
}

// copyFrom copies with the ReadFrom of the original writer, or of one behind it.
func (r *response) copyFrom(src io.Reader) (int64, error) {
	n, err := readerFrom(r.next).ReadFrom(src) // there is one: this is called only by an io.ReaderFrom
	if n > 0 {
		r.begin(http.StatusOK) // net/http writes no header for an empty source
	}
	r.bytes += n
	return n, err //nolint:wrapcheck // the original's own, as the handler would see it
}

// describe sets x to what is known of req and its answer. panicked is what the handler
// panicked with, nil if it did not. (An Exchange is large, so it is not returned.)
func (r *response) describe(x *klime.Exchange, req *http.Request, panicked any) {
	header := r.next.Header()
	x.Method, x.RequestBytes, x.Caller = req.Method, req.ContentLength, caller{req}
	x.Recovered(panicked)
	x.Start = r.start
	x.Status = r.status
	x.ResponseBytes = r.bytes
	x.Hijacked = r.status == takenOver
	x.Conn = r.passed.Conn()
	x.Unanswered = r.status == 0
	x.Aborted = x.Aborted || Left(req, header, r.bytes)
	x.ContentType = r.media.Finish(header)
	x.Location = Location(header, x.Status)
	x.GRPCStatus = GRPCStatus(header, x.ContentType)
}

// Location returns where an answer redirects to, "" if it does not: the core takes no notice
// of the Location of a 201, so nobody need look for it.
func Location(header http.Header, status int) string {
	if status/100 == 3 {
		return firstValue(header, "Location")
	}
	return ""
}

// GRPCStatus returns the status of an answer of gRPC or gRPC-Web, "" if it is none or its
// trailer is in the body. It is in the header if there is no message, else in a trailer,
// which handlers set in either of net/http's ways.
func GRPCStatus(header http.Header, mediaType string) string {
	if !strings.HasPrefix(mediaType, "application/grpc") {
		return ""
	}
	const name = "Grpc-Status"
	if status := firstValue(header, name); status != "" {
		return status
	}
	return firstValue(header, http.TrailerPrefix+name)
}

// Left reports whether the client went away, or the server's own context was cancelled,
// before the whole answer was written. Whether it was the whole is known only if the
// header promises a length; otherwise a cancelled context counts as left.
func Left(r *http.Request, header http.Header, written int64) bool {
	if !errors.Is(r.Context().Err(), context.Canceled) {
		return false
	}
	promised, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	return err != nil || written < promised
}
