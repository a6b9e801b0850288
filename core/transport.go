package klime

import (
	"context"
	"errors"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Transport carries batches to Klime, in place of the client's own POST to
// Config.Endpoint: through a message broker, say. It must be safe for concurrent use
// and return soon after ctx ends.
type Transport interface {
	// Send carries body, which is {"batch":[…]} with that many events; without
	// events it is a probe. Send may keep body. The StatusCode of a *[DeliveryError]
	// says what happens next, as over HTTP: sending halts (3xx, 401, 404, 405; 403 if
	// events were never accepted, or the third since they last were), the events at
	// fault are singled out (400, 413, 422), or the batch is retried (408, 429, 5xx and
	// others; 2xx if Err says why the answer could not be read). Any other error is
	// retried. Of the result, only the Index, Code and Message of its Errors are used.
	Send(ctx context.Context, body []byte, events int) (BatchResult, error)
}

// BatchResult is Klime's answer to a batch. Events that Klime counted as failed, but did
// not name, are in Accepted, unless it counted all as failed and none as accepted: nobody
// knows which they were. The log tells of them.
type BatchResult struct {
	Accepted int          // events
	Failed   int          // events, which are in Errors, unless a callback blocks: see Config.OnSuccess
	Errors   []EventError // nil if all were accepted
}

// EventError is an event that Klime refused while it took others of its batch.
type EventError struct {
	Index   int    // in the batch, from 0
	Code    string // from Klime, such as "invalid_timestamp"
	Message string // from Klime
	Event   Event  // as it was sent
}

// transportAdapter makes a Transport one of package delivery.
type transportAdapter struct{ Transport }

func (a transportAdapter) Send(ctx context.Context, batch delivery.Batch) (delivery.Result, error) {
	result, err := a.Transport.Send(ctx, batch.AppendBody(nil), len(batch))
	if failure, ok := err.(*DeliveryError); err == nil || ok && failure == nil { //nolint:errorlint // who returns just that means success
		return delivery.NewResult(len(batch), rejections(result.Errors)), nil
	}
	if failure := (*DeliveryError)(nil); errors.As(err, &failure) && failure != nil {
		return delivery.Result{}, failure.internal(result.Errors)
	}
	return delivery.Result{}, err
}

// batchResult returns the public form of an answer. The named events are those of
// r.Rejected, in the same order.
func batchResult(r delivery.Result, named []Event) BatchResult {
	result := BatchResult{Accepted: r.Accepted, Failed: r.Failed}
	for i, rejected := range r.Rejected {
		e := EventError{Index: rejected.Index, Code: rejected.Code, Message: rejected.Message}
		if i < len(named) {
			e.Event = named[i]
		}
		result.Errors = append(result.Errors, e)
	}
	return result
}

func rejections(errs []EventError) []delivery.Rejection {
	rejected := make([]delivery.Rejection, len(errs))
	for i, e := range errs {
		rejected[i] = delivery.Rejection{Index: e.Index, Code: delivery.CutMessage(e.Code), Message: delivery.CutMessage(e.Message)}
	}
	return rejected
}
