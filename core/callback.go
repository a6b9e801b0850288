package klime

import (
	"fmt"
	"log/slog"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// report tells the app's callbacks how events ended. Delivery calls it from one
// goroutine.
func (c *Client) report(r delivery.Report) {
	events := make([]Event, len(r.Items))
	for i := range r.Items {
		events[i] = decodeEvent(r.Items[i].Body)
	}
	if r.Outcome == delivery.Sent {
		c.onSuccess(batchResult(r.Result, events))
		return
	}
	err := publicError(r.Err)
	if r.Untold > 0 {
		err = fmt.Errorf("%w (and %d events more)", err, r.Untold)
	}
	c.onError(err, events)
}

func (c *Client) onSuccess(result BatchResult) {
	if c.cfg.OnSuccess != nil {
		c.guard("OnSuccess", func() { c.cfg.OnSuccess(result) })
	}
}

func (c *Client) onError(err error, events []Event) {
	if c.cfg.OnError != nil {
		c.guard("OnError", func() { c.cfg.OnError(err, events) })
	}
}

// guard calls the app's own code, and keeps a panic in it from ending the app.
func (c *Client) guard(what string, call func()) {
	defer func() {
		if recover() != nil {
			c.panics.Add(1)
			c.cfg.Logger.Error("klime: a callback panicked", slog.String("callback", what))
		}
	}()
	call()
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

// filter lets Config.BeforeSend change the event that body encodes, and encodes it
// again. The body it returns is nil if the event must not be sent. The app gets a
// copy of the event, which it may keep.
func (c *Client) filter(body []byte) ([]byte, error) {
	d := draft{Event: decodeEvent(body)}
	d.makeMaps()
	wanted := false
	c.guard("BeforeSend", func() { wanted = c.cfg.BeforeSend(&d.Event) })
	if !wanted {
		c.filtered.Add(1)
		return nil, nil
	}
	if c.cfg.Mode == UserMode {
		d.GroupID = ""
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	c.diagnosis.examineChanged(&d.Event)
	return c.encoder.encode(&d, nil)
}
