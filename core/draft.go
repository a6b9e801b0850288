package klime

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// draft is an event on its way from a call to the queue, with what only the library
// adds to it.
type draft struct {
	Event

	automatic bool // made by a middleware, not by the app
	patient   bool // waits for room in the queue rather than evict others
	filtered  bool // dropped by BeforeSend
	complete  bool // its Context is what BeforeSend has left of the whole
	queued    time.Time
	token     uint64 // handed back with the outcome; 0 for none
	telemetry telemetry
	baggage   []string // keys of the baggage that may be sent
}

// complete adds to the draft of an event that the app sends itself what the request and the
// options say. Unless ok, there is nothing to send, with or without an error. (The draft is
// not returned: to copy it takes longer.)
func (c *Client) complete(ctx context.Context, scope *Scope, silent bool, d *draft, opts []EventOption) (ok bool, err error) {
	if c == nil {
		return false, nil
	}
	scope.noteSpan(ctx)
	if silent {
		c.explains.event(d, outcomeSilenced)
		return false, nil
	}
	var who identity // only a track event takes anything from the request
	switch {
	case d.Type == TrackEvent:
		who = scope.identify(ctx)
		scope.annotate(ctx, who)
		d.UserID, d.GroupID = who.user, who.group
	case d.Type == GroupEvent && c.inUserMode():
		return false, ErrUserMode
	default:
		if err := d.checkOptions(opts); err != nil {
			return false, err
		}
	}
	if err := d.apply(opts); err != nil {
		return false, err
	}
	isNobodys := d.UserID == "" && d.GroupID == ""
	if d.Type == TrackEvent && isNobodys && scope == nil && ScopeFrom(ctx).client() != nil {
		return false, fmt.Errorf("%w: the request has passed only the Middleware of another client", ErrMissingIdentity)
	}
	if d.UserID == who.user && d.GroupID == "" {
		c.countLeftOut(who.checked)
	}
	if c.inUserMode() {
		if d.UserID == "" && d.GroupID != "" {
			return false, ErrUserMode
		}
		d.GroupID = ""
	}
	if !isNobodys && who.user == "" && who.group == "" {
		scope.noteWebhook()
	}
	d.addTelemetry(ctx, scope)
	return true, nil
}

// take completes and queues an event of the app.
func (c *Client) take(ctx context.Context, d *draft, opts []EventOption) error {
	scope, silent := c.scopeOf(ctx)
	return c.takeIn(ctx, scope, silent, d, opts)
}

func (c *Client) takeIn(ctx context.Context, scope *Scope, silent bool, d *draft, opts []EventOption) error {
	if ok, err := c.complete(ctx, scope, silent, d, opts); !ok {
		return err
	}
	return c.send(ctx, d, nil)
}

// takeNow is take with a request of its own in place of the queue. It waits for the answer.
func (c *Client) takeNow(ctx context.Context, d *draft, opts []EventOption) (BatchResult, error) {
	scope, silent := c.scopeOf(ctx)
	if ok, err := c.complete(ctx, scope, silent, d, opts); !ok {
		return BatchResult{}, err
	}
	body, err := c.prepare(d, nil)
	if err != nil || d.filtered {
		return BatchResult{}, err
	}
	answer, err := c.delivery.SendNow(toKlime(ctx), d.item(body))
	if err != nil {
		return BatchResult{}, publicError(err)
	}
	result := batchResult(answer, []Event{decodeEvent(body)})
	if len(result.Errors) > 0 {
		return result, &DeliveryError{StatusCode: http.StatusOK, Attempts: 1, Message: result.Errors[0].Message}
	}
	return result, nil
}

// send queues an event. The properties of the automatic event of a request are r, which
// is nil for any other event.
func (c *Client) send(ctx context.Context, d *draft, r *requestProperties) error {
	body, err := c.prepare(d, r)
	return c.enqueue(ctx, d, body, err)
}

// enqueue queues what prepare returned.
func (c *Client) enqueue(ctx context.Context, d *draft, body []byte, err error) error {
	if err == nil && !d.filtered {
		err = publicError(c.delivery.Enqueue(orBackground(ctx), d.item(body)))
	}
	if c.explains != nil {
		c.explains.event(d, outcomeOf(d, err))
	}
	return err
}

// item is the event with its encoded body, for delivery.
func (d *draft) item(body []byte) delivery.Item {
	return delivery.Item{Body: body, Queued: d.queued, Automatic: d.automatic, Patient: d.patient, Token: d.token}
}

// prepare checks and encodes an event. If it sets d.filtered, the event must not be
// sent.
func (c *Client) prepare(d *draft, r *requestProperties) ([]byte, error) {
	if !d.automatic { // which has a name and IDs that have been checked
		if err := d.validate(); err != nil {
			return nil, err
		}
	}
	if d.queued.IsZero() {
		d.queued = time.Now()
	}
	if d.Timestamp.IsZero() {
		d.Timestamp = d.queued
	}
	c.redact(&d.Event)
	body, err := c.encoder.encode(d, r)
	switch {
	case err != nil:
	case c.cfg.BeforeSend == nil:
		c.eventHints.examine(&d.Event)
	default:
		body, err = c.filter(body)
		d.filtered = body == nil && err == nil
	}
	return body, err
}
