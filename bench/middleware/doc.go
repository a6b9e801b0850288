// Package middleware measures what middlewares add to a request, in each framework
// against the bare framework. It has only benchmarks.
package middleware
