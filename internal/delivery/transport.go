package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

const (
	maxAnswerBytes   = 1 << 20          // how much of an answer is read for its content
	maxDrainBytes    = 256 << 10        // how much more is read so that the connection can be reused
	maxHeaderBytes   = 64 << 10         // of an answer's header
	writeBufferBytes = 64 << 10         // of an HTTP/1 connection: a batch of usual events is one write
	pingAfter        = 15 * time.Second // after which a silent HTTP/2 connection is pinged
	pingTimeout      = 10 * time.Second // for the answer to a ping, before the connection counts as dead
	renewInterval    = time.Second      // between two failures after which connections are given up
	maxRepeats       = 3                // how often net/http may repeat a request at once, on other connections
)

// errRepeats is the error of a request that the server kept turning away unread.
var errRepeats = errors.New("turned away too often")

// errWriteKey is the error of an answer of 401.
var errWriteKey = errors.New("the write key was not accepted")

// errWebPage is the error of an answer that is no Klime's, whatever its status.
var errWebPage = errors.New("answered with a web page")

// Transport sends one request. Send must return soon after ctx ends, and be safe for
// concurrent use. It may keep the bodies of the items, but not batch.
type Transport interface {
	Send(ctx context.Context, batch Batch) (Result, error)
}

// Result is the answer to a request that succeeded.
type Result struct {
	Accepted, Failed int
	Rejected         []Rejection
	Unnamed          int // how many of Accepted the answer counts as failed, without naming them
}

// Rejection is an event of a request that Klime named as invalid.
type Rejection struct {
	Index         int
	Code, Message string
}

// HTTP is the Transport to Klime's batch endpoint.
type HTTP struct {
	// HangUp closes idle connections. By default it does nothing, as others may use them too.
	HangUp func()

	client    *http.Client
	url       string
	key       secret
	header    http.Header
	renewals  throttle.Throttle // of connections that may be the cause of a failure
	closeNext atomic.Bool       // close the connection of the next request after its answer
	bodies    bodies
	traces    bool // client is net/http's own, and tells when it has read a body
}

// NewHTTP returns a Transport that posts to url with this write key. It does not
// change client, and never follows a redirect.
func NewHTTP(client *http.Client, url, key, userAgent string) *HTTP {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, traces := client.Transport.(*http.Transport)
	return &HTTP{HangUp: func() {}, client: &own, url: url, key: secret(key), traces: traces, header: http.Header{
		"Authorization": {"Bearer " + key},
		"Content-Type":  {"application/json"},
		"User-Agent":    {userAgent},
		// Without a value it is not sent, but tells net/http to repeat a request if the
		// server has closed the connection (see http.Transport): one that was idle for
		// long, or while our process was frozen. Message IDs make that safe.
		"Idempotency-Key": {},
	}}
}

// DefaultClient returns an HTTP client for this many senders. It keeps a connection
// open for each, and one for requests past the queue. If more of these are made at
// once, it opens others for them.
func DefaultClient(senders int) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    senders + 1,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		WriteBufferSize:        writeBufferBytes,
		DisableCompression:     true, // answers are short
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			return fmt.Errorf("the proxy %s answers %d %s", proxy.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
		},
		// One connection carries all requests: if it were dead and nobody noticed, none would get through.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	return &http.Client{Transport: transport}
}

// Send posts batch. Its error is a *SendError.
func (t *HTTP) Send(ctx context.Context, batch Batch) (Result, error) {
	result, failure := t.post(ctx, batch)
	t.renewConnection(ctx, failure)
	if failure != nil {
		return Result{}, failure
	}
	return result, nil
}

// renewConnection has the next request go over a new connection if this one may be
// the cause of the failure: behind a load balancer that distributes connections, an
// open one stays with its server, however sick that is. If the connections are not
// ours to close, the next request still uses an old one and closes it. If all of
// Klime is down, this costs one new connection now and then.
func (t *HTTP) renewConnection(ctx context.Context, failure *SendError) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the caller gave up: this says nothing about the connection
	}
	verdict := judge(failure)
	sick := verdict == halting || verdict == transient && failure.StatusCode != http.StatusTooManyRequests
	if sick && t.renewals.Allows(renewInterval, time.Now()) {
		t.closeNext.Store(true)
		t.HangUp()
	}
}

func (t *HTTP) post(ctx context.Context, batch Batch) (Result, *SendError) {
	body := batch.AppendBody(t.bodies.get())
	var wasRead atomic.Bool // to its end: an answer may arrive before that
	var repeats atomic.Int32
	if t.traces {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteRequest: func(w httptrace.WroteRequestInfo) { wasRead.Store(w.Err == nil) },
		})
		defer func() {
			if wasRead.Load() && repeats.CompareAndSwap(0, maxRepeats) { // from now on it cannot be asked for
				t.bodies.put(body)
			}
		}()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return Result{}, &SendError{Err: err}
	}
	req.Header = t.header.Clone()
	req.Close = t.closeNext.Swap(false)           // closes the connection after the answer
	req.GetBody = func() (io.ReadCloser, error) { // net/http repeats a request at once, as often as a server asks for it
		if repeats.Add(1) > maxRepeats {
			return nil, errRepeats
		}
		t.HangUp() // other connections may be as dead as the last one
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return Result{}, t.noAnswer(ctx, err)
	}
	if resp.StatusCode < http.StatusOK { // 101: ctx would not end the reading of what follows
		_ = resp.Body.Close()
		return Result{}, &SendError{StatusCode: resp.StatusCode}
	}
	defer drain(resp.Body)
	return t.read(ctx, resp, len(batch))
}

// read reads the answer to a request with so many events.
func (t *HTTP) read(ctx context.Context, resp *http.Response, events int) (Result, *SendError) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	raw = unpack(raw)
	if resp.StatusCode < http.StatusMultipleChoices {
		if err != nil {
			return Result{}, t.noAnswer(ctx, fmt.Errorf("answer cut short: %w", err))
		}
		if isWebPage(raw) {
			return Result{}, &SendError{StatusCode: resp.StatusCode,
				Err: fmt.Errorf("%w: no Klime at %s, or a proxy or captive portal in between", errWebPage, t.url)}
		}
		answered := t.parseAnswer(raw)
		result := NewResult(events, answered.refused(events))
		result.Unnamed = max(0, min(int(answered.Failed), events)-result.Failed)
		return result, nil
	}
	answered := t.parseAnswer(raw)
	failure := &SendError{
		StatusCode: resp.StatusCode,
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), dateOf(resp.Header)),
		Message:    string(answered.Message),
		Rejected:   validRejections(answered.rejections(), events),
	}
	switch {
	case failure.isMisdirected():
		failure.Err = fmt.Errorf("no Klime at %s", t.url)
	case failure.StatusCode == http.StatusUnauthorized:
		failure.Err = errWriteKey
	}
	return Result{}, failure
}

// noAnswer is the failure of a request without a usable answer.
func (t *HTTP) noAnswer(ctx context.Context, err error) *SendError {
	err = t.key.hideInError(err)
	if end := ctx.Err(); end != nil && !errors.Is(err, end) { // net/http returns the cause alone
		err = fmt.Errorf("%w: %w", end, err)
	}
	return &SendError{Err: err}
}

// drain reads the rest of an answer, within bounds: a connection can be reused only
// if the answer was read to its end.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDrainBytes)
	_ = body.Close()
}
