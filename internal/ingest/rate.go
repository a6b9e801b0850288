package ingest

import "time"

// bucket is a token bucket: each token lets in one batch.
type bucket struct {
	tokens float64
	at     time.Time
}

// admit takes a token, and reports whether there was one. The bucket holds the tokens
// of one second.
func (s *Server) admit() bool {
	rate := float64(s.opts.BatchRate)
	if rate <= 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	b := &s.bucket
	b.tokens = min(rate, b.tokens+rate*now.Sub(b.at).Seconds()) // full at first, long after the zero time
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
