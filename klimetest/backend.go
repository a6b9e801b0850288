package klimetest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

const writeKey = "klimetest"

// backend is the Klime behind a Server or a Recorder, and the faults in front
// of it.
type backend struct {
	ingest *ingest.Server

	ended chan struct{} // closed at the end of a Server's test, or nil

	mu       sync.Mutex
	faults   []Fault // yet to be met
	met      []Fault
	rejected int // events that a Reject has named
}

// What is kept of events. A test that makes more than this is about something else,
// and is told.
const (
	maxEvents = 100_000
	maxBytes  = 256 << 20
)

func newBackend(keep int) *backend {
	return &backend{ingest: ingest.New(ingest.Options{WriteKey: writeKey, MaxEvents: keep, MaxBytes: maxBytes})}
}

// Fail makes the next requests meet these faults, one each, in order. Probes
// and pings count.
func (b *backend) Fail(faults ...Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, faults...)
}

// Heal forgets the faults that no request has met yet.
func (b *backend) Heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

// nextFault is the fault that the next request meets, the zero Fault for none.
func (b *backend) nextFault() Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) == 0 {
		return Fault{}
	}
	f := b.faults[0]
	b.faults = b.faults[1:]
	b.met = append(b.met, f)
	return f
}

// Events returns what has been accepted so far, in order of arrival, each
// messageId once. Numbers are float64, as JSON has them. The newest 100,000 events
// are kept, and of these 256 MiB of JSON.
func (b *backend) Events() []klime.Event {
	received := b.ingest.Events()
	events := make([]klime.Event, len(received))
	for i := range received {
		events[i] = typed(&received[i])
	}
	return events
}

// Rejected returns how many events have been refused as invalid, those aside that
// a [Reject] has named.
func (b *backend) Rejected() int { return b.ingest.Counts().Rejected }

// Repeated returns how many events have arrived again, with a messageId that
// was known already.
func (b *backend) Repeated() int { return b.ingest.Counts().Repeated }

// serve answers one request, with the fault that is due.
func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	f := b.nextFault()
	switch f.kind {
	case answerStatus:
		_, _ = io.Copy(io.Discard, r.Body)
		f.answer(w)
	case answerNothing:
		_, _ = io.Copy(io.Discard, r.Body) // then net/http notices that the client goes away
		select {
		case <-r.Context().Done():
		case <-b.ended:
			panic(http.ErrAbortHandler) // an answer would be one to believe
		}
	case cutConnection:
		b.ingest.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case rejectEvents:
		b.reject(w, r, f.indexes)
	default:
		b.ingest.ServeHTTP(w, r)
	}
}

// reject has Klime take what a Reject leaves of a batch.
func (b *backend) reject(w http.ResponseWriter, r *http.Request, indexes []int) {
	body, _ := io.ReadAll(r.Body)
	rest, places, named := without(body, indexes)
	r.Body = io.NopCloser(bytes.NewReader(rest))
	r.ContentLength = int64(len(rest))
	klime := httptest.NewRecorder()
	b.ingest.ServeHTTP(klime, r)
	maps.Copy(w.Header(), klime.Header())
	w.WriteHeader(klime.Code)
	if klime.Code != http.StatusOK {
		_, _ = w.Write(klime.Body.Bytes())
		return
	}
	b.mu.Lock()
	b.rejected += len(named)
	b.mu.Unlock()
	_, _ = w.Write(partial(klime.Body.Bytes(), places, named))
}

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
