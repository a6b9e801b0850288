package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/demotest"
	"github.com/klimeapp/klime-go/examples/internal/web"
)

func TestExample(t *testing.T) { demotest.Run(t, newServer) }

// With RollUp the sample traffic makes fewer events, and no request is lost.
func TestRollUp(t *testing.T) {
	d, stop := demotest.Start(t, demo.Options{Pace: 100 * time.Microsecond}, rolledUp)
	const enough = 200 // single events: some rounds of the traffic
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.Klime.Wait(ctx, enough); err != nil {
		t.Fatal(err)
	}
	stop()
	events, calls, rollUps := len(d.Klime.Events()), 0, 0
	for _, e := range d.Klime.Events() {
		switch e.Event {
		case "API Called":
			t.Errorf("an API call by itself: %v", e.Properties)
		case "API Usage Recorded":
			rollUps++
			count, _ := e.Properties["count"].(float64)
			calls += int(count)
		}
	}
	t.Logf("%d events, of which %d stand for %d API calls: without RollUp it were %d", events, rollUps, calls, events-rollUps+calls)
	if rollUps == 0 || calls <= rollUps {
		t.Errorf("%d roll-ups for %d API calls", rollUps, calls)
	}
}

func rolledUp(app *demo.App, cfg klime.Config) (*http.Server, *klime.Client, error) {
	client, err := klime.New(cfg)
	return &http.Server{Handler: newHandler(web.New(app), client, klime.RollUp(time.Hour)), ReadHeaderTimeout: time.Second}, client, err
}

func TestMain(m *testing.M) { demotest.Main(m, main) }

func TestTerminate(t *testing.T) { demotest.Terminate(t) }
