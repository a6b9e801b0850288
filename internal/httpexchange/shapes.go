package httpexchange

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// Handlers ask a ResponseWriter for optional interfaces, so ours has exactly those of
// the original: there is a writer for each combination. The two of net/http itself need
// no allocation. io.StringWriter alone is always there, as it makes no difference.
// What http.ResponseController finds through the Unwrap of the original, it still finds:
// see unwrapped.

// errorFlusher is a Flusher that reports errors. http.ResponseController asks for it
// first.
type errorFlusher interface {
	http.Flusher
	FlushError() error
}

// ability is an optional interface of a ResponseWriter, as a bit.
type ability int

const (
	flushes ability = 1 << iota
	hijacks
	readsFrom
	pushes
	notifies
)

// abilitiesOf tells what w can do. Of net/http's own writer for HTTP/1, the usual one, it
// finds out with two questions in place of five.
func abilitiesOf(w http.ResponseWriter) ability {
	_, pushing := w.(http.Pusher)
	if _, usual := w.(http1Writer); usual && !pushing {
		return http1Abilities
	}
	var can ability
	if _, ok := w.(http.Flusher); ok {
		can |= flushes
	}
	if _, ok := w.(http.Hijacker); ok {
		can |= hijacks
	}
	if _, ok := w.(io.ReaderFrom); ok {
		can |= readsFrom
	}
	if pushing {
		can |= pushes
	}
	if _, ok := w.(http.CloseNotifier); ok { //nolint:staticcheck // deprecated, and still asked for
		can |= notifies
	}
	return can
}

// The methods of the optional interfaces.

func (r *response) flush() {
	r.beforeFlush()
	r.next.(http.Flusher).Flush() //nolint:forcetypeassert // abilitiesOf has seen it
}

func (r *response) flushError() error {
	if f, ok := r.next.(errorFlusher); ok {
		r.beforeFlush()
		return f.FlushError()
	}
	r.flush()
	return nil
}

func (r *response) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := r.next.(http.Hijacker).Hijack() //nolint:forcetypeassert // abilitiesOf has seen it
	if err == nil {
		r.afterHijack(conn)
	}
	return conn, rw, err //nolint:wrapcheck // the original's own, as the handler would see it
}

func (r *response) push(target string, opts *http.PushOptions) error {
	return r.next.(http.Pusher).Push(target, opts) //nolint:forcetypeassert,wrapcheck // abilitiesOf has seen it
}

func (r *response) closeNotify() <-chan bool {
	return r.next.(http.CloseNotifier).CloseNotify() //nolint:forcetypeassert,staticcheck // abilitiesOf has seen it
}

// unwrapped is what Unwrap returns. Its own Unwrap returns the original, where
// http.ResponseController goes on with its search. Header, Write and WriteHeader are
// those of response, so what is written past the writer is noted too.
type unwrapped response

func (w *unwrapped) Header() http.Header         { return (*response)(w).Header() }
func (w *unwrapped) Write(p []byte) (int, error) { return (*response)(w).Write(p) }
func (w *unwrapped) WriteHeader(status int)      { (*response)(w).WriteHeader(status) }
func (w *unwrapped) Unwrap() http.ResponseWriter { return w.next }

// unwrappedController is unwrapped for an original that has an Unwrap of its own. It
// notes flushes and hijacks that http.ResponseController finds through that. A handler
// that asks the writer itself does not see these methods, as it would not without us.
type unwrappedController struct{ *unwrapped }

// FlushError is for http.ResponseController.
func (w unwrappedController) FlushError() error {
	err := http.NewResponseController(w.next).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		(*response)(w.unwrapped).beforeFlush() // not too late: nobody has changed the header meanwhile
	}
	return err //nolint:wrapcheck // the original's own, as the handler would see it
}

// Hijack is for http.ResponseController.
func (w unwrappedController) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.next).Hijack()
	if err == nil {
		(*response)(w.unwrapped).afterHijack(conn)
	}
	return conn, rw, err //nolint:wrapcheck // the original's own, as the handler would see it
}

// unwrappedCopier is unwrappedController for an original that has an io.ReaderFrom behind
// it. Some handlers look for one along Unwrap, past writers that change what is written: so
// there is none here if they would not find one without us.
type unwrappedCopier struct{ unwrappedController }

// ReadFrom implements io.ReaderFrom.
func (w unwrappedCopier) ReadFrom(src io.Reader) (int64, error) {
	return (*response)(w.unwrapped).readFrom(src)
}

