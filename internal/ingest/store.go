package ingest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Counts are totals since the Server was made, except for Unlinked.
type Counts struct {
	Batches      int // batches answered 200, empty ones too
	Refused      int // batches refused as a whole for their form or size
	Unauthorized int // batches refused for their write key
	Deferred     int // batches answered 429, which SDKs send again
	Accepted     int // events stored, without repeats
	Repeated     int // valid events whose messageId was already known
	Rejected     int // events that failed validation
	Forgotten    int // accepted events no longer remembered, for lack of room
	Unlinked     int // track events that no customer shows at present
	Userless     int // track events that name no user

	// Users and groups no longer remembered, for lack of room. If one is named again,
	// it begins anew.
	ForgottenUsers, ForgottenGroups int
}

// Counts returns what has been counted so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.countsLocked()
}

func (s *Server) countsLocked() Counts {
	c := s.counts
	for u := range s.users.all() {
		if len(u.groups) == 0 {
			c.Unlinked += u.ungrouped.count
		}
	}
	for g := range s.groups.all() {
		if !g.customer {
			c.Unlinked += g.named.count
		}
	}
	return c
}

func (s *Server) countRefusal(r *refusal, sender string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.markChanged()
	switch r.status {
	case http.StatusTooManyRequests:
		s.counts.Deferred++
		return // not a problem: a flood of these would push out all real ones
	case http.StatusUnauthorized:
		s.counts.Unauthorized++
	default:
		s.counts.Refused++
	}
	s.note(Problem{At: time.Now().UTC(), Status: r.status, Code: r.code, Message: r.message, Sender: sender})
}

// Events returns the remembered events in order of arrival, without repeats.
func (s *Server) Events() []Event {
	s.mu.Lock()
	log := slices.Clone(s.log)
	s.mu.Unlock()
	return decodeAll(log)
}

// Wait returns once n events, without repeats, have been accepted since the Server
// was made, or with an error that wraps ctx.Err.
func (s *Server) Wait(ctx context.Context, n int) error {
	s.mu.Lock()
	if s.counts.Accepted >= n {
		s.mu.Unlock()
		return nil
	}
	// Each caller makes its own channel, so that it belongs to the caller's synctest
	// bubble.
	enough := make(chan struct{})
	s.waiters[enough] = n
	s.mu.Unlock()

	select {
	case <-enough:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiters, enough)
	if have := s.counts.Accepted; have < n {
		return fmt.Errorf("ingest: %d of %d events arrived: %w", have, n, ctx.Err())
	}
	return nil
}

// store stores the valid events of one batch, and notes the rejected ones. As a
// messageId is the same on every retry, an event with a known one was stored before.
func (s *Server) store(events []*Record, rejected []Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Batches++
	s.counts.Rejected += len(rejected)
	for _, p := range rejected {
		s.note(p)
	}
	for _, r := range events {
		if first, ok := s.seen[r.MessageID]; ok {
			s.counts.Repeated++
			first.repeats.Add(1)
			continue
		}
		s.counts.Accepted++
		r.Seq = s.counts.Accepted
		s.kinds.add(r)
		s.remember(r)
		s.attribute(r)
	}
	for enough, n := range s.waiters {
		if s.counts.Accepted >= n {
			close(enough)
			delete(s.waiters, enough)
		}
	}
	s.markChanged()
}

// remember adds r to the log, and makes room for it.
func (s *Server) remember(r *Record) {
	s.seen[r.MessageID] = r
	s.log = append(s.log, r)
	s.logBytes += len(r.Raw)
	for len(s.log) > s.opts.MaxEvents || s.logBytes > s.opts.MaxBytes && len(s.log) > 1 {
		s.forgetOldest()
	}
}

func (s *Server) forgetOldest() {
	r := s.log[0]
	s.log = dropFirst(s.log)
	s.logBytes -= len(r.Raw)
	delete(s.seen, r.MessageID)
	s.counts.Forgotten++
	s.kinds.remove(r)
	s.detach(r)
}

// dropFirst pops a queue's head and releases it. A later append replaces the queue's
// array.
func dropFirst[T any](queue []*T) []*T {
	queue[0] = nil
	return queue[1:]
}
