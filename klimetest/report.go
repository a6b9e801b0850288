package klimetest

import (
	"fmt"
	"slices"
	"strings"
)

// maxListed is how many items of a kind a failure lists.
const maxListed = 20

// report says what has come in place of n events, and what may have kept the rest.
func (s *Server) report(n int) string {
	counts := s.ingest.Counts()
	s.mu.Lock()
	met, left, rejected := slices.Clone(s.faultsMet), slices.Clone(s.faultsLeft), s.rejected
	s.mu.Unlock()

	var r strings.Builder
	fmt.Fprintf(&r, "the Server of %s waited %v for %s: %d accepted, %d rejected, %s refused", s.tb.Name(), s.patience,
		count(n, "event", "events"), counts.Accepted, counts.Rejected+rejected, count(counts.Refused+counts.Unauthorized, "batch", "batches"))
	var events []string
	for _, e := range s.Events() {
		if e.Event == "" {
			events = append(events, e.Type.String())
		} else {
			events = append(events, fmt.Sprintf("%v %.100q", e.Type, e.Event))
		}
	}
	list(&r, "accepted", events)
	list(&r, "faults met", texts(met))
	list(&r, "faults left", texts(left))
	list(&r, "counted by its clients", s.counted())
	warnings, unsent := s.log.kept()
	list(&r, "logged by its clients", warnings)
	for _, text := range unsent {
		fmt.Fprintf(&r, "\n\tnot sent: %s", text)
	}
	return r.String()
}

// counted says what the Server's clients know of events that did not come.
func (s *Server) counted() []string {
	var anonymous, invalid uint64
	rollUps := 0
	s.clientsMu.Lock()
	for _, client := range s.clients {
		stats := client.Stats()
		anonymous, invalid, rollUps = anonymous+stats.Anonymous, invalid+stats.Invalid, rollUps+stats.RollUpKeys
	}
	s.clientsMu.Unlock()
	var counted []string
	if anonymous > 0 {
		counted = append(counted, count(anonymous, "request", "requests")+" of nobody")
	}
	if invalid > 0 {
		counted = append(counted, count(invalid, "invalid event", "invalid events"))
	}
	if rollUps > 0 {
		counted = append(counted, count(rollUps, "roll-up", "roll-ups")+", which Flush sends")
	}
	return counted
}

// count says how many there are of what is called one or many.
func count[T int | uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

func texts(faults []Fault) []string {
	all := make([]string, len(faults))
	for i, f := range faults {
		all[i] = f.text()
	}
	return all
}

// list adds a line of items, if there are any.
func list(r *strings.Builder, name string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(r, "\n\t%s: %s", name, strings.Join(items[:min(len(items), maxListed)], ", "))
	if more := len(items) - maxListed; more > 0 {
		fmt.Fprintf(r, " and %d more", more)
	}
}
