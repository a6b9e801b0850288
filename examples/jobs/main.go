// The jobs example tells Klime about events without a user: a billing webhook changes
// companies' plans, and a job tracks what each company has used.
//
//	go run ./examples/jobs
//
// It needs no key: without KLIME_WRITE_KEY it sends to a local Klime that it runs itself.
// With one, your account gets the job's events, of companies that do not exist.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
)

// period is the time between two runs of the job. A real one runs once a night. This one
// shows that more runs on the same day make no difference.
const period = 2 * time.Second

func main() {
	// Run serves until Ctrl-C or SIGTERM. Then it calls server.Shutdown, and after
	// that client.Shutdown, and says whether all events were delivered.
	os.Exit(demo.Run(demo.Options{Name: "jobs", NoPages: true, Pace: time.Second}, newServer))
}

// newServer builds the program. Your own program makes its client with
// klime.New(klime.FromEnv()). Here cfg is the same, or points to the local Klime.
func newServer(app *demo.App, cfg klime.Config) (*server, *klime.Client, error) {
	client, err := klime.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/billing", billing(app, client))
	return start(mux, usage{app, client}), client, nil
}

// billing is the webhook of the billing service. There is no middleware around it, as a
// call by a machine is no customer's usage.
func billing(app *demo.App, client *klime.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, demo.MaxBody))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		org, err := app.ChangePlan(body, r.Header.Get(demo.BillingSignature))
		if err != nil {
			w.WriteHeader(demo.Status(err))
			return
		}
		// Only traits, and an event of the company itself: no user is named or linked.
		if err := client.Group(r.Context(), org.ID, klime.Traits{"name": org.Name, "plan": org.Plan}); err != nil {
			slog.Warn("plan not recorded", "error", err)
		}
		if err := client.Track(r.Context(), "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)); err != nil {
			slog.Warn("change of plan not recorded", "error", err)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// usage is the job.
type usage struct {
	app    *demo.App
	client *klime.Client
}

// run tracks what each company has used up to a day.
func (u usage) run(ctx context.Context, day time.Time) {
	for _, org := range u.app.Orgs() {
		if ctx.Err() != nil {
			return // the next run makes up for the rest
		}
		reports := len(u.app.Reports(org.ID))
		// Job, company and day make the message's ID: if the job runs again on the
		// same day, for instance after a crash, Klime counts the event once.
		id := fmt.Sprintf("usage-summarized/%s/%s", org.ID, day.UTC().Format(time.DateOnly))
		err := u.client.Track(ctx, "Usage Summarized", klime.Properties{"reports": reports}, klime.ForGroup(org.ID), klime.WithMessageID(id))
		if err != nil {
			slog.Warn("usage not recorded", "error", err)
		}
	}
}

// server serves webhooks, and runs the job at the same time.
type server struct {
	http    *http.Server
	stopJob context.CancelFunc
	job     sync.WaitGroup
}

// start runs the job at once, and then every period.
func start(handler http.Handler, job usage) *server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{http: &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, stopJob: cancel}
	job.run(ctx, time.Now())
	s.job.Go(func() {
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				job.run(ctx, now)
			}
		}
	})
	return s
}

// Serve serves until Shutdown.
func (s *server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Shutdown ends the job and then the requests. After it, nothing tracks events any more.
func (s *server) Shutdown(ctx context.Context) error {
	s.stopJob()
	s.job.Wait()
	return s.http.Shutdown(ctx)
}
