package inspector

import (
	"fmt"
	"net/http"
	"time"
)

const (
	maxStreams    = 64
	streamPause   = 500 * time.Millisecond // between two messages: a page need not run after every batch
	streamTick    = 15 * time.Second       // between two ticks: what goes away unnoticed is noticed, and "2 min ago" grows
	streamTimeout = 10 * time.Second       // for one message
)

// stream tells by server-sent events that something has changed, or that time has
// passed, and no more: what is shown comes from pages and API.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	if h.streams.Add(1) > maxStreams {
		h.streams.Add(-1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer h.streams.Add(-1)
	changed, stop := h.server.Watch()
	defer stop()

	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // a server's ReadTimeout is for requests
	send := func(format string, args ...any) bool {
		_ = control.SetWriteDeadline(time.Now().Add(streamTimeout)) // where it can be set
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	version := h.server.Snapshot().Version
	if !send("retry: 1000\nevent: hello\ndata: {\"version\":%d}\n\n", version) {
		return
	}
	tick := time.NewTicker(streamTick)
	defer tick.Stop()
	for {
		var ok bool
		select {
		case <-changed:
			ok = send("event: change\ndata: {\"version\":%d}\n\n", h.server.Snapshot().Version) && h.pause(r)
		case <-tick.C:
			ok = send("event: tick\ndata: {}\n\n")
		case <-r.Context().Done():
		case <-h.closed:
		}
		if !ok {
			return
		}
	}
}

func (h *Handler) pause(r *http.Request) bool {
	timer := time.NewTimer(streamPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-h.closed:
	}
	return false
}
