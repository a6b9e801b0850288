package client

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthog/posthog-go"
	segment "gopkg.in/segmentio/analytics-go.v3"

	klime "github.com/klimeapp/klime-go/core"
)

// The event that all clients send.
const (
	event    = "Report Generated"
	user     = "user_123"
	customer = "org_456"
	key      = "key"
	batch    = 100
	// marker appears once in each event, whatever client encodes it.
	marker = `"reportType"`
)

// properties are the event's six properties, of the usual types. As it is not inlined,
// the map is always allocated on the heap.
//
//go:noinline
func properties() map[string]any {
	return map[string]any{
		"reportType": "revenue",
		"format":     "pdf",
		"rows":       1234,
		"durationMs": 87.5,
		"scheduled":  true,
		"team":       "finance",
	}
}

// sender is a client under test.
type sender struct {
	track func()
	flush func() // waits until all events are delivered
	close func()
}

// senders makes a client that sends batches of 100 to an endpoint, through a transport,
// or its own if that is nil.
type senders struct {
	name string
	make func(testing.TB, string, http.RoundTripper) sender
}

func allSenders() []senders {
	return []senders{{"klime", klimeSender}, {"segment", segmentSender}, {"posthog", posthogSender}, {"bare", bareSender}}
}

// klimeSender waits if the queue is full, as the others do. By default it would drop.
func klimeSender(tb testing.TB, endpoint string, transport http.RoundTripper) sender {
	tb.Helper()
	config := klime.Config{WriteKey: key, Endpoint: endpoint, BatchSize: batch, Overflow: klime.Block}
	if transport != nil {
		config.HTTPClient = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	}
	client, err := klime.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.Background()
	who := []klime.EventOption{klime.ForUser(user), klime.InGroup(customer)}
	return sender{
		track: func() {
			if err := client.Track(ctx, event, properties(), who...); err != nil {
				tb.Error(err)
			}
		},
		flush: func() {
			if err := client.Flush(ctx); err != nil {
				tb.Error(err)
			}
		},
		close: func() {
			if err := client.Shutdown(ctx); err != nil {
				tb.Error(err)
			}
		},
	}
}

// progress counts the events given to a client and those delivered, for clients without
// flush. These are given whole batches.
type progress struct {
	given, done atomic.Int64
	moved       chan struct{}
}

func newProgress() progress { return progress{moved: make(chan struct{}, 1)} }

func (p *progress) deliver(events int) {
	p.done.Add(int64(events))
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

func (p *progress) wait(tb testing.TB) {
	tb.Helper()
	for late := time.After(time.Minute); p.done.Load() < p.given.Load(); {
		select {
		case <-p.moved:
		case <-late:
			tb.Error("not delivered within a minute")
			return
		}
	}
}

// quiet is a logger for clients that would write to standard error.
type quiet struct{}

func (quiet) Logf(string, ...any)   {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

type segmentProgress struct {
	progress

	tb testing.TB
}

func (p *segmentProgress) Success(segment.Message)              { p.deliver(1) }
func (p *segmentProgress) Failure(_ segment.Message, err error) { p.tb.Error(err) }

func segmentSender(tb testing.TB, endpoint string, transport http.RoundTripper) sender {
	tb.Helper()
	p := &segmentProgress{newProgress(), tb}
	client, err := segment.NewWithConfig(key, segment.Config{
		Endpoint: endpoint, Transport: transport, BatchSize: batch, Interval: time.Hour, Logger: quiet{}, Callback: p,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return sender{
		track: func() {
			p.given.Add(1)
			if err := client.Enqueue(segment.Track{UserId: user, Event: event, Properties: withGroup(properties())}); err != nil {
				tb.Error(err)
			}
		},
		flush: func() { p.wait(tb) },
		close: func() { _ = client.Close() },
	}
}

// withGroup adds the customer as a property. Segment's own place for it is Context.Extra,
// with which its client takes twice as long.
func withGroup(p map[string]any) map[string]any {
	p["groupId"] = customer
	return p
}

type posthogProgress struct {
	progress

	tb testing.TB
}

func (p *posthogProgress) Success(posthog.APIMessage)              { p.deliver(1) }
func (p *posthogProgress) Failure(_ posthog.APIMessage, err error) { p.tb.Error(err) }

func posthogSender(tb testing.TB, endpoint string, transport http.RoundTripper) sender {
	tb.Helper()
	p := &posthogProgress{newProgress(), tb}
	client, err := posthog.NewWithConfig(key, posthog.Config{
		Endpoint: endpoint, Transport: transport, BatchSize: batch, Interval: time.Hour, Logger: quiet{}, Callback: p,
	})
	if err != nil {
		tb.Fatal(err)
	}
	groups := posthog.NewGroups().Set("company", customer)
	return sender{
		track: func() {
			p.given.Add(1)
			if err := client.Enqueue(posthog.Capture{DistinctId: user, Event: event, Properties: properties(), Groups: groups}); err != nil {
				tb.Error(err)
			}
		},
		flush: func() { p.wait(tb) },
		close: func() { _ = client.Close() },
	}
}

// bareSender is the yardstick: see [bare].
func bareSender(tb testing.TB, endpoint string, transport http.RoundTripper) sender {
	tb.Helper()
	client := newBare(tb, endpoint, transport)
	return sender{track: client.track, flush: func() { client.wait(tb) }, close: client.close}
}

// bareEvent is an event for encoding/json.
type bareEvent struct {
	Type       string         `json:"type"`
	MessageID  string         `json:"messageId"`
	Event      string         `json:"event"`
	UserID     string         `json:"userId"`
	GroupID    string         `json:"groupId"`
	Timestamp  time.Time      `json:"timestamp"`
	Properties map[string]any `json:"properties"`
	Context    bareContext    `json:"context"`
}

type bareContext struct {
	Library bareLibrary `json:"library"`
}

type bareLibrary struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (b *bare) encode() []byte {
	body, err := json.Marshal(&bareEvent{
		Type: "track", MessageID: newID(), Event: event, UserID: user, GroupID: customer, Timestamp: time.Now().UTC(),
		Properties: properties(), Context: bareContext{bareLibrary{"bare", "1.0.0"}},
	})
	if err != nil {
		b.tb.Error(err)
	}
	return body
}
