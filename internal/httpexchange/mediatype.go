package httpexchange

import "net/http"

// sniffBytes is how much of a body http.DetectContentType looks at.
const sniffBytes = 512

// MediaType is the Content-Type of an answer: what its header says, else what
// net/http guesses by its first bytes.
type MediaType struct {
	guess string
	done  bool // the body has begun
}

// Sniff looks at the bytes that are about to be written.
func (m *MediaType) Sniff(header http.Header, p []byte) {
	if len(p) == 0 {
		return
	}
	if m.needed(header) {
		m.guess = http.DetectContentType(p)
	}
	m.done = true
}

// needed reports whether net/http will guess. A header that is set to nothing
// says that it must not.
func (m *MediaType) needed(header http.Header) bool {
	_, declared := header["Content-Type"]
	return !m.done && !declared && header.Get("Content-Encoding") == ""
}

// Of returns the Content-Type, "" if there is none.
func (m *MediaType) Of(header http.Header) string {
	if declared := header.Get("Content-Type"); declared != "" {
		return declared
	}
	return m.guess
}
