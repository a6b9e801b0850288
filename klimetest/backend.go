package klimetest

import (
	"bytes"
	"io"
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

	mu     sync.Mutex
	faults []Fault
}

func newBackend() *backend {
	return &backend{ingest: ingest.New(ingest.Options{WriteKey: writeKey})}
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
	return f
}

// Events returns what has been accepted so far, in order of arrival, each
// messageId once. Numbers are float64, as JSON has them.
func (b *backend) Events() []klime.Event {
	received := b.ingest.Events()
	events := make([]klime.Event, len(received))
	for i := range received {
		events[i] = typed(&received[i])
	}
	return events
}

// Rejected returns how many events have been refused as invalid.
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
		<-r.Context().Done()
	case cutConnection:
		b.ingest.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case rejectEvents:
		body, _ := io.ReadAll(r.Body)
		rest, kept, named := without(body, f.indexes)
		r.Body = io.NopCloser(bytes.NewReader(rest))
		r.ContentLength = int64(len(rest))
		b.ingest.ServeHTTP(httptest.NewRecorder(), r)
		_, _ = w.Write(partial(kept, named))
	default:
		b.ingest.ServeHTTP(w, r)
	}
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
