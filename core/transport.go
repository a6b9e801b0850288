package klime

import (
	"context"
	"errors"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Transport carries batches to Klime, in place of the client's own POST to
// Config.Endpoint: the seam for a message broker, say. It must be safe for
// concurrent use and return soon after ctx ends.
type Transport interface {
	// Send carries body, {"batch":[…]} with that many events; with none it is
	// a probe. It keeps body if it likes. A *[DeliveryError] says what to do
	// about a failure, by the rules for HTTP status codes: 4xx may halt sending or
	// single out events, the rest is retried. Any other error is retried. In
	// the result only Errors count, by Index.
	Send(ctx context.Context, body []byte, events int) (BatchResult, error)
}

// BatchResult is Klime's answer to a batch.
type BatchResult struct {
	Accepted int          // events
	Failed   int          // events, those in Errors
	Errors   []EventError // nil if all were accepted
}

// EventError is an event that Klime refused while it took others of its batch.
type EventError struct {
	Index   int    // in the batch, from 0
	Code    string // Klime's, such as "invalid_timestamp"
	Message string // Klime's
	Event   Event  // as it was sent
}

// seam makes a Transport one of delivery.
type seam struct{ Transport }

func (s seam) Send(ctx context.Context, body []byte, events int) (delivery.Result, error) {
	result, err := s.Transport.Send(ctx, body, events)
	if failure := (*DeliveryError)(nil); errors.As(err, &failure) {
		return delivery.Result{}, failure.internal(result.Errors)
	}
	if err != nil {
		return delivery.Result{}, err
	}
	return delivery.NewResult(events, rejections(result.Errors)), nil
}

func rejections(errs []EventError) []delivery.Rejection {
	rejected := make([]delivery.Rejection, len(errs))
	for i, e := range errs {
		rejected[i] = delivery.Rejection{Index: e.Index, Code: e.Code, Message: e.Message}
	}
	return rejected
}
