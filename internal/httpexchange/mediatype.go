package httpexchange

import "net/http"

// sniffBytes is how much of a body http.DetectContentType looks at.
const sniffBytes = 512

// MediaType is the Content-Type of an answer: the one in its header when it is sent,
// or else the one that net/http guesses from the first bytes of the body.
type MediaType struct {
	value string
	head  []byte // first bytes of the body, if they come in pieces, until there are enough
	fixed bool   // the header is sent: what is set later does not count
	guess bool   // the type is to be guessed from the first bytes of the body
	late  bool   // net/http guesses none, but a writer further out, which compresses, may have at the first Write
}

// Fix notes that the header is sent as it is.
func (m *MediaType) Fix(header http.Header) {
	if m.fixed {
		return
	}
	values, declared := header["Content-Type"] // an empty one tells net/http not to guess
	if len(values) > 0 {
		m.value = values[0]
	}
	m.guess = !declared && firstValue(header, "Content-Encoding") == "" && firstValue(header, "Transfer-Encoding") == ""
	m.late = !declared && !m.guess
	m.fixed = true
}

// Flush notes that the header is sent. The type is guessed now, from the bytes that
// have come. If there are none, there is no type.
func (m *MediaType) Flush(header http.Header) {
	m.Fix(header)
	m.detect()
}

// Sniff looks at bytes that are about to be written.
func (m *MediaType) Sniff(header http.Header, p []byte) {
	if !m.needsSniff(header) {
		return
	}
	if m.head == nil && len(p) >= sniffBytes {
		m.head = p // not kept: detect lets go of it
		m.detect()
		return
	}
	gather(m, p)
}

// SniffString is Sniff for a string.
func (m *MediaType) SniffString(header http.Header, s string) {
	if m.needsSniff(header) {
		gather(m, s)
	}
}

// gather keeps the bytes that net/http will guess from: it collects more than that
// before it sends the header.
func gather[T string | []byte](m *MediaType, piece T) {
	if len(m.head) > 0 && cap(m.head) < sniffBytes { // not for the first piece, which is most likely the only one
		m.head = append(make([]byte, 0, sniffBytes), m.head...)
	}
	m.head = append(m.head, piece[:min(len(piece), sniffBytes-len(m.head))]...)
	if len(m.head) == sniffBytes {
		m.detect()
	}
}

// detect guesses the type if that is still to be done.
func (m *MediaType) detect() {
	if len(m.head) > 0 {
		m.value = http.DetectContentType(m.head)
	}
	m.guess, m.head = false, nil
}

// needsSniff reports whether net/http will guess from the bytes that come next.
func (m *MediaType) needsSniff(header http.Header) bool {
	m.Fix(header)
	return m.guess
}

// Finish returns the Content-Type of an answer that is complete now, "" if it has none.
func (m *MediaType) Finish(header http.Header) string {
	m.Flush(header)
	if m.late {
		return firstValue(header, "Content-Type")
	}
	return m.value
}
