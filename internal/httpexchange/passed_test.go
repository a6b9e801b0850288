package httpexchange

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A handler that outlives its request ends while the server reads the original. If the
// handler has left nothing, the race detector has nothing to complain of.
func TestGiveBackNothing(t *testing.T) {
	t.Parallel()
	incoming := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	passed := incoming.WithContext(t.Context())
	given := make(chan struct{})
	go func() {
		defer close(given)
		GiveBack(incoming, passed)
	}()
	if incoming.MultipartForm != nil || incoming.Form != nil || incoming.PostForm != nil || incoming.Pattern != "" {
		t.Errorf("given back: %+v", incoming)
	}
	<-given
}
