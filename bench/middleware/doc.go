// Package middleware measures what middlewares add to a request, compared with the bare
// framework. It has only benchmarks.
package middleware
