package klimetest

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
	fmt.Fprintf(&r, "the Server of %s waited %v for %d events: %d accepted, %d rejected, %d batches refused", s.tb.Name(), s.patience,
		n, counts.Accepted, counts.Rejected+rejected, counts.Refused+counts.Unauthorized)
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
	list(&r, "logged by its clients", s.warnings.kept())
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
		counted = append(counted, fmt.Sprintf("%d requests of nobody", anonymous))
	}
	if invalid > 0 {
		counted = append(counted, fmt.Sprintf("%d invalid events", invalid))
	}
	if rollUps > 0 {
		counted = append(counted, fmt.Sprintf("%d roll-ups, which Flush sends", rollUps))
	}
	return counted
}

// warnings are the first of what clients have logged: why an event is invalid,
// which a handler that tracks is not told.
type warnings struct {
	mu    sync.Mutex
	lines []string
}

// logger returns a logger that keeps what it is told, but for the time.
func (w *warnings) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// Write implements io.Writer for lines of a log.
func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) < maxListed {
		w.lines = append(w.lines, strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

func (w *warnings) kept() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
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
