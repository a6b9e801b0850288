package klime

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/klimeapp/klime-go/internal/delivery"
	"github.com/klimeapp/klime-go/internal/secretkeys"
)

// Client sends events to Klime. Make one per process with [New], and end it
// with [Client.Shutdown]. All its methods are safe for concurrent use, and do
// nothing on a nil Client.
//
// Track, Identify, Group and Link encode the event, queue it and return. They
// never wait for the network, they work even if their context has ended, and the
// caller may change the maps it passed once they return. Their errors say what is
// wrong with the call, or are [ErrQueueFull] or [ErrClosed]. With Config.Overflow
// [Block] they wait for room in the queue, and with a write-ahead Config.Spool for
// the disk ([ErrNotDurable], [ErrSpoolFull]).
type Client struct {
	cfg      Config
	ids      *interner
	links    *linkCache
	rollUps  rollUps
	secrets  *secretkeys.Matcher
	encoder  encoder
	delivery *delivery.Deliverer
	hangUp   func() // closes the idle connections of the client's own HTTP client

	eventHints   *eventHints // nil if switched off
	explains     *explainer  // nil unless the Logger is enabled for debug level
	rules        watchedRules
	invalid      invalidEvents
	metrics      metrics
	panicLogs    panicLogs
	plainHints   plainHints
	redactedTold atomic.Bool
	seen         seen

	workTracker Tracker // of contexts without a request: see NewContext

	anonymous atomic.Uint64 // these are explained in Stats
	notLinked atomic.Uint64
	notMember atomic.Uint64
	panics    atomic.Uint64
	filtered  atomic.Uint64 // events dropped by BeforeSend
}

// New returns a client that is ready to use. It makes no request: [Client.Ping]
// does. On an error the client is nil; a nil client may be used like any other and
// does nothing.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{hangUp: func() {}, ids: newInterner()}
	cfg.Logger = slog.New(recoveringHandler{cfg.Logger.Handler(), &c.panics})
	c.cfg = cfg
	c.eventHints = newEventHints(&cfg)
	c.explains = newExplainer(&cfg)
	c.encoder.app, c.encoder.apart = cfg.App.encode(), cfg.BeforeSend != nil
	c.secrets = secretkeys.New(cfg.SecretKeys)
	c.links = newLinkCache(cfg.LinkTTL, c.hintUnstableTraits, c.hintDisputedTraits)
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	c.cfg.WriteKey = "" // only the transport needs it, and fmt would print it if the app has the Client in an unexported field
	disk, err := cfg.attach()
	if err != nil {
		return nil, fmt.Errorf("%w: Spool: %w", ErrInvalidConfig, err)
	}
	c.delivery = delivery.New(delivery.Config{
		Transport:     transport,
		FlushInterval: cfg.FlushInterval,
		BatchSize:     cfg.BatchSize,
		QueueSize:     cfg.QueueSize,
		QueueBytes:    cfg.QueueBytes,
		Senders:       cfg.Senders,
		Overflow:      delivery.Overflow(cfg.Overflow),
		MaxAttempts:   cfg.MaxAttempts,
		RetryDelay:    cfg.RetryDelay,
		Timeout:       cfg.Timeout,
		Storage:       disk,
		Logger:        cfg.Logger,
		OnOutcome:     c.links.ended,
		OnRequest:     c.metrics.onRequest(c),
		OnReport:      c.reportTo(),
		ReportSent:    cfg.OnSuccess != nil,
		ReportLost:    cfg.OnError != nil,
		OnPanic:       func() { c.panics.Add(1) },
		OnClose:       c.rollUps.close,
	})
	c.workTracker.client, c.workTracker.funcs.link = c, appFunc{client: c, name: "Link"}
	c.metrics.observe(c)
	c.hintUnread()
	return c, nil
}

// transport returns what carries the batches.
//
//nolint:ireturn // the app's or ours
func (c *Client) transport() (delivery.Transport, error) {
	if c.cfg.Transport != nil {
		return transportAdapter{c.cfg.Transport}, nil
	}
	url, err := c.cfg.batchURL()
	if err != nil {
		return nil, err
	}
	const userAgent = "klime-go/" + Version
	if c.cfg.HTTPClient != nil {
		return delivery.NewHTTP(c.cfg.HTTPClient, url, c.cfg.WriteKey, userAgent), nil
	}
	own := delivery.DefaultClient(c.cfg.Senders)
	c.hangUp = own.CloseIdleConnections
	transport := delivery.NewHTTP(own, url, c.cfg.WriteKey, userAgent)
	transport.HangUp = c.hangUp
	return transport, nil
}

// reportTo returns the function that is told how events ended, nil if the app has
// no callback for it.
func (c *Client) reportTo() func(delivery.Report) {
	if c.cfg.OnSuccess == nil && c.cfg.OnError == nil {
		return nil
	}
	return c.report
}

// Track records that somebody did something. Unless options name others, user and
// group are those of the request that ctx belongs to; at least one of them must be
// known. Only this client's middlewares are asked for them: what another client's
// middlewares know belongs to another account. Event names are Object + Action in
// the past tense: "Report Generated".
//
// The error is, or wraps, one of [ErrMissingEvent], [ErrMissingIdentity],
// [ErrMissingUser], [ErrMissingGroup], [ErrInvalidOption] (ForUser beside ForGroup, or
// as [WithMessageID] says), [ErrUserMode], [ErrEventTooLarge], [ErrNotEncodable],
// [ErrQueueFull], [ErrSpoolFull], [ErrClosed] and [ErrNotDurable]. Only after
// ErrNotDurable is the event still sent. Without an error it is queued, and may be dropped
// later: see Config.Overflow and Config.OnError. In a silenced request nothing is sent, and
// Track returns nil.
func (c *Client) Track(ctx context.Context, event string, p Properties, opts ...EventOption) error {
	return c.take(ctx, &draft{Event: Event{Type: TrackEvent, Event: event, Properties: p}}, opts)
}

