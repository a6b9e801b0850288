package adaptertest

import (
	"context"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// recording is an App that is being served, and whose requests are recorded.
type recording struct {
	t      *testing.T
	url    string
	stop   func()
	client *klime.Client
	server *klimetest.Server // the Klime to which the client sends
}

// record serves an app with a client.
func (a Adapter) record(t *testing.T, app App) *recording {
	t.Helper()
	server := klimetest.NewServer(t)
	app.Client = server.Client()
	app.ClientInside = app.Client
	url, stop := a.start(t, app)
	return &recording{t: t, url: url, stop: stop, client: app.Client, server: server}
}

// events stops the app, and returns the events that have arrived.
func (r *recording) events() []klime.Event {
	r.t.Helper()
	r.stop()
	return flushed(r.t, r.server, r.client)
}

// expect stops the app, and fails unless exactly these events have arrived, in this order:
// see describe.
func (r *recording) expect(want ...string) {
	r.t.Helper()
	r.stop()
	compare(r.t, r.server, r.client, want)
}

// flushed returns the events of a client that have arrived, once all have.
func flushed(tb testing.TB, server *klimetest.Server, client *klime.Client) []klime.Event {
	tb.Helper()
	if err := client.Flush(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatal(err)
	}
	if n := server.Rejected(); n != 0 {
		tb.Errorf("%d events rejected", n)
	}
	return server.Events()
}

// start serves an app. Its server stops before the test has ended, so that handlers may
// still report errors to it, and with a failure if that takes long.
func (a Adapter) start(tb testing.TB, app App) (url string, stop func()) {
	tb.Helper()
	app.HTTP2, app.nested = a.http2, a.nested
	url, stopped := a.Start(tb, app)
	stop = sync.OnceFunc(func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			stopped()
		}()
		select {
		case <-done:
		case <-time.After(patience()):
			missed.Store(true)
			tb.Error("the server does not stop: a handler has not returned")
		}
	})
	tb.Cleanup(stop)
	return url, stop
}
