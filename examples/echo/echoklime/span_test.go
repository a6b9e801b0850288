package echoklime_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/klimeapp/klime-go/examples/echo/echoklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// span notes the errors that it is told of.
type span struct {
	noop.Span

	told []error
}

func (s *span) RecordError(err error, _ ...trace.EventOption) { s.told = append(s.told, err) }

// The span further out is told of the error, once, as it no longer gets it.
func TestErrorOnTheSpan(t *testing.T) {
	t.Parallel()
	failure := errors.New("the database is down")
	app := echo.New()
	ours := echoklime.Middleware(klimetest.NewServer(t).Client())
	app.Use(ours, ours)
	app.GET("/reports", func(echo.Context) error { return failure })
	var s span
	r := httptest.NewRequestWithContext(trace.ContextWithSpan(t.Context(), &s), http.MethodGet, "/reports", http.NoBody)
	app.ServeHTTP(httptest.NewRecorder(), r)
	if len(s.told) != 1 || !errors.Is(s.told[0], failure) {
		t.Errorf("told of %v", s.told)
	}
}
