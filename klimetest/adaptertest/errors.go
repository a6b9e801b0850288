package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// testReturnedErrors: a handler's error becomes an answer, whose status is recorded. The span
// around our middleware is told of the error, once, as what has begun it gets an answer in
// place of the error.
func testReturnedErrors(t *testing.T, a Adapter) {
	if !a.ReturnsErrors {
		t.Skip("handlers return no errors")
	}
	for _, twice := range []bool{false, true} {
		failure := errors.New("the database is down")
		around := &span{}
		app := a.record(t, App{
			UserID: jane, Twice: twice,
			Outside: []Middleware{func(r Request, next func(Request)) { next(r.Replace(spanKey(), around)) }},
			Routes:  []Route{{Path: "/", Handler: func(Request) {}, Err: failure}},
		})
		status, _ := do(t, app.url, get("/"))
		app.stop()
		if status == http.StatusOK {
			t.Error("the error is answered 200")
		}
		if told := around.errors(); len(told) != 1 || !errors.Is(told[0], failure) {
			t.Errorf("the span is told of %v, want of the handler's error once: see Scope.RecordError", told)
		}
		if got := app.server.Wait(1)[0].Properties["status"]; fmt.Sprint(got) != fmt.Sprint(status) {
			t.Errorf("status %v is recorded, %d was sent", got, status)
		}
	}
}

// span notes the errors that it is told of.
type span struct {
	noop.Span

	mu   sync.Mutex
	told []error
}

func (s *span) RecordError(err error, _ ...trace.EventOption) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, err)
}

func (s *span) errors() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told
}

// spanKey is the key under which OpenTelemetry keeps a span in a context, for
// Request.Replace.
func spanKey() any {
	ctx := &keyContext{Context: context.Background()}
	trace.SpanFromContext(ctx)
	return ctx.key
}

// keyContext remembers the key that it was last asked for.
type keyContext struct {
	context.Context //nolint:containedctx // it is one

	key any
}

// Value implements context.Context.
func (k *keyContext) Value(key any) any {
	k.key = key
	return nil
}
