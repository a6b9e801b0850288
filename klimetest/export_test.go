package klimetest

import (
	"testing"
	"time"
)

// NewServerThat is [NewServer] that keeps so many events, and waits so long.
func NewServerThat(tb testing.TB, keep int, patience time.Duration) *Server {
	tb.Helper()
	return newServer(tb, keep, patience)
}
