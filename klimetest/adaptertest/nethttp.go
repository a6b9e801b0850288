package adaptertest

import (
	"context"
	"io"
	"net/http"
)

// NetHTTP is the [Request] of routers whose handlers take an http.ResponseWriter and an
// *http.Request.
type NetHTTP struct {
	W http.ResponseWriter // nil where there is none, such as in a resolver
	R *http.Request       // never nil

	PathParam func(r *http.Request, name string) string // returns a parameter of the path
}

// Context implements [Request].
func (q NetHTTP) Context() context.Context { return q.R.Context() }

// Detached implements [Request].
func (q NetHTTP) Detached() context.Context { return q.R.Context() }

// Value implements [Request].
func (q NetHTTP) Value(key string) any { return q.R.Context().Value(key) }

// Param implements [Request].
func (q NetHTTP) Param(name string) string { return q.PathParam(q.R, name) }

// Header implements [Request].
func (q NetHTTP) Header(name string) string { return q.R.Header.Get(name) }

// Body implements [Request].
func (q NetHTTP) Body() io.Reader { return q.R.Body }

// HTTP implements [Request].
func (q NetHTTP) HTTP() (http.ResponseWriter, *http.Request) { return q.W, q.R }

// Keep implements [Request].
//
//nolint:ireturn // required by Request
func (q NetHTTP) Keep(key string, value any) Request { return q.Replace(key, value) }

// Replace implements [Request].
//
//nolint:ireturn // required by Request
func (q NetHTTP) Replace(key, value any) Request {
	q.R = q.R.WithContext(context.WithValue(q.R.Context(), key, value))
	return q
}

// WithCancel implements [Request].
//
//nolint:ireturn // required by Request
func (q NetHTTP) WithCancel() (Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.R.Context())
	q.R = q.R.WithContext(ctx)
	return q, cancel
}

// Reply implements [Request].
func (q NetHTTP) Reply(status int, contentType, body string) {
	if contentType != "" {
		q.W.Header().Set("Content-Type", contentType)
	}
	if status != 0 {
		q.W.WriteHeader(status)
	}
	_, _ = io.WriteString(q.W, body)
}
