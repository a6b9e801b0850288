package klime

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
	"github.com/klimeapp/klime-go/internal/throttle"
)

// report tells the app's callbacks how events ended. Delivery calls it for one report
// at a time, and with Sent only if there is an OnSuccess.
func (c *Client) report(r delivery.Report) {
	if r.Outcome != delivery.Sent && c.cfg.OnError == nil {
		return
	}
	events := make([]Event, len(r.Items))
	for i := range r.Items {
		events[i] = decodeEvent(r.Items[i].Body)
	}
	if r.Outcome == delivery.Sent {
		result := batchResult(r.Result, events)
		c.guard("OnSuccess", &c.panicLogs.onSuccess, func() { c.cfg.OnSuccess(result) })
		return
	}
	err := publicError(r.Err)
	if r.Untold > 0 && r.Outcome != delivery.SpoolLost { // whose error has the number
		err = fmt.Errorf("%w (and %d more)", err, r.Untold)
	}
	c.guard("OnError", &c.panicLogs.onError, func() { c.cfg.OnError(err, events) })
}

// panicLogs limit the log lines about callbacks that panic: each event may cause one.
type panicLogs struct{ beforeSend, onSuccess, onError throttle.Throttle }

// panicLogInterval is the shortest time between two log lines about the same callback.
const panicLogInterval = 10 * time.Second

// guard calls the app's own code, and keeps a panic in it from ending the app. Ending
// the goroutine instead of returning, as a test's FailNow does, counts as a panic.
func (c *Client) guard(what string, log *throttle.Throttle, call func()) {
	returned := false
	defer func() {
		v := recover()
		if returned {
			return
		}
		total := c.panics.Add(1)
		if log.Allows(panicLogInterval, time.Now()) {
			c.cfg.Logger.LogAttrs(context.Background(), slog.LevelError, "klime: a callback panicked",
				append([]slog.Attr{slog.String("callback", what), slog.Uint64("total", total)}, panicAttrs(v)...)...)
		}
	}()
	call()
	returned = true
}

// filter lets Config.BeforeSend change the event that body encodes, and encodes it
// again. The body it returns is nil if the event must not be sent. The app may keep the
// event that it gets, and read it, so nothing is written to that afterwards.
func (c *Client) filter(body []byte) ([]byte, error) {
	event := decodeEvent(body)
	event.makeMaps()
	happened := event.Timestamp
	wanted := false
	defer func() {
		if !wanted { // also if BeforeSend has ended the goroutine
			c.filtered.Add(1)
		}
	}()
	c.guard("BeforeSend", &c.panicLogs.beforeSend, func() { wanted = c.cfg.BeforeSend(&event) })
	if !wanted {
		return nil, nil
	}
	d := draft{Event: event, complete: true}
	if c.inUserMode() {
		d.GroupID = ""
	}
	if d.Timestamp.IsZero() {
		d.Timestamp = happened
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	c.eventHints.examineChanged(&d.Event)
	return c.encoder.encode(&d, nil)
}
