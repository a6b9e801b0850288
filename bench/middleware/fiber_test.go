package middleware

import (
	"context"
	"testing"
	"time"

	sentryfiber "github.com/getsentry/sentry-go/fiber"
	"github.com/gofiber/contrib/otelfiber/v2"
	"github.com/gofiber/fiber/v2"
	slokfasthttp "github.com/slok/go-http-metrics/middleware/fasthttp"
	"github.com/valyala/fasthttp"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"

	"github.com/klimeapp/klime-go/bench/internal/measure"
)

func BenchmarkFiber(b *testing.B) {
	compare(b, []subject{
		{"bare", func(*testing.B) measured {
			return measured{Subject: measure.Subject{Op: fiberServing(fiberHandler())}}
		}},
		{"klime", func(b *testing.B) measured {
			t := newTracked(b)
			return t.subject(b, fiberServing(fiberHandler(fiberTracked(t))))
		}},
		{"klime-rollup", func(b *testing.B) measured {
			t := newTracked(b)
			return t.silent(fiberServing(fiberHandler(fiberTracked(t, klime.RollUp(time.Hour)))))
		}},
		{"klime-skipped", func(b *testing.B) measured {
			t := newTracked(b)
			return t.silent(fiberServing(fiberHandler(fiberTracked(t, klime.IgnoreRoutes(route)))))
		}},
		{"klime-linked", func(b *testing.B) measured {
			t := newTracked(b)
			link := fiberklime.Link(func(*fiber.Ctx) (klime.User, []klime.Group) { return links() })
			return t.linked(b, fiberServing(fiberHandler(fiberTracked(t), link)))
		}},
		{"maps", func(*testing.B) measured {
			var kept arguments
			return measured{Subject: measure.Subject{Op: fiberServing(fiberHandler(func(c *fiber.Ctx) error {
				kept.make()
				return c.Next()
			}))}}
		}},
		{"otel", func(b *testing.B) measured {
			s := newSpans(b)
			return s.subject(fiberServing(fiberHandler(otelfiber.Middleware(otelfiber.WithTracerProvider(s.provider)))))
		}},
		{"sentry", func(b *testing.B) measured {
			return newTransactions(b).subject(fiberServing(fiberHandler(sentryfiber.New(sentryfiber.Options{Repanic: true}))))
		}},
		{"slok", func(*testing.B) measured { // slok has none for Fiber; this is the one for fasthttp
			c := newCounters()
			return c.subject(fiberServing(slokfasthttp.Handler(route, c.middleware, fiberHandler())))
		}},
		{"floor", func(*testing.B) measured {
			return measured{Subject: measure.Subject{Op: fiberServing(fiberHandler(fiberFloor))}}
		}},
	})
}

func fiberHandler(middlewares ...fiber.Handler) fasthttp.RequestHandler {
	app := fiber.New()
	for _, m := range middlewares {
		app.Use(m)
	}
	body := []byte(`{}`)
	app.Get("/orgs/:org/reports/:id", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(body)
	})
	return app.Handler()
}

// fiberServing returns a function that serves the same request each time it is called, as
// fasthttp's server does.
func fiberServing(handler fasthttp.RequestHandler) func() {
	c := &fasthttp.RequestCtx{}
	c.Request.SetRequestURI(target)
	c.Request.Header.SetHost("example.com")
	return func() {
		c.Response.Reset()
		c.ResetUserValues()
		handler(c)
	}
}

func fiberTracked(t tracked, opts ...klime.Option) fiber.Handler {
	return fiberklime.Middleware(t.client, append(opts,
		fiberklime.UserID(func(*fiber.Ctx) string { return user }),
		fiberklime.GroupID(func(*fiber.Ctx) string { return customer }))...)
}

// fiberFloor is [floor] without a writer, as Fiber keeps the whole answer.
func fiberFloor(c *fiber.Ctx) error {
	start := time.Now()
	c.SetUserContext(context.WithValue(c.UserContext(), scopeKey{}, &start))
	err := c.Next()
	_ = time.Since(start)
	return err
}