// Identify tells Klime who a user is: it creates the user, or merges the traits
// into an existing one. It takes no user or group from the request that ctx belongs
// to. Errors are those of Track, and [ErrInvalidOption] for an option that names
// a user or a group, even the same. In a silenced request nothing is sent, and Identify
// returns nil.
func (c *Client) Identify(ctx context.Context, userID string, t Traits, opts ...EventOption) error {
	return c.take(ctx, &draft{Event: Event{Type: IdentifyEvent, UserID: userID, Traits: t}}, opts)
}

// Group tells Klime what a group is, and with [ForUser] who belongs to it. Either
// may be left out: without traits it only links the user, without a user it only
// sets traits. It takes no user or group from the request that ctx belongs to, so
// that an admin who edits another company does not become its member. Errors are
// those of Track, [ErrInvalidOption] for an option that names a group, even the same,
// and in user mode [ErrUserMode]. In a silenced request nothing is sent, and Group
// returns nil: an admin page that silences its requests calls Group with a context that is
// not made from the request's.
func (c *Client) Group(ctx context.Context, groupID string, t Traits, opts ...EventOption) error {
	return c.take(ctx, &draft{Event: Event{Type: GroupEvent, GroupID: groupID, Traits: t}}, opts)
}

// TrackSync is [Client.Track] with one request at once, past the queue and its retries. It
// waits for Klime's answer, bounded by ctx, Config.Timeout and the context of a Shutdown
// called meanwhile. The error is nil only if Klime has accepted the event, or if there was
// nothing to send (a nil client, a silenced request, BeforeSend): then the BatchResult is
// zero. A failed request is a [DeliveryError], and the event is not tried again; only if a
// kept connection turns out to be closed does net/http repeat the request, with the same
// message ID. While sending is halted, it returns the reason, with no Attempts, unless a
// probe is due and succeeds.
func (c *Client) TrackSync(ctx context.Context, event string, p Properties, opts ...EventOption) (BatchResult, error) {
	return c.takeNow(ctx, &draft{Event: Event{Type: TrackEvent, Event: event, Properties: p}}, opts)
}

// IdentifySync is to [Client.Identify] what [Client.TrackSync] is to Track.
func (c *Client) IdentifySync(ctx context.Context, userID string, t Traits, opts ...EventOption) (BatchResult, error) {
	return c.takeNow(ctx, &draft{Event: Event{Type: IdentifyEvent, UserID: userID, Traits: t}}, opts)
}

// GroupSync is to [Client.Group] what [Client.TrackSync] is to Track.
func (c *Client) GroupSync(ctx context.Context, groupID string, t Traits, opts ...EventOption) (BatchResult, error) {
	return c.takeNow(ctx, &draft{Event: Event{Type: GroupEvent, GroupID: groupID, Traits: t}}, opts)
}

// Ping sends an empty batch to learn whether Klime is there and the write key
// is good. A failure is a [DeliveryError]. It takes at most Config.Timeout. If sending is
// halted (Stats.Halted) and the Ping succeeds, sending is tried again at once. On a nil
// client it returns nil: New has already returned the error.
func (c *Client) Ping(ctx context.Context) error {
	if c == nil {
		return nil
	}
	return publicError(c.delivery.Ping(toKlime(ctx)))
}

// Flush sends what is queued without waiting for more. It returns when every event
// accepted before the call is sent, refused or dropped, including those in the Spool
// and those that a [Client.TrackSync] is sending. It returns early with ctx's error when
// ctx (or, if that has no deadline, Config.ShutdownTimeout) ends, or with the
// [DeliveryError] that has halted sending. It returns [ErrSpoolLost] if the Spool lost
// events meanwhile.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	patience, done := c.delivery.Patience(ctx)
	defer done()
	unfinished := c.rollUps.flush(patience)
	if unfinished != nil && ctx.Err() != nil {
		unfinished = delivery.EndOf(ctx)
	}
	err := c.delivery.Flush(ctx)
	return publicError(cmp.Or(err, unfinished))
}

// Shutdown stops accepting events, delivers what is queued and ends the
// client. Call it after the server's own shutdown, so that the last requests
// are recorded. Further calls return the same.
//
// When ctx (or, if that has no deadline, Config.ShutdownTimeout) ends first, what is
// left goes to Config.Spool, and the next process sends it. Without a Spool, or if
// the Spool fails, the error says how many events were not delivered. A
// [Client.TrackSync] that is still waiting has the same time, and only its own
// caller learns its outcome.
//
// Shutdown does not wait out a backoff, a Retry-After or the pause of a halt: it
// tries at once, or as soon as a hanging request makes room (see Config.Senders).
// It waits for requests in flight as long as ctx allows, even if sending is halted. With
// a Spool or an OnError it stops waiting a little earlier, by 1 s at most, to have time
// for what is left: the error then matches [context.DeadlineExceeded], though ctx has not
// ended. What [RollUp] has counted is queued first; a BeforeSend that does not return
// delays this until ctx ends.
func (c *Client) Shutdown(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	c.rules.tellUnused(c)
	err := c.delivery.Shutdown(ctx)
	c.hintUnseen()
	c.hangUp()
	c.metrics.close()
	return publicError(err)
}

// bounded gives ctx a deadline, Config.ShutdownTimeout from now, unless it has one.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = orBackground(ctx)
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.ShutdownTimeout)
}

// orBackground returns ctx, or a background context in place of nil: analytics must
// not panic over a missing context.
func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}
