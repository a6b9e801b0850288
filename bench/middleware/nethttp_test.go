package middleware

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/felixge/httpsnoop"
	sentryhttp "github.com/getsentry/sentry-go/http"
	slokstd "github.com/slok/go-http-metrics/middleware/std"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"

	"github.com/klimeapp/klime-go/bench/internal/measure"
)

func BenchmarkNetHTTP(b *testing.B) {
	compare(b, standard(mux, func(t tracked, opts ...klime.Option) func(http.Handler) http.Handler {
		return nethttp.Middleware(t.client, append(opts,
			nethttp.UserID(func(*http.Request) string { return user }),
			nethttp.GroupID(func(*http.Request) string { return customer }))...)
	}, nethttp.Link, func(s *spans) func(http.Handler) http.Handler {
		return otelhttp.NewMiddleware(route, otelhttp.WithTracerProvider(s.provider))
	}))
}

// router serves show under route, behind middlewares.
type router func(middlewares ...func(http.Handler) http.Handler) http.Handler

// mux is the router for net/http.
func mux(middlewares ...func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+route, show())
	var handler http.Handler = mux
	for _, middleware := range slices.Backward(middlewares) {
		handler = middleware(handler)
	}
	return handler
}

// standard are the subjects for a router that takes net/http's middlewares.
func standard(
	router router,
	middleware func(tracked, ...klime.Option) func(http.Handler) http.Handler,
	link func(func(*http.Request) (klime.User, []klime.Group)) func(http.Handler) http.Handler,
	otel func(*spans) func(http.Handler) http.Handler,
) []subject {
	ours := func(b *testing.B, opts ...klime.Option) (tracked, func()) {
		b.Helper()
		t := newTracked(b)
		return t, serving(b, router(middleware(t, opts...)))
	}
	return []subject{
		{"bare", func(b *testing.B) measured {
			return measured{Subject: measure.Subject{Op: serving(b, router())}}
		}},
		{"klime", func(b *testing.B) measured {
			t, serve := ours(b)
			return t.subject(b, serve)
		}},
		{"klime-rollup", func(b *testing.B) measured {
			t, serve := ours(b, klime.RollUp(time.Hour))
			return t.silent(serve)
		}},
		{"klime-skipped", func(b *testing.B) measured {
			t, serve := ours(b, klime.IgnoreRoutes(route))
			return t.silent(serve)
		}},
		{"klime-linked", func(b *testing.B) measured {
			t := newTracked(b)
			return t.linked(b, serving(b, router(middleware(t), link(func(*http.Request) (klime.User, []klime.Group) {
				return links()
			}))))
		}},
		{"maps", func(b *testing.B) measured { // the app's own cost of a Link
			var kept arguments
			return measured{Subject: measure.Subject{Op: serving(b, router(before(kept.make)))}}
		}},
		{"otel", func(b *testing.B) measured {
			s := newSpans(b)
			return s.subject(serving(b, router(otel(s))))
		}},
		{"sentry", func(b *testing.B) measured {
			return newTransactions(b).subject(serving(b, router(sentryhttp.New(sentryhttp.Options{Repanic: true}).Handle)))
		}},
		{"slok", func(b *testing.B) measured {
			c := newCounters()
			return c.subject(serving(b, router(slokstd.HandlerProvider(route, c.middleware))))
		}},
		{"httpsnoop", func(b *testing.B) measured {
			return measured{Subject: measure.Subject{Op: serving(b, router(snooping))}}
		}},
		{"floor", func(b *testing.B) measured {
			return measured{Subject: measure.Subject{Op: serving(b, router(floor))}}
		}},
		{"least", func(b *testing.B) measured {
			l := newLeast()
			b.Cleanup(l.close)
			return measured{measure.Subject{Op: serving(b, router(l.middleware)), Drain: l.drain}, l.verify}
		}},
	}
}

// links are the arguments of a Link.
func links() (klime.User, []klime.Group) {
	of, about := traits()
	return klime.User{ID: user, Traits: of}, []klime.Group{{ID: customer, Traits: about}}
}

// arguments keeps the arguments of a Link, so that they are allocated on the heap.
type arguments struct {
	user   klime.User
	groups []klime.Group
}

func (a *arguments) make() { a.user, a.groups = links() }

func before(do func()) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do()
			next.ServeHTTP(w, r)
		})
	}
}

// floor does the minimum for a middleware that sees the answer and can be found by
// handlers: a value in the context, a wrapped writer, two readings of the clock.
func floor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &wrapper{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), scopeKey{}, seen))
		next.ServeHTTP(seen, r)
		_ = time.Since(start)
	})
}

// snooping only sees the answer, with httpsnoop.
func snooping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = httpsnoop.CaptureMetrics(next, w, r)
	})
}
