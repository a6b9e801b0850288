package httpexchange

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestLocation(t *testing.T) {
	t.Parallel()
	header := http.Header{"Location": {"/reports/42"}}
	for status, want := range map[int]string{0: "", 200: "", 201: "", 301: "/reports/42", 308: "/reports/42", 400: ""} {
		if got := Location(header, status); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

// A client that goes away when it has had all that the header promises has not left early,
// nor has one whose request ran out of time on our side.
func TestLeft(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	const written = 4
	for promised, left := range map[string]bool{"": true, "5": true, "4": false, "3": false} { // "" for nothing
		header := http.Header{"Content-Length": {promised}}
		for ctx, want := range map[context.Context]bool{t.Context(): false, late: false, gone: left} {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
			if got := Left(r, header, written); got != want {
				t.Errorf("%q promised, %v: %v", promised, ctx.Err(), got)
			}
		}
	}
}
