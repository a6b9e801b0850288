package klime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// A nil client does nothing and fails at nothing.
func TestNilClient(t *testing.T) {
	t.Parallel()
	var client *klime.Client
	ctx := t.Context()
	for name, err := range map[string]error{
		"Track":    client.Track(ctx, "", nil, klime.ForUser("")),
		"Identify": client.Identify(ctx, "", nil),
		"Group":    client.Group(ctx, "", nil),
		"Link":     client.Link(ctx, klime.User{}),
		"Ping":     client.Ping(ctx),
		"Flush":    client.Flush(ctx),
		"Shutdown": client.Shutdown(ctx),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := client.Stats(); got.Accepted != 0 || got.Dropped != nil {
		t.Errorf("Stats %+v", got)
	}
}

// In user mode there are no groups: to name one is refused, to be in one is
// left out.
func TestUserMode(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, userMode)
	ctx := t.Context()
	if err := client.Group(ctx, "g1", named("Acme")); !errors.Is(err, klime.ErrUserMode) {
		t.Errorf("Group: error %v, want ErrUserMode", err)
	}
	if err := client.Track(ctx, "Done", nil, klime.ForGroup("g1")); !errors.Is(err, klime.ErrUserMode) {
		t.Errorf("Track of a group: error %v, want ErrUserMode", err)
	}
	if err := client.Track(ctx, "Done", nil); !errors.Is(err, klime.ErrMissingIdentity) {
		t.Errorf("Track of nobody: error %v, want ErrMissingIdentity", err)
	}
	if err := client.Track(ctx, "Done", nil, klime.ForUser("u1"), klime.InGroup("g1")); err != nil {
		t.Error(err)
	}
	if err := client.Identify(ctx, "u1", named("Jane")); err != nil {
		t.Error(err)
	}
	events := wire.events(t, client)
	if got := summary(events); fmt.Sprint(got) != "[track u1/ identify u1/ Jane]" {
		t.Errorf("sent %q", got)
	}
}

// An event is queued also by a request that has ended.
func TestTrackWithEndedContext(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{
		client.Track(ctx, "Done", nil, klime.ForUser("u1")),
		client.Identify(ctx, "u1", nil),
		client.Group(ctx, "g1", nil),
		client.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if got := len(wire.events(t, client)); got != 4 {
		t.Errorf("%d events, want 4", got)
	}
}

func TestCallsWithoutContext(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	if err := client.Track(nil, "Done", nil, klime.ForUser("u1")); err != nil { //nolint:staticcheck // what an app may do
		t.Error(err)
	}
	if err := client.Link(nil, klime.User{ID: "u1"}, klime.Group{ID: "g1"}); err != nil { //nolint:staticcheck // likewise
		t.Error(err)
	}
	if got := len(wire.events(t, client)); got != 2 {
		t.Errorf("%d events, want 2", got)
	}
}

// An admin who edits another company must not become its member, nor its
// traits those of the admin.
func TestIdentifyAndGroupTakeNothingFromTheRequest(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	scope := klime.NewTracker(client).Begin(values("u3", "g3"))
	klime.SetUser(scope, "admin")
	klime.SetGroup(scope, "staff")
	if err := client.Identify(scope, "u1", named("Jane")); err != nil {
		t.Error(err)
	}
	if err := client.Group(scope, "g1", named("Acme")); err != nil {
		t.Error(err)
	}
	if err := client.Identify(scope, "", named("Jane")); !errors.Is(err, klime.ErrMissingUser) {
		t.Errorf("Identify of nobody: error %v, want ErrMissingUser", err)
	}
	if err := client.Group(scope, "", named("Acme")); !errors.Is(err, klime.ErrMissingGroup) {
		t.Errorf("Group of none: error %v, want ErrMissingGroup", err)
	}
	if got := summary(wire.events(t, client)); fmt.Sprint(got) != "[identify u1/ Jane group /g1 Acme]" {
		t.Errorf("sent %q", got)
	}
}

// What is wrong with an event is the call's own error, and nothing is counted
// as accepted.
func TestErrorsOfCalls(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	ctx := t.Context()
	large := klime.Properties{"p": strings.Repeat("x", 200*1024)}
	bad := klime.Properties{"p": make(chan int)}
	user := klime.ForUser("u1")
	for name, tt := range map[string]struct{ got, want error }{
		"name":              {client.Track(ctx, "", nil, user), klime.ErrMissingEvent},
		"identity":          {client.Track(ctx, "Done", nil), klime.ErrMissingIdentity},
		"large properties":  {client.Track(ctx, "Done", large, user), klime.ErrEventTooLarge},
		"large traits":      {client.Identify(ctx, "u1", klime.Traits(large)), klime.ErrEventTooLarge},
		"bad properties":    {client.Track(ctx, "Done", bad, user), klime.ErrNotEncodable},
		"bad traits":        {client.Group(ctx, "g1", klime.Traits(bad)), klime.ErrNotEncodable},
		"bad context":       {client.Track(ctx, "Done", nil, user, klime.WithContext("a", bad)), klime.ErrNotEncodable},
		"MarshalJSON panic": {client.Track(ctx, "Done", klime.Properties{"p": panicsWith{"x"}}, user), klime.ErrNotEncodable},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: error %v, want %v", name, tt.got, tt.want)
		}
	}
	if got := client.Stats(); got.Accepted != 0 || got.Queued != 0 {
		t.Errorf("Stats %+v", got)
	}
}

