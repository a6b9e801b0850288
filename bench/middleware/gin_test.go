package middleware

import (
	"context"
	"net/http"
	"testing"
	"time"

	sentrygin "github.com/getsentry/sentry-go/gin"
	"github.com/gin-gonic/gin"
	slokgin "github.com/slok/go-http-metrics/middleware/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/ginklime"

	"github.com/klimeapp/klime-go/bench/internal/measure"
)

func BenchmarkGin(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	compare(b, []subject{
		{"bare", func(b *testing.B) measured {
			return measured{Subject: measure.Subject{Op: ginServing(b)}}
		}},
		{"klime", func(b *testing.B) measured {
			t := newTracked(b)
			return t.subject(b, ginServing(b, ginTracked(t)))
		}},
		{"klime-rollup", func(b *testing.B) measured {
			t := newTracked(b)
			return t.silent(ginServing(b, ginTracked(t, klime.RollUp(time.Hour))))
		}},
		{"klime-skipped", func(b *testing.B) measured {
			t := newTracked(b)
			return t.silent(ginServing(b, ginTracked(t, klime.IgnoreRoutes(route))))
		}},
		{"klime-linked", func(b *testing.B) measured {
			t := newTracked(b)
			link := ginklime.Link(func(*gin.Context) (klime.User, []klime.Group) { return links() })
			return t.linked(b, ginServing(b, ginTracked(t), link))
		}},
		{"maps", func(b *testing.B) measured {
			var kept arguments
			return measured{Subject: measure.Subject{Op: ginServing(b, func(*gin.Context) { kept.make() })}}
		}},
		{"otel", func(b *testing.B) measured {
			s := newSpans(b)
			return s.subject(ginServing(b, otelgin.Middleware("bench", otelgin.WithTracerProvider(s.provider))))
		}},
		{"sentry", func(b *testing.B) measured {
			return newTransactions(b).subject(ginServing(b, sentrygin.New(sentrygin.Options{Repanic: true})))
		}},
		{"slok", func(b *testing.B) measured {
			c := newCounters()
			return c.subject(ginServing(b, slokgin.Handler("", c.middleware)))
		}},
		{"floor", func(b *testing.B) measured {
			return measured{Subject: measure.Subject{Op: ginServing(b, ginFloor)}}
		}},
	})
}

func ginServing(b *testing.B, middlewares ...gin.HandlerFunc) func() {
	b.Helper()
	engine := gin.New()
	engine.Use(middlewares...)
	body := []byte(`{}`)
	engine.GET("/orgs/:org/reports/:id", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", body) })
	return serving(b, engine)
}

func ginTracked(t tracked, opts ...klime.Option) gin.HandlerFunc {
	return ginklime.Middleware(t.client, append(opts,
		ginklime.UserID(func(*gin.Context) string { return user }),
		ginklime.GroupID(func(*gin.Context) string { return customer }))...)
}

// ginFloor is [floor] without a writer, as Gin's own tells status and size.
func ginFloor(c *gin.Context) {
	start := time.Now()
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), scopeKey{}, &start))
	c.Next()
	_ = time.Since(start)
}
