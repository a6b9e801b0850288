package klimetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// faultTests: what a fault costs, with either kind of Klime.
func faultTests() map[string]struct {
	fault    klimetest.Fault
	events   int // that arrive in the end, of 3
	repeated int
	failed   uint64
} {
	type test = struct {
		fault    klimetest.Fault
		events   int
		repeated int
		failed   uint64
	}
	return map[string]test{
		"status":     {klimetest.Status(503), 3, 0, 0},
		"RetryAfter": {klimetest.RetryAfter(429, time.Second), 3, 0, 0},
		"Hang":       {klimetest.Hang(), 3, 0, 0},
		"Cut":        {klimetest.Cut(), 3, 3, 0},
		"Reject":     {klimetest.Reject(1), 2, 0, 1},
		"bad batch":  {klimetest.Status(400), 3, 0, 0}, // sent again in halves
	}
}

func TestServerFaults(t *testing.T) {
	t.Parallel()
	for name, test := range faultTests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			server.Fail(test.fault)
			config := server.Config()
			config.RetryDelay, config.Timeout = time.Millisecond, 100*time.Millisecond
			stats := trackThree(t, config)
			if n := len(server.Events()); n != test.events || server.Repeated() != test.repeated || stats.Failed != test.failed {
				t.Errorf("%d events, %d repeated, %d failed; want %+v", n, server.Repeated(), stats.Failed, test)
			}
		})
	}
}

// With what Config says, a client is through some faults long before Wait gives up.
func TestServerFaultsPassSoon(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	server.Fail(klimetest.Status(503), klimetest.Status(503), klimetest.Status(503), klimetest.Hang())
	if err := server.Client().Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
		t.Fatal(err)
	}
	if n := len(server.Wait(1)); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestRecorderFaults(t *testing.T) {
	t.Parallel()
	for name, test := range faultTests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				recorder := klimetest.NewRecorder()
				recorder.Fail(test.fault)
				stats := trackThree(t, recorder.Config())
				if n := len(recorder.Events()); n != test.events || recorder.Repeated() != test.repeated || stats.Failed != test.failed {
					t.Errorf("%d events, %d repeated, %d failed; want %+v", n, recorder.Repeated(), stats.Failed, test)
				}
			})
		})
	}
}

// trackThree tracks three events and shuts down.
func trackThree(t *testing.T, config klime.Config) klime.Stats {
	t.Helper()
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	return client.Stats()
}

// Faults are met in order, one a request.
func TestFaultsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recorder := klimetest.NewRecorder()
		recorder.Fail(klimetest.Status(500), klimetest.RetryAfter(503, time.Hour), klimetest.Cut())
		client, err := klime.New(recorder.Config())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := client.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		// An hour is more than a client waits: it takes five minutes.
		if took := time.Since(begin); took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("delivered after %v", took)
		}
		if recorder.Repeated() != 1 {
			t.Errorf("%d repeated", recorder.Repeated())
		}
		if err := client.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}
