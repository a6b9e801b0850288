package shutdown

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// FlushEach is for functions, and for containers that are frozen or get no CPU between
// two requests: it delivers the events before the request ends. It goes around Klime's
// middleware, which makes a request's event at the end of the request:
//
//	handler := FlushEach(client, nethttp.Middleware(client)(mux))
func FlushEach(client *klime.Client, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { // also if a handler panics
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
			defer cancel()
			if err := client.Flush(ctx); err != nil {
				slog.Warn("events wait for the next request", "error", err)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