// After Shutdown nothing is accepted; to flush or shut down again is no error.
func TestAfterShutdown(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	ctx := t.Context()
	if err := client.Track(ctx, "Done", nil, klime.ForUser("u1")); err != nil {
		t.Fatal(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Track":    client.Track(ctx, "Done", nil, klime.ForUser("u1")),
		"Identify": client.Identify(ctx, "u1", nil),
		"Group":    client.Group(ctx, "g1", nil),
		"Link":     client.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}),
	} {
		if !errors.Is(err, klime.ErrClosed) {
			t.Errorf("%s: error %v, want ErrClosed", name, err)
		}
	}
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(nil) // late, and quiet
	wire.one(t, client)
	if err := client.Shutdown(ctx); err != nil {
		t.Errorf("again: %v", err)
	}
	if got := client.Stats(); got.Accepted != 1 || got.Sent != 1 || got.Invalid != 0 {
		t.Errorf("Stats %+v", got)
	}
}

// Shutdown that runs out of time says how many events are lost, and why.
func TestShutdownThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t, func(cfg *klime.Config) { cfg.ShutdownTimeout = 3 * time.Second })
		wire.answers(always(http.StatusServiceUnavailable, `{"message":"later"}`))
		for range 5 {
			trackDone(t, client, "u1")
		}
		start := time.Now()
		err := client.Shutdown(t.Context())
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want Config.ShutdownTimeout", took)
		}
		var delivery *klime.DeliveryError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &delivery) {
			t.Fatalf("error %v", err)
		}
		if delivery.StatusCode != http.StatusServiceUnavailable || !delivery.Temporary() || delivery.Message != "later" || delivery.Attempts < 1 {
			t.Errorf("%+v", delivery)
		}
		if !strings.HasPrefix(err.Error(), "klime: 5 events not delivered") {
			t.Errorf("error %v", err)
		}
		if got := client.Stats(); got.Dropped[klime.DropShutdown] != 5 || got.Queued != 0 || got.QueuedBytes != 0 {
			t.Errorf("Stats %+v", got)
		}
		if again := client.Shutdown(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("again: %v, want the same", again)
		}
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("200: %v", err)
	}
	for status, temporary := range map[int]bool{401: false, 302: false, 400: false, 429: true, 500: true, 503: true} {
		wire.answers(always(status, `{"message":"what Klime says"}`))
		err := client.Ping(t.Context())
		var delivery *klime.DeliveryError
		if !errors.As(err, &delivery) {
			t.Errorf("%d: error %v, want a DeliveryError", status, err)
			continue
		}
		if delivery.StatusCode != status || delivery.Temporary() != temporary || delivery.Attempts != 1 || delivery.Message != "what Klime says" {
			t.Errorf("%d: %+v, temporary %v", status, delivery, delivery.Temporary())
		}
		want := fmt.Sprintf("klime: status %d: what Klime says", status)
		switch status {
		case http.StatusFound:
			want = "klime: status 302: no Klime at https://i.klime.com/v1/batch: what Klime says"
		case http.StatusUnauthorized:
			want = "klime: status 401: the write key was not accepted: what Klime says"
		}
		if err.Error() != want || delivery.Error() != want {
			t.Errorf("%d: error %q, want %q", status, err, want)
		}
	}
	if got := client.Stats(); got.Accepted != 0 || got.Halted {
		t.Errorf("a ping counts as %+v", got)
	}
}

