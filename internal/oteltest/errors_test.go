package oteltest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gofiber/contrib/otelfiber/v2"
	"github.com/gofiber/fiber/v2"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// A Fiber app's span tells of the error that a handler has returned, with our middleware
// as without.
func TestErrorOnTheSpan(t *testing.T) {
	t.Parallel()
	events := func(ours fiber.Handler) []string {
		exporter := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
		app := fiber.New()
		app.Use(otelfiber.Middleware(otelfiber.WithTracerProvider(provider)), ours)
		app.Get("/reports", func(*fiber.Ctx) error { return errors.New("the database is down") })
		resp, err := app.Test(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reports", http.NoBody))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var told []string
		for _, span := range exporter.GetSpans() {
			told = append(told, span.Status.Code.String())
			for _, event := range span.Events {
				for _, a := range event.Attributes {
					told = append(told, event.Name+" "+a.Value.String())
				}
			}
		}
		return told
	}
	bare := events(func(c *fiber.Ctx) error { return c.Next() })
	if got := events(fiberklime.Middleware(klimetest.NewServer(t).Client())); !slices.Equal(got, bare) || len(bare) < 2 {
		t.Errorf("with klime %q, without %q", got, bare)
	}
}
