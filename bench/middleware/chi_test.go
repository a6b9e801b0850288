package middleware

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/riandyrn/otelchi"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
)

func BenchmarkChi(b *testing.B) {
	compare(b, standard(chiRouter, func(t tracked, opts ...klime.Option) func(http.Handler) http.Handler {
		return chiklime.Middleware(t.client, append(opts,
			chiklime.UserID(func(*http.Request) string { return user }),
			chiklime.GroupID(func(*http.Request) string { return customer }))...)
	}, chiklime.Link, func(s *spans) func(http.Handler) http.Handler {
		return otelchi.Middleware("bench", otelchi.WithTracerProvider(s.provider))
	}))
}

func chiRouter(middlewares ...func(http.Handler) http.Handler) http.Handler {
	router := chi.NewRouter()
	router.Use(middlewares...)
	router.Get(route, show())
	return router
}
