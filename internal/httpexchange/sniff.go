package httpexchange

import "io"

// sniffing returns src as a reader that shows its bytes to r on their way to the
// original writer. If src is an io.WriterTo, so is the result: that decides in which
// pieces the bytes are written.
func (r *response) sniffing(src io.Reader) io.Reader {
	if _, ok := src.(io.WriterTo); ok {
		return sniffWriterTo{sniffReader{src, r}}
	}
	return sniffReader{src, r}
}

// sniffReader shows what is read from it to r.
type sniffReader struct {
	io.Reader

	r *response
}

func (w sniffReader) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.r.media.Sniff(w.r.next.Header(), p[:n])
	return n, err //nolint:wrapcheck // the source's own
}

// sniffWriterTo is a sniffReader over an io.WriterTo.
type sniffWriterTo struct{ sniffReader }

func (w sniffWriterTo) WriteTo(to io.Writer) (int64, error) {
	if w.r.media.needsSniff(w.r.next.Header()) {
		to = sniffWriter{to, w.r}
	}
	return w.Reader.(io.WriterTo).WriteTo(to) //nolint:forcetypeassert,wrapcheck // sniffing has seen it
}

// sniffWriter shows what is written to it to r.
type sniffWriter struct {
	io.Writer

	r *response
}

func (w sniffWriter) Write(p []byte) (int, error) {
	w.r.media.Sniff(w.r.next.Header(), p)
	return w.Writer.Write(p) //nolint:wrapcheck // the original's own
}
