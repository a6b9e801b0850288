package klimetest

import (
	"testing"
	"time"
)

// NewServerThat is [NewServer] with other limits: how many events the Server keeps,
// and how long Wait waits.
func NewServerThat(tb testing.TB, keep int, patience time.Duration) *Server {
	tb.Helper()
	return newServer(tb, keep, patience)
}
