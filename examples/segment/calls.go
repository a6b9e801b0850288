package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	analytics "gopkg.in/segmentio/analytics-go.v3"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// What the app told Segment before it moved, call by call.

func newSegment(key string, cfg analytics.Config) (analytics.Client, error) { //nolint:ireturn // its client is an interface
	cfg.Interval = 5 * time.Second
	client, err := analytics.NewWithConfig(key, cfg)
	return client, err
}

func segmentSignIn(segment analytics.Client) error {
	return errors.Join(
		segment.Enqueue(analytics.Identify{
			UserId: "user_123",
			Traits: analytics.NewTraits().SetEmail("jane@acme.com").SetName("Jane"),
		}),
		segment.Enqueue(analytics.Group{
			UserId:  "user_123",
			GroupId: "org_abc",
			Traits:  analytics.NewTraits().SetName("Acme Inc").Set("plan", "pro"),
		}),
	)
}

func segmentTrack(segment analytics.Client) error {
	return segment.Enqueue(analytics.Track{
		UserId:     "user_123",
		Event:      "Report Generated",
		Properties: analytics.NewProperties().Set("reportType", "revenue"),
		Context:    &analytics.Context{Extra: map[string]any{"groupId": "org_abc"}},
	})
}

func segmentClose(segment analytics.Client) error {
	return segment.Close()
}

// What it tells Klime, call by call.

func newKlime(cfg klime.Config) (*klime.Client, error) {
	cfg.FlushInterval = 2 * time.Second
	client, err := klime.New(cfg)
	return client, err
}

func klimeSignIn(ctx context.Context) {
	klime.Link(ctx, klime.User{ID: "user_123", Traits: klime.Traits{"email": "jane@acme.com", "name": "Jane"}},
		klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc", "plan": "pro"}})
}

func klimeTrack(ctx context.Context) {
	klime.Track(ctx, "Report Generated", klime.Properties{"reportType": "revenue"})
}

func klimeTrackOutside(ctx context.Context, client *klime.Client) error {
	return client.Track(ctx, "Report Generated", klime.Properties{"reportType": "revenue"},
		klime.ForUser("user_123"), klime.InGroup("org_abc"))
}

func klimeShutdown(ctx context.Context, client *klime.Client) error {
	return client.Shutdown(ctx)
}

// handler is the app with the middleware, which replaces Page and Screen calls.
func handler(client *klime.Client, mux *http.ServeMux) http.Handler {
	return nethttp.Middleware(client, nethttp.Mux(mux))(mux)
}
