package klime

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Client sends events to Klime. Make one per process with [New], and end it
// with [Client.Shutdown]. All its methods are safe for concurrent use, and do
// nothing on a nil Client.
//
// Track, Identify, Group and Link encode the event at once, queue it and
// return: they never wait for the network, a context that has ended does not
// stop them, and what they were given may be changed afterwards. Their errors
// say what is wrong with the call, or [ErrQueueFull] or [ErrClosed].
type Client struct {
	cfg        Config
	encoder    encoder
	links      *linkCache
	delivery   *delivery.Deliverer
	hangUp     func() // closes idle connections that are the client's own
	anonymous  atomic.Uint64
	complaints complaints
}

// New returns a client that is ready to use. It makes no request: see
// [Client.Ping] for that. On an error the client is nil, which may be used like
// any other and does nothing.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	url, err := cfg.batchURL()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, links: newLinkCache(cfg.LinkTTL), hangUp: func() {}}
	httpClient := cfg.HTTPClient
	if httpClient == nil {
		httpClient = delivery.DefaultClient(cfg.Senders)
		c.hangUp = httpClient.CloseIdleConnections
	}
	transport := delivery.NewHTTP(httpClient, url, http.Header{
		"Authorization": {"Bearer " + cfg.WriteKey},
		"Content-Type":  {"application/json"},
		"User-Agent":    {"klime-go/" + Version},
	})
	c.delivery = delivery.New(delivery.Config{
		Transport:     transport,
		FlushInterval: cfg.FlushInterval,
		BatchSize:     cfg.BatchSize,
		QueueSize:     cfg.QueueSize,
		QueueBytes:    cfg.QueueBytes,
		Senders:       cfg.Senders,
		MaxAttempts:   cfg.MaxAttempts,
		RetryDelay:    cfg.RetryDelay,
		Timeout:       cfg.Timeout,
		Logger:        cfg.Logger,
		OnOutcome:     c.links.settle,
	})
	return c, nil
}

// Track records that somebody did something. User and group are those of the
// request that ctx belongs to, unless options name others; one of them must be
// known. Event names are Object + Action in the past tense: "Report Generated".
func (c *Client) Track(ctx context.Context, event string, p Properties, opts ...EventOption) error {
	if c == nil {
		return nil
	}
	scope := ScopeFrom(ctx)
	if scope.isSilent() {
		return nil
	}
	d := draft{Event: Event{Type: TrackEvent, Event: event, Properties: p}}
	who := scope.identify(ctx)
	d.UserID, d.GroupID = who.user, who.group
	if err := d.apply(opts); err != nil {
		return err
	}
	if c.cfg.Mode == UserMode {
		if d.UserID == "" && d.GroupID != "" {
			return ErrUserMode
		}
		d.GroupID = ""
	}
	return c.send(ctx, &d, 0)
}

// Identify tells who a user is. The user is made, or the traits are merged
// into the one that is there. Of the request that ctx belongs to nothing is
// taken.
func (c *Client) Identify(ctx context.Context, userID string, t Traits, opts ...EventOption) error {
	if c == nil || ScopeFrom(ctx).isSilent() {
		return nil
	}
	d := draft{Event: Event{Type: IdentifyEvent, UserID: userID, Traits: t}}
	return c.describe(ctx, &d, opts, 0)
}

// Group tells what a group is, and with [ForUser] who belongs to it. Either
// may be left out: no traits only links, no user only sets traits. Of the
// request that ctx belongs to nothing is taken, so that an admin who edits
// another company does not become its member. In user mode it is
// [ErrUserMode].
func (c *Client) Group(ctx context.Context, groupID string, t Traits, opts ...EventOption) error {
	if c == nil || ScopeFrom(ctx).isSilent() {
		return nil
	}
	if c.cfg.Mode == UserMode {
		return ErrUserMode
	}
	d := draft{Event: Event{Type: GroupEvent, GroupID: groupID, Traits: t}}
	return c.describe(ctx, &d, opts, 0)
}

// describe sends an identify or group event.
func (c *Client) describe(ctx context.Context, d *draft, opts []EventOption, token uint64) error {
	if err := d.checkOptions(opts); err != nil {
		return err
	}
	if err := d.apply(opts); err != nil {
		return err
	}
	return c.send(ctx, d, token)
}

// send checks, encodes and queues an event. The token, if not 0, comes back
// with its outcome.
func (c *Client) send(ctx context.Context, d *draft, token uint64) error {
	if err := d.validate(); err != nil {
		return err
	}
	now := time.Now()
	if d.Timestamp.IsZero() {
		d.Timestamp = now
	}
	d.span = spanOf(ctx)
	body, err := c.encoder.encode(d)
	if err != nil {
		return err
	}
	return publicError(c.delivery.Enqueue(delivery.Item{
		Body: body, Token: token, Queued: now, Automatic: d.request != nil,
	}))
}

// Ping sends an empty batch to learn whether Klime is there and the write key
// is good. A failure is a [DeliveryError]. It takes at most Config.Timeout.
func (c *Client) Ping(ctx context.Context) error {
	if c == nil {
		return nil
	}
	return publicError(c.delivery.Ping(ctx))
}

// Flush sends what is queued without waiting for more, and returns when all
// that was accepted before the call is sent, refused or dropped. It returns
// early when ctx (or, if that has no deadline, Config.ShutdownTimeout) ends,
// or with the [DeliveryError] that has halted sending.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	return publicError(c.delivery.Flush(ctx))
}

// Shutdown stops accepting events, delivers what is queued and ends the
// client. Call it after the server's own shutdown, so that the last requests
// are recorded. When ctx (or, if that has no deadline, Config.ShutdownTimeout)
// ends first, the error says how many events were not delivered. A further
// call returns the same.
func (c *Client) Shutdown(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	err := c.delivery.Shutdown(ctx)
	c.hangUp()
	return publicError(err)
}

func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.ShutdownTimeout)
}
