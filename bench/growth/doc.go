// Package growth measures whether a request costs more after many different users,
// customers, routes and so on. It has only benchmarks.
package growth
