package httpexchange

import (
	"net/http"
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
