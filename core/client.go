package klime

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
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
// say what is wrong with the call, or [ErrQueueFull] or [ErrClosed]. With
// Config.Overflow [Block] they wait for room in the queue, and with a
// write-ahead Config.Spool for the disk ([ErrNotDurable], [ErrSpoolFull]).
type Client struct {
	cfg        Config
	encoder    encoder
	diagnosis  *diagnosis // nil if switched off
	explains   *explainer // nil if switched off
	ids        *interner
	links      *linkCache
	delivery   *delivery.Deliverer
	hangUp     func() // closes idle connections that are the client's own
	anonymous  atomic.Uint64
	secrets    *redactor
	rollUps    rollUps
	metrics    metrics
	rules      watchedRules
	notLinked  atomic.Uint64
	notMember  atomic.Uint64
	filtered   atomic.Uint64 // events dropped by BeforeSend
	panics     atomic.Uint64 // of the app's callbacks, transport, logger and meter provider
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
	c := &Client{hangUp: func() {}, ids: newInterner()}
	cfg.Logger = slog.New(steady{cfg.Logger.Handler(), &c.panics})
	c.cfg = cfg
	c.diagnosis = newDiagnosis(&cfg)
	c.explains = newExplainer(&cfg)
	c.encoder.app = cfg.App.encode()
	c.secrets = newRedactor(cfg.SecretKeys)
	c.links = newLinkCache(cfg.LinkTTL, func() {
		if cfg.NoHints {
			return
		}
		cfg.Logger.Warn("klime: the traits given to Link change on every call, and are sent every time; leave out what does")
	})
	c.links.torn = sync.OnceFunc(func() {
		if cfg.NoHints {
			return
		}
		cfg.Logger.Warn("klime: users of one group are linked with different traits of it, and change them by turns; " +
			"give a group what is the same for all of its users")
	})
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	c.cfg.WriteKey = "" // the transport alone needs it; of a Client in an unexported field fmt prints all
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
		OnOutcome:     c.links.settle,
		OnRequest:     c.metrics.onRequest(c),
		OnReport:      c.reportTo(),
		ReportSent:    cfg.OnSuccess != nil,
		OnPanic:       func() { c.panics.Add(1) },
		OnClose:       c.rollUps.close,
	})
	c.metrics.observe(c)
	return c, nil
}

