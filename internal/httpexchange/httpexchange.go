package httpexchange

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"

	klime "github.com/klimeapp/klime-go/core"
)

// Response is what is known of an answer.
type Response struct {
	// Writer stands in for the original. It has just the same optional
	// interfaces, and Unwrap for http.ResponseController.
	Writer http.ResponseWriter

	start  time.Time
	status int // 0 until the final header is written
	bytes  int64
	media  MediaType
}

// Observe begins to observe the answer that is written to w.
func Observe(w http.ResponseWriter) *Response {
	r := &Response{start: time.Now()}
	r.Writer = httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(status int) {
				next(status)
				r.begin(status)
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) {
				r.begin(http.StatusOK)
				r.media.Sniff(r.Writer.Header(), p)
				n, err := next(p)
				r.bytes += int64(n)
				return n, err
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) { return r.readFrom(next, src) }
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() {
				r.begin(http.StatusOK) // a flush sends the header
				r.media.Flush(r.Writer.Header())
				next()
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, rw, err := next()
				if err == nil {
					r.begin(http.StatusSwitchingProtocols)
				}
				return conn, rw, err
			}
		},
	})
	return r
}

// begin notes the final status: a 1xx announces another, but for 101.
func (r *Response) begin(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols
	if r.status == 0 && !informational {
		r.status = status
		r.media.Fix(r.Writer.Header())
	}
}

// readFrom keeps the kernel's copying of files, but for the first bytes of a
// body whose type must be guessed: net/http splits it there too.
func (r *Response) readFrom(next httpsnoop.ReadFromFunc, src io.Reader) (int64, error) {
	var head int64
	if r.media.needed(r.Writer.Header()) {
		var err error
		// A writer without ReadFrom, so that the copy comes by Write.
		head, err = io.Copy(struct{ io.Writer }{r.Writer}, io.LimitReader(src, sniffBytes))
		if err != nil || head < sniffBytes {
			return head, err //nolint:wrapcheck // the handler's own copy, which must see it as it is
		}
	}
	n, err := next(src)
	if n > 0 {
		r.begin(http.StatusOK) // of nothing, net/http writes no header
	}
	r.bytes += n
	return head + n, err
}

// Exchange tells of r and its answer. Panic is what the handler panicked with,
// nil if it did not.
func (r *Response) Exchange(req *http.Request, panicked any) klime.Exchange {
	x := Request(req)
	x.Recovered(panicked)
	x.Start = r.start
	x.Status = r.status
	if r.status == 0 && panicked == nil {
		x.Status = http.StatusOK // what net/http sends when nothing was written
	}
	x.ResponseBytes = r.bytes
	x.ContentType = r.media.Of(r.Writer.Header())
	x.Location = r.Writer.Header().Get("Location")
	return x
}

// caller is who has sent a request.
type caller struct{ *http.Request }

// ClientIP is the address of the connection. Behind a proxy, that is the proxy's,
// unless a middleware has put the client's in place of it.
func (c caller) ClientIP() string {
	host, _, err := net.SplitHostPort(c.RemoteAddr)
	if err != nil {
		return c.RemoteAddr // such a middleware may leave out the port
	}
	return host
}

// Request tells what is known of an exchange by its request.
func Request(r *http.Request) klime.Exchange {
	return klime.Exchange{
		Method:       r.Method,
		Path:         r.URL.Path,
		RequestBytes: r.ContentLength,
		Header:       r.Header.Get,
		Client:       caller{r},
		Aborted:      errors.Is(r.Context().Err(), context.Canceled),
	}
}
