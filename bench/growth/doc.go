// Package growth measures whether the cost of a request depends on how much there
// has been before. It has only benchmarks.
package growth
