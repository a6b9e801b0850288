package klime

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestTrackerErr(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := &Client{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	tracker := NewTracker(c, Option{}, ResolveUser(nil), ResolveGroup(nil), RouteFrom[any](nil))
	err := tracker.Err()
	if !errors.Is(err, ErrInvalidOption) {
		t.Fatalf("error %v", err)
	}
	for _, name := range []string{"UserID (ResolveUser, UserFrom)", "GroupID (ResolveGroup, GroupFrom)", "Route (RouteFrom, Mux)"} {
		if !strings.Contains(err.Error(), name) || strings.Count(log.String(), name) != 1 {
			t.Errorf("%s is not named, in the error or once in the log: %v; %s", name, err, log.String())
		}
	}
	if err := NewTracker(c, Option{}, ResolveUser(func(any) any { return "" })).Err(); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
}

func TestHintOfATypeThatIsNoID(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := &Client{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	tracker := NewTracker(c, ResolveUser(func(any) any { return []byte("jane") }))
	for range 3 {
		if id := tracker.resolve(1); id.user != "" {
			t.Errorf("user %q", id.user)
		}
	}
	if n := strings.Count(log.String(), "type=[]uint8"); n != 1 {
		t.Errorf("%d hints: %s", n, log.String())
	}
}

func TestBaggageTwice(t *testing.T) {
	t.Parallel()
	tracker := NewTracker(nil, Baggage("plan", "region", "plan"), Baggage("region", "cell"))
	if got := strings.Join(tracker.baggage, " "); got != "plan region cell" {
		t.Errorf("keys: %s", got)
	}
}
