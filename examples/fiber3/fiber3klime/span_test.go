package fiber3klime_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v3"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/klimeapp/klime-go/examples/fiber3/fiber3klime"
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
	var s span
	app := fiber.New()
	ours := fiber3klime.Middleware(klimetest.NewServer(t).Client())
	app.Use(func(c fiber.Ctx) error {
		c.SetContext(trace.ContextWithSpan(c.Context(), &s))
		return c.Next()
	}, ours, ours)
	app.Get("/reports", func(fiber.Ctx) error { return failure })
	resp, err := app.Test(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reports", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(s.told) != 1 || !errors.Is(s.told[0], failure) {
		t.Errorf("told of %v", s.told)
	}
}
