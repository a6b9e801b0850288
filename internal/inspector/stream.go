package inspector

import (
	"fmt"
	"net/http"
	"time"
)

const (
	maxStreams    = 64
	streamPause   = 500 * time.Millisecond // between two changes, so that a page is not refreshed after every batch
	streamTick    = 15 * time.Second       // between two ticks, which notice lost connections and keep "2 min ago" current
	streamTimeout = 10 * time.Second       // to send one message
)

// stream sends server-sent events that say only that something has changed, or that time
// has passed. A page then fetches itself again.
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
	_ = control.SetReadDeadline(time.Time{}) // the server's ReadTimeout is for requests
	// Browsers ignore events without data.
	send := func(event string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(streamTimeout))                              // if the connection supports it
		if _, err := fmt.Fprintf(w, "retry: 1000\nevent: %s\ndata: {}\n\n", event); err != nil { //nolint:gosec // ours, and no page
			return false
		}
		return control.Flush() == nil
	}
	if !send("hello") {
		return
	}
	tick := time.NewTicker(streamTick)
	defer tick.Stop()
	for {
		var ok bool
		select {
		case <-changed:
			ok = send("change") && h.pause(r)
		case <-tick.C:
			ok = send("tick")
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
