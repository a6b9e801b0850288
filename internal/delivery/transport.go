package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxAnswerBytes = 1 << 20   // of an answer that is read for its content
	maxDrainBytes  = 256 << 10 // of an answer that is read to reuse its connection
	maxHeaderBytes = 64 << 10  // of an answer's header
	maxMessage     = 300       // characters of an answer's message that are kept
)

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
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// HTTP is the Transport to Klime's batch endpoint.
type HTTP struct {
	client *http.Client
	url    string
	key    string
	header http.Header
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
	}}
}

// DefaultClient returns an HTTP client that keeps at most conns connections.
func DefaultClient(conns int) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    conns,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // answers are short; a compressed one could be a bomb
	}
	return &http.Client{Transport: transport}
}

// Send posts body. A failure is a *SendError.
func (t *HTTP) Send(ctx context.Context, body []byte, events int) (Result, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return Result{}, &SendError{Err: err}
	}
	req.Header = t.header.Clone()
	resp, err := t.client.Do(req) //nolint:bodyclose // drain closes it
	if err != nil {
		return Result{}, &SendError{Err: err}
	}
	defer drain(resp.Body)
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		if err != nil {
			return Result{}, &SendError{Err: fmt.Errorf("answer cut short: %w", err)}
		}
		return parseResult(answer, events), nil
	}
	failure := &SendError{
		StatusCode: resp.StatusCode,
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	failure.Message, failure.Rejected = parseFailure(answer, events)
	failure.Message = strings.ReplaceAll(failure.Message, t.key, "[write key]") // a server may quote it
	return Result{}, failure
}

// drain reads what is left of an answer, within bounds: only a connection
// whose answer was read to its end can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDrainBytes)
	_ = body.Close()
}

// answer is Klime's answer to a batch.
type answer struct {
	Message  string      `json:"message"`
	Error    string      `json:"error"`
	Accepted *int        `json:"accepted"`
	Failed   int         `json:"failed"`
	Errors   []Rejection `json:"errors"`
}

// parseResult reads the answer of a success. One that is not Klime's JSON
// counts as all accepted.
func parseResult(body []byte, events int) Result {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || a.Accepted == nil {
		return Result{Accepted: events}
	}
	return NewResult(events, a.Errors)
}

// NewResult is the answer that accepts all of so many events but those named.
func NewResult(events int, rejected []Rejection) Result {
	rejected = valid(rejected, events)
	return Result{Accepted: events - len(rejected), Failed: len(rejected), Rejected: rejected}
}

// parseFailure reads the answer of a failure for what it says and names.
func parseFailure(body []byte, events int) (message string, rejected []Rejection) {
	var a answer
	err := json.Unmarshal(body, &a)
	var mistyped *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mistyped) {
		return "", nil // a proxy's page, most likely: its status says enough
	}
	message = a.Message
	if message == "" {
		message = a.Error
	}
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage]) + "…"
	}
	return message, valid(a.Errors, events)
}

// valid keeps the rejections that name an event of the request, each once.
func valid(rejections []Rejection, events int) []Rejection {
	if len(rejections) == 0 {
		return nil
	}
	var kept []Rejection
	seen := make(map[int]bool, len(rejections))
	for _, r := range rejections {
		if r.Index >= 0 && r.Index < events && !seen[r.Index] {
			seen[r.Index] = true
			kept = append(kept, r)
		}
	}
	return kept
}
