package httpexchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// Response is what is known of an answer. It is itself an http.ResponseWriter, the
// one without optional interfaces.
type Response struct {
	next   http.ResponseWriter
	passed *Passed
	start  time.Time
	status int // 0 until the final header is written
	bytes  int64
	media  MediaType
}

// observe begins to observe the answer that is written to w. What it returns stands
// in for w. It has just the same optional interfaces, and Unwrap for
// http.ResponseController.
func (r *Response) observe(w http.ResponseWriter) http.ResponseWriter {
	r.next, r.start = w, time.Now()
	return r.shape(abilitiesOf(w))
}

// Header implements http.ResponseWriter.
func (r *Response) Header() http.Header { return r.next.Header() }

// WriteHeader implements http.ResponseWriter.
func (r *Response) WriteHeader(status int) {
	r.next.WriteHeader(status)
	r.begin(status)
}

// Write implements http.ResponseWriter.
func (r *Response) Write(p []byte) (int, error) {
	r.begin(http.StatusOK)
	r.media.Sniff(r.next.Header(), p)
	n, err := r.next.Write(p)
	r.bytes += int64(n)
	return n, err //nolint:wrapcheck // the writer's own, as the handler would see it
}

// WriteString implements io.StringWriter.
func (r *Response) WriteString(s string) (int, error) {
	w, ok := r.next.(io.StringWriter)
	if !ok {
		return r.Write([]byte(s)) //nolint:gocritic // there is no other
	}
	r.begin(http.StatusOK)
	r.media.SniffString(r.next.Header(), s)
	n, err := w.WriteString(s)
	r.bytes += int64(n)
	return n, err //nolint:wrapcheck // likewise
}

// Unwrap is for http.ResponseController.
func (r *Response) Unwrap() http.ResponseWriter {
	if _, wraps := r.next.(interface{ Unwrap() http.ResponseWriter }); wraps {
		return further{(*beyond)(r)}
	}
	return (*beyond)(r)
}

// beforeFlush notes that a flush sends the header.
func (r *Response) beforeFlush() {
	r.begin(http.StatusOK)
	r.media.Flush(r.next.Header())
}

// begin notes the final status.
func (r *Response) begin(status int) {
	if r.status == 0 && !Informational(status) {
		r.status = status
		r.media.Fix(r.next.Header())
	}
}

// hijacked notes that the connection was taken over.
func (r *Response) hijacked() {
	r.begin(http.StatusSwitchingProtocols)
	r.passed.Hijacked()
}

// Informational reports a 1xx, after which the answer is still to come: not 101.
func Informational(status int) bool {
	return status < http.StatusOK && status != http.StatusSwitchingProtocols
}

// readFrom leaves the copying to the original, and with that when which bytes are
// sent. To guess the type, it looks at them as they are read.
func (r *Response) readFrom(src io.Reader) (int64, error) {
	header := r.next.Header()
	switch {
	case !r.media.needed(header):
		return r.letRead(src)
	case first(header, "Content-Length") == "": // the kernel does not copy to chunks
		return r.letRead(r.watch(src))
	}
	// The rest is the kernel's: net/http sends as much by itself before it, too.
	head, err := r.letRead(io.LimitReader(r.watch(src), sniffBytes))
	if err != nil || head < sniffBytes {
		return head, err
	}
	rest, err := r.letRead(src)
	return head + rest, err
}

func (r *Response) letRead(src io.Reader) (int64, error) {
	n, err := r.next.(io.ReaderFrom).ReadFrom(src) //nolint:forcetypeassert // abilitiesOf has seen it
	if n > 0 {
		r.begin(http.StatusOK) // of nothing, net/http writes no header
	}
	r.bytes += n
	return n, err //nolint:wrapcheck // the handler's own copy, which must see it as it is
}

// Exchange tells of r and its answer. Panic is what the handler panicked with,
// nil if it did not.
func (r *Response) Exchange(req *http.Request, panicked any) klime.Exchange {
	x := Request(req)
	x.Recovered(panicked)
	x.Start = r.start
	x.Status = r.status
	x.ResponseBytes = r.bytes
	x.Aborted = x.Aborted || Left(req, r.next.Header(), r.status != 0 || x.Panicked, r.bytes)
	if r.status == 0 && panicked == nil && !x.Aborted {
		x.Status = http.StatusOK // what net/http sends when nothing was written
	}
	x.ContentType = r.media.Of(r.next.Header())
	x.Location = first(r.next.Header(), "Location")
	return x
}

// Left reports whether the client has gone away (or the server's own context has
// ended) before it had the whole answer, as far as that can be told: so many
// bytes were written of what the header promises. What is not answered at all, a
// deadline has cut off too: whoever has set it answers, if anyone does.
func Left(r *http.Request, header http.Header, answered bool, written int64) bool {
	err := r.Context().Err()
	if !answered {
		return err != nil
	}
	if !errors.Is(err, context.Canceled) {
		return false
	}
	promised, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	return err != nil || written < promised
}

// caller is who has sent a request.
type caller struct{ r *http.Request }

func (c caller) Header(name string) string { return first(c.r.Header, name) }

// ClientIP is the address of the connection. Behind a proxy, that is the proxy's,
// unless a middleware has put the client's in place of it.
func (c caller) ClientIP() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr // such a middleware may leave out the port
	}
	return host
}

// Request tells what is known of an exchange by its request, but for the path, which a
// handler may have changed.
func Request(r *http.Request) klime.Exchange {
	return klime.Exchange{
		Method:       r.Method,
		RequestBytes: r.ContentLength,
		Caller:       caller{r},
	}
}
