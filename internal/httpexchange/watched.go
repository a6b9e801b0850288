package httpexchange

import "io"

// watch is src, whose bytes are looked at on their way to the original. If it can
// write by itself, it still does, as that decides in which pieces.
func (r *Response) watch(src io.Reader) io.Reader {
	if _, ok := src.(io.WriterTo); ok {
		return watchedWriterTo{watched{src, r}}
	}
	return watched{src, r}
}

type watched struct {
	io.Reader

	r *Response
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.r.media.Sniff(w.r.next.Header(), p[:n])
	return n, err //nolint:wrapcheck // the source's own
}

type watchedWriterTo struct{ watched }

func (w watchedWriterTo) WriteTo(to io.Writer) (int64, error) {
	if w.r.media.needed(w.r.next.Header()) {
		to = watching{to, w.r}
	}
	return w.Reader.(io.WriterTo).WriteTo(to) //nolint:forcetypeassert,wrapcheck // watch has seen it
}

// watching is where a source writes by itself.
type watching struct {
	io.Writer

	r *Response
}

func (w watching) Write(p []byte) (int, error) {
	w.r.media.Sniff(w.r.next.Header(), p)
	return w.Writer.Write(p) //nolint:wrapcheck // the original's own
}
