package ingest

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// A shape is forgotten with the last event that has it.
func TestShapesAreForgotten(t *testing.T) {
	s := New(Options{MaxEvents: 2})
	for i := range 20 {
		r := httptest.NewRequest("POST", "/v1/batch", strings.NewReader(fmt.Sprintf(`{"batch":[{"type":"track","messageId":"%d",
			"timestamp":"2026-11-23T10:00:00Z","event":"Report Generated","userId":"u","properties":{"p%d":1}}]}`, i, i/5)))
		r.Header.Set("Authorization", "Bearer key")
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	if len(s.log) != 2 || len(s.shapes) != 1 || s.log[0].Shape.used != 2 {
		t.Errorf("%d events have %d shapes", len(s.log), len(s.shapes))
	}
}