// readerFrom returns w or the first behind its Unwrap that is an io.ReaderFrom, nil if none
// is.
func readerFrom(w http.ResponseWriter) io.ReaderFrom {
	for {
		if to, ok := w.(io.ReaderFrom); ok {
			return to
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = wrapper.Unwrap()
	}
}

// shaped is a response that can be turned into an http1 or http2, which are the same memory
// with more methods: so they need no allocation.
type shaped struct{ response }

// http1 is the shape of net/http's writer for HTTP/1.
type http1 shaped

const http1Abilities = flushes | hijacks | readsFrom | notifies

// http1Writer is a writer with at least these abilities.
type http1Writer interface {
	errorFlusher
	http.Hijacker
	io.ReaderFrom
	http.CloseNotifier //nolint:staticcheck // deprecated, and still asked for
}

func (w *http1) Flush()                                       { w.flush() }
func (w *http1) FlushError() error                            { return w.flushError() }
func (w *http1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
func (w *http1) ReadFrom(src io.Reader) (int64, error)        { return w.readFrom(src) }
func (w *http1) CloseNotify() <-chan bool                     { return w.closeNotify() }

// http2 is the shape of net/http's writer for HTTP/2.
type http2 shaped

const http2Abilities = flushes | pushes | notifies

func (w *http2) Flush()                                           { w.flush() }
func (w *http2) FlushError() error                                { return w.flushError() }
func (w *http2) Push(target string, opts *http.PushOptions) error { return w.push(target, opts) }
func (w *http2) CloseNotify() <-chan bool                         { return w.closeNotify() }

// The parts of other shapes.
type (
	flushing  struct{ r *response }
	hijacking struct{ r *response }
	reading   struct{ r *response }
	pushing   struct{ r *response }
	notifying struct{ r *response }
)

func (w flushing) Flush()                                          { w.r.flush() }
func (w flushing) FlushError() error                               { return w.r.flushError() }
func (w hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error)   { return w.r.hijack() }
func (w reading) ReadFrom(src io.Reader) (int64, error)            { return w.r.readFrom(src) }
func (w pushing) Push(target string, opts *http.PushOptions) error { return w.r.push(target, opts) }
func (w notifying) CloseNotify() <-chan bool                       { return w.r.closeNotify() }

// shape is the writer with these abilities.
//
//nolint:funlen // a table
func (s *shaped) shape(can ability) http.ResponseWriter {
	r := &s.response
	switch can {
	case http1Abilities:
		return (*http1)(s)
	case http2Abilities:
		return (*http2)(s)
	case flushes:
		return struct {
			*response
			flushing
		}{r, flushing{r}}
	case hijacks:
		return struct {
			*response
			hijacking
		}{r, hijacking{r}}
	case flushes | hijacks:
		return struct {
			*response
			flushing
			hijacking
		}{r, flushing{r}, hijacking{r}}
	case readsFrom:
		return struct {
			*response
			reading
		}{r, reading{r}}
	case flushes | readsFrom:
		return struct {
			*response
			flushing
			reading
		}{r, flushing{r}, reading{r}}
	case hijacks | readsFrom:
		return struct {
			*response
			hijacking
			reading
		}{r, hijacking{r}, reading{r}}
	case flushes | hijacks | readsFrom:
		return struct {
			*response
			flushing
			hijacking
			reading
		}{r, flushing{r}, hijacking{r}, reading{r}}
	case pushes:
		return struct {
			*response
			pushing
		}{r, pushing{r}}
	case flushes | pushes:
		return struct {
			*response
			flushing
			pushing
		}{r, flushing{r}, pushing{r}}
	case hijacks | pushes:
		return struct {
			*response
			hijacking
			pushing
		}{r, hijacking{r}, pushing{r}}
	case flushes | hijacks | pushes:
		return struct {
			*response
			flushing
			hijacking
			pushing
		}{r, flushing{r}, hijacking{r}, pushing{r}}
	case readsFrom | pushes:
		return struct {
			*response
			reading
			pushing
		}{r, reading{r}, pushing{r}}
	case flushes | readsFrom | pushes:
		return struct {
			*response
			flushing
			reading
			pushing
		}{r, flushing{r}, reading{r}, pushing{r}}
	case hijacks | readsFrom | pushes:
		return struct {
			*response
			hijacking
			reading
			pushing
		}{r, hijacking{r}, reading{r}, pushing{r}}
	case flushes | hijacks | readsFrom | pushes:
		return struct {
			*response
			flushing
			hijacking
			reading
			pushing
		}{r, flushing{r}, hijacking{r}, reading{r}, pushing{r}}
	case notifies:
		return struct {
			*response
			notifying
		}{r, notifying{r}}
	case flushes | notifies:
		return struct {
			*response
			flushing
			notifying
		}{r, flushing{r}, notifying{r}}
	case hijacks | notifies:
		return struct {
			*response
			hijacking
			notifying
		}{r, hijacking{r}, notifying{r}}
	case flushes | hijacks | notifies:
		return struct {
			*response
			flushing
			hijacking
			notifying
		}{r, flushing{r}, hijacking{r}, notifying{r}}
	case readsFrom | notifies:
		return struct {
			*response
			reading
			notifying
		}{r, reading{r}, notifying{r}}
	case flushes | readsFrom | notifies:
		return struct {
			*response
			flushing
			reading
			notifying
		}{r, flushing{r}, reading{r}, notifying{r}}
	case hijacks | readsFrom | notifies:
		return struct {
			*response
			hijacking
			reading
			notifying
		}{r, hijacking{r}, reading{r}, notifying{r}}
	case pushes | notifies:
		return struct {
			*response
			pushing
			notifying
		}{r, pushing{r}, notifying{r}}
	case hijacks | pushes | notifies:
		return struct {
			*response
			hijacking
			pushing
			notifying
		}{r, hijacking{r}, pushing{r}, notifying{r}}
	case flushes | hijacks | pushes | notifies:
		return struct {
			*response
			flushing
			hijacking
			pushing
			notifying
		}{r, flushing{r}, hijacking{r}, pushing{r}, notifying{r}}
	case readsFrom | pushes | notifies:
		return struct {
			*response
			reading
			pushing
			notifying
		}{r, reading{r}, pushing{r}, notifying{r}}
	case flushes | readsFrom | pushes | notifies:
		return struct {
			*response
			flushing
			reading
			pushing
			notifying
		}{r, flushing{r}, reading{r}, pushing{r}, notifying{r}}
	case hijacks | readsFrom | pushes | notifies:
		return struct {
			*response
			hijacking
			reading
			pushing
			notifying
		}{r, hijacking{r}, reading{r}, pushing{r}, notifying{r}}
	case flushes | hijacks | readsFrom | pushes | notifies:
		return struct {
			*response
			flushing
			hijacking
			reading
			pushing
			notifying
		}{r, flushing{r}, hijacking{r}, reading{r}, pushing{r}, notifying{r}}
	default: // can has no other bits
		return r
	}
}
