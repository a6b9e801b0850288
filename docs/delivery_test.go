package docs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// The page's OnError logs a refusal, a halt and what is left at Shutdown, each once, and no
// line for each event that a full queue drops.
func TestOnErrorDoesNotFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		slog := slog.New(slog.NewTextHandler(&log, nil)) // in place of the default logger
		recorder := klimetest.NewRecorder()
		cfg := recorder.Config()
		cfg.QueueSize = 10
		cfg.OnError = func(err error, events []klime.Event) {
			if errors.Is(err, klime.ErrQueueFull) || errors.Is(err, klime.ErrSpoolFull) {
				return // about one call for each event
			}
			slog.Error("klime", "error", err, "events", len(events)) // without events, sending is halted or the spool lost some
		}
		client, err := klime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		logged := func(n int) {
			t.Helper()
			synctest.Wait()
			if lines := strings.Count(log.String(), "\n"); lines != n {
				t.Errorf("%d lines instead of %d:\n%s", lines, n, &log)
			}
		}
		track := func(events int) {
			for range events {
				if err := client.Track(context.Background(), "Report Generated", nil, klime.ForUser("user-7")); err != nil {
					t.Error(err)
				}
				synctest.Wait() // OnError is told of each drop by itself
			}
			time.Sleep(3 * time.Second) // longer than FlushInterval
		}

		fail := func(status int) {
			recorder.Heal()
			recorder.Fail(slices.Repeat([]klimetest.Fault{klimetest.Status(status)}, 1000)...)
		}

		recorder.Fail(klimetest.Reject(0))
		track(2)
		logged(1)

		fail(http.StatusServiceUnavailable)
		track(100)
		logged(1)

		fail(http.StatusUnauthorized)
		time.Sleep(time.Minute)
		track(100)
		logged(2)

		if client.Shutdown(context.Background()) == nil {
			t.Error("nothing was left at Shutdown")
		}
		logged(3)
		if dropped := client.Stats().Dropped[klime.DropQueueFull]; dropped < 150 {
			t.Errorf("only %d events dropped", dropped)
		}
	})
}
