// Package client measures what the client costs, against other clients that do the
// same: at the call, delivered to another process, in memory and at start-up. It
// has only benchmarks.
package client
