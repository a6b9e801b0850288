package httpexchange

import "net/http"

// sniffBytes is how much of a body http.DetectContentType looks at.
const sniffBytes = 512

// MediaType is the Content-Type of an answer: what its header says when it is
// sent, else what net/http guesses by its first bytes.
type MediaType struct {
	value string
	head  []byte // of a body that comes in pieces, as long as it is too short
	fixed bool   // the header is on its way: what is set later does not count
	guess bool   // by the first bytes that come
}

// Fix notes that the header is as it will be sent.
func (m *MediaType) Fix(header http.Header) {
	if m.fixed {
		return
	}
	values, declared := header["Content-Type"] // one that is set to nothing says that net/http must not guess
	if len(values) > 0 {
		m.value = values[0]
	}
	m.guess = !declared && first(header, "Content-Encoding") == ""
	m.fixed = true
}

// first is Get for a name in its canonical form, which takes no look at it.
func first(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Flush notes that the header is sent: what is guessed is guessed by the bytes that
// have come, and nothing if there are none.
func (m *MediaType) Flush(header http.Header) {
	m.Fix(header)
	m.settle()
}

// Sniff looks at the bytes that are about to be written.
func (m *MediaType) Sniff(header http.Header, p []byte) {
	if !m.needed(header) {
		return
	}
	if m.head == nil && len(p) >= sniffBytes {
		m.head = p // which is not kept
		m.settle()
		return
	}
	gather(m, p)
}

// SniffString is Sniff for those of a string.
func (m *MediaType) SniffString(header http.Header, s string) {
	if m.needed(header) {
		gather(m, s)
	}
}

// gather keeps of a piece what net/http will have when it guesses: it waits for more
// than that before it sends the header.
func gather[T string | []byte](m *MediaType, piece T) {
	if len(piece) == 0 {
		return
	}
	if len(m.head) > 0 && cap(m.head) < sniffBytes { // the first is the only one, most likely
		m.head = append(make([]byte, 0, sniffBytes), m.head...)
	}
	m.head = append(m.head, piece[:min(len(piece), sniffBytes-len(m.head))]...)
	if len(m.head) == sniffBytes {
		m.settle()
	}
}

// settle guesses, if that is still to be done.
func (m *MediaType) settle() {
	if m.guess && len(m.head) > 0 {
		m.value = http.DetectContentType(m.head)
	}
	m.guess, m.head = false, nil
}

// needed reports whether net/http will guess by the bytes that come next.
func (m *MediaType) needed(header http.Header) bool {
	m.Fix(header)
	return m.guess
}

// Of returns the Content-Type once the answer is complete, "" if there is none.
func (m *MediaType) Of(header http.Header) string {
	m.Flush(header)
	return m.value
}
