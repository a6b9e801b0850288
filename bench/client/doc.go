// Package client measures what the client costs, compared with other clients: for the
// call, for delivery to another process, in memory and at start-up. It has only
// benchmarks.
package client
