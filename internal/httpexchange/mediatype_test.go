package httpexchange

import (
	"net/http"
	"strings"
	"testing"
)

// Of a body that comes in pieces, only as much is kept as is looked at, and nothing if
// the type is declared or the first piece is enough.
func TestSniffAllocations(t *testing.T) {
	declared, untyped := http.Header{"Content-Type": {"text/html"}}, http.Header{}
	for name, test := range map[string]struct {
		header http.Header
		piece  string
		most   float64
		want   string
	}{
		"declared":     {declared, "piece", 0, "text/html"},
		"small pieces": {untyped, "piece", 2, "text/plain; charset=utf-8"},
		"large pieces": {untyped, strings.Repeat("piece", 200), 0, "text/plain; charset=utf-8"},
	} {
		piece := []byte(test.piece)
		if got := testing.AllocsPerRun(100, func() {
			var m MediaType
			for range 1000 {
				m.Sniff(test.header, piece)
			}
			if got := m.Finish(test.header); got != test.want {
				t.Errorf("%s: %s, want %s", name, got, test.want)
			}
		}); got > test.most {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// A type is guessed from what has been written when the header is sent: there is none if
// that is nothing.
func TestSniffNothing(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(m *MediaType, header http.Header){
		"nothing":          func(*MediaType, http.Header) {},
		"nothing, flushed": func(m *MediaType, header http.Header) { m.Flush(header) },
		"an empty piece":   func(m *MediaType, header http.Header) { m.Sniff(header, nil) },
		"too late": func(m *MediaType, header http.Header) {
			m.Flush(header)
			m.SniffString(header, "<!doctype html>")
		},
	} {
		var m MediaType
		write(&m, http.Header{})
		if got := m.Finish(http.Header{}); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
