package klimetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

const writeKey = "klimetest"

// backend is the Klime behind a Server or a Recorder, with the faults in front of it.
type backend struct {
	ingest *ingest.Server

	ended chan struct{} // closed at the end of a Server's test; nil for a Recorder

	mu         sync.Mutex
	faultsLeft []Fault // that no request has met yet
	faultsMet  []Fault
	rejected   int // events that a Reject has refused
}

func newBackend(keep int) backend {
	return backend{ingest: ingest.New(ingest.Options{WriteKey: writeKey, MaxEvents: keep})}
}

// Fail makes the next requests meet these faults, one each, in order. Probes
// and pings are requests too.
func (b *backend) Fail(faults ...Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faultsLeft = append(b.faultsLeft, faults...)
}

// Heal forgets the faults that no request has met yet.
func (b *backend) Heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faultsLeft = nil
}

// nextFault returns the fault for a request, the zero Fault for none.
func (b *backend) nextFault() Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faultsLeft) == 0 {
		return Fault{}
	}
	f := b.faultsLeft[0]
	b.faultsLeft = b.faultsLeft[1:]
	b.faultsMet = append(b.faultsMet, f)
	return f
}

// Events returns the events accepted so far, in order of arrival, each messageId
// once. Numbers are float64, as decoded from JSON. Only the newest events are kept:
// 100,000, and 256 MiB of JSON.
func (b *backend) Events() []klime.Event {
	received := b.ingest.Events()
	events := make([]klime.Event, len(received))
	for i := range received {
		events[i] = typed(&received[i])
	}
	return events
}

// Rejected returns how many events have been refused as invalid, not counting those
// that a [Reject] has refused.
func (b *backend) Rejected() int { return b.ingest.Counts().Rejected }

// Repeated returns how many events have arrived again, with a messageId that had
// already been accepted.
func (b *backend) Repeated() int { return b.ingest.Counts().Repeated }

// serve answers one request, with the next fault if there is one.
func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	f := b.nextFault()
	switch f.kind {
	case answerStatus:
		_, _ = io.Copy(io.Discard, r.Body)
		f.answer(w)
	case answerNothing:
		_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices when the client goes away
		select {
		case <-r.Context().Done():
		case <-b.ended:
			panic(http.ErrAbortHandler) // to return would be an answer of 200
		}
	case cutConnection:
		b.ingest.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case rejectEvents:
		b.ingest.ServeRejecting(w, r, func(index int) bool { return b.rejects(f, index) })
	default:
		b.ingest.ServeHTTP(w, r)
	}
}

// rejects reports whether a Reject refuses the event at an index of its batch, and counts
// those that it does.
func (b *backend) rejects(f Fault, index int) bool {
	if !slices.Contains(f.indexes, index) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rejected++
	return true
}

// typed returns a received event as one of package klime.
func typed(e *ingest.Event) klime.Event {
	return klime.Event{
		Type:       typeOf(e.Type),
		MessageID:  e.MessageID,
		Timestamp:  e.Timestamp,
		Event:      e.Event,
		UserID:     e.UserID,
		GroupID:    e.GroupID,
		Properties: e.Properties,
		Traits:     e.Traits,
		Context:    e.Context,
	}
}

func typeOf(name string) klime.EventType {
	switch name {
	case ingest.TypeIdentify:
		return klime.IdentifyEvent
	case ingest.TypeGroup:
		return klime.GroupEvent
	default:
		return klime.TrackEvent
	}
}
