package httpexchange

import "net/http"

// sniffBytes is how much of a body http.DetectContentType looks at.
const sniffBytes = 512

// MediaType is the Content-Type of an answer: what its header says when it is
// sent, else what net/http guesses by its first bytes.
type MediaType struct {
	value string
	fixed bool // the header is on its way: what is set later does not count
	guess bool // by the first bytes that come
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

// Flush notes that the header is sent: if no byte of the body has come yet,
// nothing is guessed.
func (m *MediaType) Flush(header http.Header) {
	m.Fix(header)
	m.guess = false
}

// Sniff looks at the bytes that are about to be written.
func (m *MediaType) Sniff(header http.Header, p []byte) {
	if len(p) > 0 && m.needed(header) {
		m.value = http.DetectContentType(p)
		m.guess = false
	}
}

// needed reports whether net/http will guess.
func (m *MediaType) needed(header http.Header) bool {
	m.Fix(header)
	return m.guess
}

// Of returns the Content-Type, "" if there is none.
func (m *MediaType) Of(header http.Header) string {
	m.Fix(header)
	return m.value
}