// No answer at all: the reason can be found in the error.
func TestPingWithoutAnswer(t *testing.T) {
	t.Parallel()
	down := errors.New("network is down")
	client, _ := newClient(t, func(cfg *klime.Config) {
		cfg.HTTPClient = &http.Client{Transport: failing{down}}
	})
	err := client.Ping(t.Context())
	var delivery *klime.DeliveryError
	if !errors.As(err, &delivery) || !errors.Is(err, down) || !errors.Is(delivery, down) {
		t.Fatalf("error %v", err)
	}
	if delivery.StatusCode != 0 || !delivery.Temporary() {
		t.Errorf("%+v", delivery)
	}
	if strings.Contains(err.Error(), "key") {
		t.Errorf("the error shows the key: %v", err)
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// Flush returns when what was tracked before has arrived, and with the error
// that halts all sending.
func TestFlush(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, func(cfg *klime.Config) { cfg.FlushInterval = time.Hour })
	if err := client.Flush(t.Context()); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	trackDone(t, client, "u1")
	wire.one(t, client)

	wire.answers(always(http.StatusUnauthorized, ""))
	trackDone(t, client, "u1")
	var delivery *klime.DeliveryError
	if err := client.Flush(t.Context()); !errors.As(err, &delivery) || delivery.StatusCode != http.StatusUnauthorized {
		t.Errorf("halted: error %v", err)
	}
	if got := client.Stats(); !got.Halted || got.Queued != 1 {
		t.Errorf("halted: Stats %+v, want the event kept", got)
	}
}

// At every moment each accepted event is in just one of the figures.
func TestStatsAddUp(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, func(cfg *klime.Config) {
		cfg.QueueSize, cfg.RetryDelay, cfg.FlushInterval = 30, time.Millisecond, time.Millisecond
	})
	var mu sync.Mutex
	requests := 0
	wire.answers(func(events int) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		switch requests++; requests % 4 {
		case 0:
			return http.StatusServiceUnavailable, ""
		case 1:
			return http.StatusOK, fmt.Sprintf(`{"accepted":%d,"failed":1,"errors":[{"index":0,"code":"x"}]}`, events-1)
		default:
			return http.StatusOK, ""
		}
	})
	addUp := func() {
		t.Helper()
		s := client.Stats()
		sum := s.Sent + s.Failed + uint64(s.Queued)
		for _, n := range s.Dropped {
			sum += n
		}
		if sum != s.Accepted {
			t.Errorf("accepted %d, but %d in all: %+v", s.Accepted, sum, s)
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 250 {
				switch i % 3 {
				case 0:
					_ = client.Track(t.Context(), "Done", nil, klime.ForUser("u1")) // ErrQueueFull counts too
				case 1:
					_ = client.Link(t.Context(), klime.User{ID: fmt.Sprint(i), Traits: named("x")})
				case 2:
					traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(nil)
				}
				addUp()
			}
		})
	}
	all.Wait()
	shutDown(t, client)
	addUp()
	if s := client.Stats(); s.Queued != 0 || s.QueuedBytes != 0 || s.Sent == 0 || s.Failed == 0 {
		t.Errorf("at the end: %+v", s)
	}
}

// All of it over a real connection to a Klime that checks what it gets.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	ctx := t.Context()
	if err := client.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 10, 0, 0, 123_000_000, time.UTC)
	if err := client.Track(ctx, "Report Generated", klime.Properties{"pages": 3}, klime.ForUser("u1"), klime.InGroup("g1"), klime.At(at)); err != nil {
		t.Fatal(err)
	}
	if err := client.Link(ctx, klime.User{ID: "u1", Traits: named("Jane")}, klime.Group{ID: "g1", Traits: named("Acme")}); err != nil {
		t.Fatal(err)
	}
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) { klime.SetGroup(ctx, "g1") })
	events := server.Wait(4)
	if len(events) != 4 {
		t.Fatalf("%d events, want 4", len(events))
	}
	first := events[0]
	if first.Type != klime.TrackEvent || first.Event != "Report Generated" || first.UserID != "u1" || first.GroupID != "g1" ||
		!first.Timestamp.Equal(at) || first.Properties["pages"] != 3.0 {
		t.Errorf("%+v", first)
	}
	if e := events[1]; e.Type != klime.IdentifyEvent || e.UserID != "u1" || e.Traits["name"] != "Jane" {
		t.Errorf("%+v", e)
	}
	if e := events[2]; e.Type != klime.GroupEvent || e.UserID != "u1" || e.GroupID != "g1" || e.Traits["name"] != "Acme" {
		t.Errorf("%+v", e)
	}
	if e := events[3]; e.Event != "API Called" || e.UserID != "u1" || e.GroupID != "g1" || e.Properties["route"] != "/reports" {
		t.Errorf("%+v", e)
	}
	if got := server.Rejected(); got != 0 {
		t.Errorf("%d events rejected", got)
	}
}
