package fiberklime_test

import (
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/internal/alloctest"
)

// serving returns a function that serves the same request each time it is called.
func serving(tb testing.TB, middlewares ...fiber.Handler) func() {
	tb.Helper()
	app := fiber.New()
	for _, m := range middlewares {
		app.Use(m)
	}
	body := []byte(`{}`)
	app.Get("/orgs/:org/reports/:id", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(body)
	})
	handler := app.Handler()
	ctx := argumentOf(handler)
	ctx.Request.SetRequestURI("/orgs/acme/reports/42")
	return func() {
		ctx.Response.Reset()
		ctx.ResetUserValues()
		handler(ctx)
	}
}

// argumentOf makes a fasthttp request without an import of fasthttp, which our go.mod
// does not require directly.
func argumentOf[T any](func(*T)) *T { return new(T) }

func tracked(tb testing.TB, opts ...klime.Option) fiber.Handler {
	tb.Helper()
	return fiberklime.Middleware(alloctest.NewSink(tb), append(opts,
		fiberklime.UserID(func(*fiber.Ctx) string { return "user_123" }),
		fiberklime.GroupID(func(*fiber.Ctx) string { return "org_456" }))...)
}

func TestAllocations(t *testing.T) {
	alloctest.Allocations(t, 2, serving(t), serving(t, tracked(t)))
	alloctest.Allocations(t, 2, serving(t), serving(t, tracked(t, klime.RollUp(time.Minute))))
	alloctest.Allocations(t, 0, serving(t), serving(t, tracked(t, klime.IgnoreRoutes("/orgs/{org}/*"))))
}
