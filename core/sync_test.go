package klime_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// bubble runs a test with a client of a Recorder, in a bubble of its own time.
func bubble(t *testing.T, change func(*klime.Config), test func(*testing.T, *klimetest.Recorder, *klime.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		recorder := klimetest.NewRecorder()
		config := recorder.Config()
		if change != nil {
			change(&config)
		}
		client, err := klime.New(config)
		if err != nil {
			t.Fatal(err)
		}
		test(t, recorder, client)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = client.Shutdown(ctx) // in a bubble, a goroutine that is left fails the test
		checkSum(t, client)
	})
}

// checkSum fails unless every accepted event is accounted for.
func checkSum(t *testing.T, c *klime.Client) {
	t.Helper()
	s := c.Stats()
	sum := s.Sent + s.Failed + uint64(s.Queued)
	for _, n := range s.Dropped {
		sum += n
	}
	if sum != s.Accepted {
		t.Errorf("accepted %d, but %d accounted for: %+v", s.Accepted, sum, s)
	}
}

func trackJane(t *testing.T, c *klime.Client, n int) {
	t.Helper()
	for i := range n {
		if err := c.Track(t.Context(), "Report Generated", klime.Properties{"n": i}, klime.ForUser("jane")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSyncForms(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		ctx := t.Context()
		begin := time.Now()
		for name, call := range map[string]func() (klime.BatchResult, error){
			"TrackSync":    func() (klime.BatchResult, error) { return c.TrackSync(ctx, "Done", nil, klime.ForUser("jane")) },
			"IdentifySync": func() (klime.BatchResult, error) { return c.IdentifySync(ctx, "jane", klime.Traits{"name": "Jane"}) },
			"GroupSync":    func() (klime.BatchResult, error) { return c.GroupSync(ctx, "acme", nil, klime.ForUser("jane")) },
		} {
			if result, err := call(); err != nil || result.Accepted != 1 || result.Failed != 0 {
				t.Errorf("%s: %+v, %v", name, result, err)
			}
		}
		if n := len(recorder.Events()); n != 3 || time.Since(begin) != 0 {
			t.Errorf("%d events after %v", n, time.Since(begin))
		}
		if _, err := c.TrackSync(ctx, "Done", nil); !errors.Is(err, klime.ErrMissingIdentity) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestSyncFailures(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		recorder.Fail(klimetest.Status(503), klimetest.Reject(0))
		_, err := c.TrackSync(t.Context(), "Done", nil, klime.ForUser("jane"))
		var failure *klime.DeliveryError
		if !errors.As(err, &failure) || failure.StatusCode != 503 || failure.Attempts != 1 || !failure.Temporary() {
			t.Errorf("503: %v", err)
		}
		result, err := c.TrackSync(t.Context(), "Done", nil, klime.ForUser("jane"))
		if !errors.As(err, &failure) || result.Failed != 1 || len(result.Errors) != 1 ||
			result.Errors[0].Event.UserID != "jane" || result.Errors[0].Code == "" {
			t.Errorf("rejected: %+v, %v", result, err)
		}
		if n := len(recorder.Events()); n != 0 {
			t.Errorf("%d events, and the failed ones are not tried again", n)
		}
		if s := c.Stats(); s.Failed != 2 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// A call returns nil only if Klime has accepted the event, whether or not it says why not.
func TestSyncOfWhatIsNotAccepted(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"status":"ok","accepted":0,"failed":1}`,
		`{"status":"ok","accepted":0,"failed":1,"errors":[{"message":"no such event"}]}`,
	} {
		change := func(cfg *klime.Config) { cfg.HTTPClient = &http.Client{Transport: says(answer)} }
		bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
			result, err := c.TrackSync(t.Context(), "Done", nil, klime.ForUser("jane"))
			var failure *klime.DeliveryError
			if !errors.As(err, &failure) || result.Accepted != 0 || len(result.Errors) != 1 || result.Errors[0].Event.UserID != "jane" {
				t.Errorf("%s: %+v, %v", answer, result, err)
			}
			if s := c.Stats(); s.Sent != 0 || s.Failed != 1 {
				t.Errorf("%s: stats: %+v", answer, s)
			}
		})
	}
}

// says is an answer to all requests.
type says string

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(s)))}, nil
}

func TestSyncOfANilClient(t *testing.T) {
	t.Parallel()
	var c *klime.Client
	for _, call := range []func() (klime.BatchResult, error){
		func() (klime.BatchResult, error) { return c.TrackSync(t.Context(), "", nil) },
		func() (klime.BatchResult, error) { return c.IdentifySync(t.Context(), "", nil) },
		func() (klime.BatchResult, error) { return c.GroupSync(t.Context(), "", nil) },
	} {
		if result, err := call(); err != nil || result.Accepted != 0 {
			t.Errorf("%+v, %v", result, err)
		}
	}
}

// Shutdown leaves TrackSync its time, and then the caller alone is told.
func TestSyncDuringShutdown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		time time.Duration // that Shutdown has
		sent uint64
	}{
		{"in time", time.Second, 1},
		{"too late", 100 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var told atomic.Int64
			change := func(cfg *klime.Config) {
				cfg.HTTPClient = &http.Client{Transport: lateAnswer{cfg.HTTPClient.Transport, 300 * time.Millisecond}}
				cfg.OnError = func(error, []klime.Event) { told.Add(1) }
			}
			bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
				sent := make(chan error, 1)
				go func() {
					_, err := c.TrackSync(t.Context(), "Done", nil, klime.ForUser("jane"))
					sent <- err
				}()
				time.Sleep(100 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), tt.time)
				defer cancel()
				if err := c.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				var failure *klime.DeliveryError
				if err := <-sent; tt.sent == 1 && err != nil || tt.sent == 0 && !errors.As(err, &failure) {
					t.Errorf("TrackSync: %v", err)
				}
				if s := c.Stats(); s.Sent != tt.sent || s.Failed != 1-tt.sent || s.Queued != 0 || told.Load() != 0 {
					t.Errorf("OnError was called %d times; stats: %+v", told.Load(), s)
				}
			})
		})
	}
}

// What the app's callbacks send themselves holds up neither Flush nor Shutdown for
// longer than it takes.
func TestSyncInCallbacks(t *testing.T) {
	t.Parallel()
	const answer = 300 * time.Millisecond
	for _, tt := range []struct {
		name string
		set  func(cfg *klime.Config, trackSync func())
		wait time.Duration // of Flush
	}{
		// The batch is answered, Flush is over, and the callback is called.
		{"OnSuccess", func(cfg *klime.Config, trackSync func()) { cfg.OnSuccess = func(klime.BatchResult) { trackSync() } }, answer},
		{"OnError", func(cfg *klime.Config, trackSync func()) {
			cfg.MaxAttempts = 1
			cfg.OnError = func(error, []klime.Event) { trackSync() }
		}, answer},
		// The roll-up's event goes through it first, and then with a batch.
		{"BeforeSend", func(cfg *klime.Config, trackSync func()) {
			cfg.BeforeSend = func(e *klime.Event) bool {
				if e.Event != "From Callback" {
					trackSync()
				}
				return true
			}
		}, 2 * answer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c *klime.Client
			var calls atomic.Int64
			change := func(cfg *klime.Config) {
				cfg.HTTPClient = &http.Client{Transport: lateAnswer{cfg.HTTPClient.Transport, answer}}
				tt.set(cfg, func() {
					if _, err := c.TrackSync(context.Background(), "From Callback", nil, klime.ForUser("jane")); err != nil {
						t.Error(err)
					}
					calls.Add(1)
				})
			}
			bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, client *klime.Client) {
				c = client
				if tt.name == "OnError" {
					recorder.Fail(klimetest.Status(503))
				}
				tracker := klime.NewTracker(c, klime.RollUp(time.Hour))
				traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, "jane") })
				begin := time.Now()
				if err := c.Flush(t.Context()); err != nil || time.Since(begin) != tt.wait {
					t.Errorf("Flush: %v after %v", err, time.Since(begin))
				}
				synctest.Wait()
				err := c.Flush(t.Context())
				synctest.Wait() // the callback goes on after the TrackSync that Flush has waited for
				if err != nil || calls.Load() != 1 || len(recorder.Events()) == 0 {
					t.Errorf("Flush: %v, %d calls, %d events", err, calls.Load(), len(recorder.Events()))
				}
			})
		})
	}
}

// lateAnswer answers after a time.
type lateAnswer struct {
	http.RoundTripper

	after time.Duration
}

func (s lateAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.after):
		return s.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
