package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

const (
	maxAnswerBytes   = 1 << 20          // of an answer that is read for its content
	maxDrainBytes    = 256 << 10        // of an answer that is read to reuse its connection
	maxHeaderBytes   = 64 << 10         // of an answer's header
	writeBufferBytes = 64 << 10         // of an HTTP/1 connection: a batch of usual events is one write
	pingAfter        = 15 * time.Second // that an HTTP/2 connection has been silent
	pingTimeout      = 10 * time.Second // until it counts as dead
	renewInterval    = time.Second      // between two times that connections are left for their answers
	maxRepeats       = 3                // of a request, on other connections, without a wait
	maxMessage       = 300              // characters of an answer's message that are kept
	maxCode          = 64               // of an event's error code
)

// errRepeats is why a request was given up that the server kept turning away unread.
var errRepeats = errors.New("turned away too often")

const hiddenKey = "[write key]" // stands for it

// Transport sends one request. Its body is `{"batch":[…]}` with that many
// events. It must end soon after ctx does, and be safe for concurrent use.
type Transport interface {
	Send(ctx context.Context, body []byte, events int) (Result, error)
}

// Result is the answer to a request that succeeded.
type Result struct {
	Accepted, Failed int
	Rejected         []Rejection
}

// Rejection is one event that Klime named as invalid.
type Rejection struct {
	Index         int
	Code, Message string
}

// HTTP is the Transport to Klime's batch endpoint.
type HTTP struct {
	// HangUp closes the connections that are idle. It is nil where they are not ours
	// alone.
	HangUp func()

	client    *http.Client
	url       string
	key       string
	header    http.Header
	renewals  throttle.Throttle // of connections that are sick
	closeNext atomic.Bool       // the next request is to be the last of its connection
}

// NewHTTP returns a Transport that posts to url with that write key. It leaves
// client as it is and uses it, but never follows a redirect.
func NewHTTP(client *http.Client, url, key, userAgent string) *HTTP {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &HTTP{client: &own, url: url, key: key, header: http.Header{
		"Authorization": {"Bearer " + key},
		"Content-Type":  {"application/json"},
		"User-Agent":    {userAgent},
		// Not sent when empty, but net/http then repeats a request whose connection the
		// server had closed (docs of http.Transport): one that was idle for long, or
		// while we were frozen. Message IDs make that safe.
		"Idempotency-Key": {},
	}}
}

// DefaultClient returns an HTTP client for so many senders. It keeps one more
// connection, for what is sent past the queue, and opens others where there is more
// of that at once.
func DefaultClient(senders int) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    senders + 1,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		WriteBufferSize:        writeBufferBytes,
		DisableCompression:     true, // answers are short; a compressed one could be a bomb
		// One connection carries all requests: where it is dead and nobody says so, none would get through.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	return &http.Client{Transport: transport}
}

// Send posts body. A failure is a *SendError.
func (t *HTTP) Send(ctx context.Context, body []byte, events int) (Result, error) {
	result, failure := t.post(ctx, body, events)
	t.renewConnection(ctx, failure)
	if failure != nil {
		return Result{}, failure
	}
	return result, nil
}

// leave has the next request go over a new connection if this one's may be what is
// wrong: behind a balancer of connections, an open one stays with the server that it
// has, however that fares. One that is not ours to close is used once more. Where the
// whole of Klime is sick, a new connection now and then is all that it costs.
func (t *HTTP) renewConnection(ctx context.Context, failure *SendError) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return // nobody has waited for the answer
	}
	verdict := judge(failure)
	sick := verdict == halting || verdict == transient && failure.StatusCode != http.StatusTooManyRequests
	if sick && t.renewals.Allows(renewInterval, time.Now()) {
		t.closeNext.Store(true)
		t.hangUp()
	}
}

func (t *HTTP) hangUp() {
	if t.HangUp != nil {
		t.HangUp()
	}
}

// post makes the request.
func (t *HTTP) post(ctx context.Context, body []byte, events int) (Result, *SendError) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return Result{}, &SendError{Err: err}
	}
	req.Header = t.header.Clone()
	req.Close = t.closeNext.Swap(false) // after its answer
	repeats := 0
	req.GetBody = func() (io.ReadCloser, error) { // net/http repeats a request at once, and as often as a server asks for it
		if repeats++; repeats > maxRepeats {
			return nil, errRepeats
		}
		t.hangUp() // others may be as dead as the one that it had
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return Result{}, t.noAnswer(err)
	}
	if resp.StatusCode < http.StatusOK { // 101: ctx does not end the reading of what would follow
		_ = resp.Body.Close()
		return Result{}, &SendError{StatusCode: resp.StatusCode}
	}
	defer drain(resp.Body)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		if err != nil {
			return Result{}, t.noAnswer(fmt.Errorf("answer cut short: %w", err))
		}
		answered := t.parseAnswer(raw)
		return NewResult(events, answered.refused(events)), nil
	}
	answered := t.parseAnswer(raw)
	failure := &SendError{
		StatusCode: resp.StatusCode,
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		Message:    string(answered.Message),
		Rejected:   validRejections(answered.rejections(), events),
	}
	return Result{}, failure
}

// noAnswer is a failure without an answer that can be used. What net/http says of
// one that is no HTTP quotes it, and that may be anything, the key too.
func (t *HTTP) noAnswer(err error) *SendError {
	if shown := t.withoutKey(err.Error()); shown != err.Error() {
		err = errors.New(shown)
	}
	return &SendError{Err: err}
}

// withoutKey hides the key, also where it is quoted.
func (t *HTTP) withoutKey(s string) string {
	quoted := strconv.Quote(t.key)
	return strings.NewReplacer(t.key, hiddenKey, quoted[1:len(quoted)-1], hiddenKey).Replace(s)
}

// drain reads what is left of an answer, within bounds: only a connection
// whose answer was read to its end can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDrainBytes)
	_ = body.Close()
}