// transport is what carries the batches.
//
//nolint:ireturn // the app's or ours
func (c *Client) transport() (delivery.Transport, error) {
	if c.cfg.Transport != nil {
		return seam{c.cfg.Transport}, nil
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

// reportTo is who is told how events ended, nil if nobody wants to know.
func (c *Client) reportTo() func(delivery.Report) {
	if c.cfg.OnSuccess == nil && c.cfg.OnError == nil {
		return nil
	}
	return c.report
}

// Track records that somebody did something. User and group are those of the
// request that ctx belongs to, as the middlewares of this client know it, unless
// options name others; one of them must be known. What is known to another client's
// is of another account, and not taken. Event names are Object + Action in the past
// tense: "Report Generated".
//
// The error is one of [ErrMissingEvent], [ErrMissingIdentity], [ErrMissingUser],
// [ErrMissingGroup], [ErrUserMode], [ErrEventTooLarge], [ErrNotEncodable],
// [ErrQueueFull], [ErrSpoolFull], [ErrClosed] and [ErrNotDurable], wrapped or as it
// is; only of the last one the event is on its way. Of a silenced request nothing
// is sent, and nil returned.
func (c *Client) Track(ctx context.Context, event string, p Properties, opts ...EventOption) error {
	d, ok, err := c.track(ctx, event, p, opts)
	if !ok {
		return err
	}
	return c.send(ctx, &d, 0)
}

// Identify tells who a user is. The user is made, or the traits are merged
// into the one that is there. Of the request that ctx belongs to nothing is
// taken. Errors are those of Track, and [ErrInvalidOption] of an option that names
// another user or a group.
func (c *Client) Identify(ctx context.Context, userID string, t Traits, opts ...EventOption) error {
	d, ok, err := c.identify(ctx, userID, t, opts)
	if !ok {
		return err
	}
	return c.send(ctx, &d, 0)
}

// Group tells what a group is, and with [ForUser] who belongs to it. Either
// may be left out: no traits only links, no user only sets traits. Of the
// request that ctx belongs to nothing is taken, so that an admin who edits
// another company does not become its member. Errors are those of Track,
// [ErrInvalidOption] of an option that names another group, and in user mode
// [ErrUserMode].
func (c *Client) Group(ctx context.Context, groupID string, t Traits, opts ...EventOption) error {
	d, ok, err := c.group(ctx, groupID, t, opts)
	if !ok {
		return err
	}
	return c.send(ctx, &d, 0)
}

// TrackSync is [Client.Track] that waits for Klime's answer: one request, now,
// past the queue and its retries, bounded by ctx, Config.Timeout and the context
// of a Shutdown meanwhile. Its error is nil only if Klime has accepted the event,
// or nothing was to be sent (a nil client, Silence, BeforeSend): then Accepted is
// 0. A failed request is a [DeliveryError], and the event is not tried again.
func (c *Client) TrackSync(ctx context.Context, event string, p Properties, opts ...EventOption) (BatchResult, error) {
	d, ok, err := c.track(ctx, event, p, opts)
	if !ok {
		return BatchResult{}, err
	}
	return c.sendNow(ctx, &d)
}

// IdentifySync is to [Client.Identify] what [Client.TrackSync] is to Track.
func (c *Client) IdentifySync(ctx context.Context, userID string, t Traits, opts ...EventOption) (BatchResult, error) {
	d, ok, err := c.identify(ctx, userID, t, opts)
	if !ok {
		return BatchResult{}, err
	}
	return c.sendNow(ctx, &d)
}

// GroupSync is to [Client.Group] what [Client.TrackSync] is to Track.
func (c *Client) GroupSync(ctx context.Context, groupID string, t Traits, opts ...EventOption) (BatchResult, error) {
	d, ok, err := c.group(ctx, groupID, t, opts)
	if !ok {
		return BatchResult{}, err
	}
	return c.sendNow(ctx, &d)
}

// scopeOf is c's own Scope of the request that ctx belongs to, nil without one, and
// whether the request is silent: by the innermost, where c has none. To a nil Client
// all are.
func (c *Client) scopeOf(ctx context.Context) (own *Scope, silent bool) {
	if c == nil {
		return nil, true
	}
	asked := ScopeFrom(ctx)
	if own = asked.ofClient(c); own != nil {
		asked = own
	}
	silent = asked.isSilent()
	return own, silent
}

// track, identify and group draft an event. If not ok, there is nothing to
// send, for an error or without.

func (c *Client) track(ctx context.Context, event string, p Properties, opts []EventOption) (d draft, ok bool, err error) {
	if c == nil {
		return d, false, nil
	}
	scope, silent := c.scopeOf(ctx)
	scope.noteSpan(ctx)
	d.Event = Event{Type: TrackEvent, Event: event, Properties: p}
	if silent {
		c.explains.event(&d, silenced)
		return d, false, nil
	}
	who := scope.identify(ctx, nil)
	scope.annotate(ctx, who)
	d.UserID, d.GroupID = who.user, who.group
	if err := d.apply(opts); err != nil {
		return d, false, err
	}
	if d.UserID == who.user && d.GroupID == "" {
		c.countVerdict(who.verdict)
	}
	if c.cfg.Mode == UserMode {
		if d.UserID == "" && d.GroupID != "" {
			return d, false, ErrUserMode
		}
		d.GroupID = ""
	}
	return d, true, nil
}

func (c *Client) identify(ctx context.Context, userID string, t Traits, opts []EventOption) (d draft, ok bool, err error) {
	if _, silent := c.scopeOf(ctx); silent {
		return d, false, nil
	}
	d.Event = Event{Type: IdentifyEvent, UserID: userID, Traits: t}
	return d.describe(opts)
}

func (c *Client) group(ctx context.Context, groupID string, t Traits, opts []EventOption) (d draft, ok bool, err error) {
	if _, silent := c.scopeOf(ctx); silent {
		return d, false, nil
	}
	if c.cfg.Mode == UserMode {
		return d, false, ErrUserMode
	}
	d.Event = Event{Type: GroupEvent, GroupID: groupID, Traits: t}
	return d.describe(opts)
}

// describe applies the options of an identify or group event.
func (d draft) describe(opts []EventOption) (draft, bool, error) {
	if err := d.checkOptions(opts); err != nil {
		return d, false, err
	}
	if err := d.apply(opts); err != nil {
		return d, false, err
	}
	return d, true, nil
}

// sendNow sends an event by itself and waits for the answer.
func (c *Client) sendNow(ctx context.Context, d *draft) (BatchResult, error) {
	item, err := c.prepare(ctx, d, nil)
	if err != nil || d.filtered {
		return BatchResult{}, err
	}
	answer, err := c.delivery.SendNow(toKlime(ctx), item)
	if err != nil {
		return BatchResult{}, publicError(err)
	}
	result := batchResult(answer, []Event{decodeEvent(item.Body)})
	if len(result.Errors) > 0 {
		return result, &DeliveryError{StatusCode: http.StatusOK, Attempts: 1, Message: result.Errors[0].Message}
	}
	return result, nil
}

// send queues an event. The token, if not 0, comes back with its outcome.
func (c *Client) send(ctx context.Context, d *draft, token uint64) error {
	return c.sendRequest(ctx, d, nil, token)
}

// sendRequest is send with the properties of a request, or nil.
func (c *Client) sendRequest(ctx context.Context, d *draft, r *requestProperties, token uint64) error {
	item, err := c.prepare(ctx, d, r)
	item.Token = token
	return c.enqueue(ctx, d, item, err)
}

// enqueue queues what was prepared.
func (c *Client) enqueue(ctx context.Context, d *draft, item delivery.Item, err error) error {
	if err == nil && !d.filtered {
		err = publicError(c.delivery.Enqueue(orBackground(ctx), item))
	}
	if c.explains != nil {
		c.explains.event(d, fateOf(d, err))
	}
	return err
}

// prepare checks and encodes an event. One that is filtered then is not to be sent.
func (c *Client) prepare(ctx context.Context, d *draft, r *requestProperties) (delivery.Item, error) {
	if err := d.validate(); err != nil {
		return delivery.Item{}, err
	}
	if d.queued.IsZero() {
		d.queued = time.Now()
	}
	if d.Timestamp.IsZero() {
		d.Timestamp = d.queued
	}
	if r == nil {
		scope := ScopeFrom(ctx).ofClient(c)
		d.telemetry, d.baggage = telemetryOf(ctx, scope), scope.baggageKeys()
	}
	c.redact(&d.Event)
	body, err := c.encoder.encode(d, r)
	switch {
	case err != nil:
	case c.cfg.BeforeSend == nil:
		c.diagnosis.examine(&d.Event)
	default:
		body, err = c.filter(body)
		d.filtered = body == nil && err == nil
	}
	return delivery.Item{Body: body, Queued: d.queued, Automatic: d.automatic, Patient: d.patient}, err
}

// redact replaces secrets in what the app tells of users and groups, and if it
// wants so in what it tracks. The app's maps stay as they are.
func (c *Client) redact(e *Event) {
	if e.Traits != nil {
		e.Traits = c.secrets.clean(e.Traits)
	}
	if e.Properties != nil && c.cfg.RedactProperties {
		e.Properties = c.secrets.clean(e.Properties)
	}
}

// Ping sends an empty batch to learn whether Klime is there and the write key
// is good. A failure is a [DeliveryError]. It takes at most Config.Timeout. Of a nil
// client it is nil: that New has failed is told by its error.
func (c *Client) Ping(ctx context.Context) error {
	if c == nil {
		return nil
	}
	return publicError(c.delivery.Ping(toKlime(ctx)))
}

// Flush sends what is queued without waiting for more, and returns when all
// that was accepted before the call is sent, refused or dropped, what is in a
// Spool and what a [Client.TrackSync] is sending included. It returns early when
// ctx (or, if that has no deadline, Config.ShutdownTimeout) ends, or with the [DeliveryError] that has halted sending.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	unfinished := c.rollUps.flush(ctx)
	return publicError(cmp.Or(c.delivery.Flush(ctx), unfinished))
}

// Shutdown stops accepting events, delivers what is queued and ends the
// client. Call it after the server's own shutdown, so that the last requests
// are recorded. When ctx (or, if that has no deadline, Config.ShutdownTimeout)
// ends first, what is left goes to Config.Spool, and is sent by the next process;
// without one (or where that fails) the error says how many events were not
// delivered. A [Client.TrackSync] on its way has as long, and what becomes of it
// its caller alone is told. Whatever was to be waited for (a backoff, Retry-After, the next probe
// of a halt), an attempt is made at once, or as soon as a request that hangs leaves
// room for it (see Config.Senders). What [RollUp] has counted is queued first; a
// BeforeSend that does not return holds that up for as long as ctx. A further call
// returns the same.
func (c *Client) Shutdown(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	c.rules.tellUnused(c)
	err := c.delivery.Shutdown(ctx)
	c.hangUp()
	c.metrics.unregister(c)
	return publicError(err)
}

func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = orBackground(ctx)
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.ShutdownTimeout)
}

// orBackground makes up for a missing context: analytics must not panic for it.
func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}
