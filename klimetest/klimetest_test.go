package klimetest_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

func TestServerReceivesTypedEvents(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	ctx := t.Context()
	for _, err := range []error{
		client.Identify(ctx, "user_1", klime.Traits{"name": "Jane"}),
		client.Group(ctx, "org_1", klime.Traits{"plan": "pro"}, klime.ForUser("user_1")),
		client.Track(ctx, "Report Generated", klime.Properties{"pages": 3}, klime.ForUser("user_1"), klime.InGroup("org_1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	events := server.Wait(3)
	if e := events[0]; e.Type != klime.IdentifyEvent || e.UserID != "user_1" || e.Traits["name"] != "Jane" {
		t.Errorf("identify: %+v", e)
	}
	if e := events[1]; e.Type != klime.GroupEvent || e.UserID != "user_1" || e.GroupID != "org_1" || e.Traits["plan"] != "pro" {
		t.Errorf("group: %+v", e)
	}
	if e := events[2]; e.Type != klime.TrackEvent || e.Event != "Report Generated" || e.UserID != "user_1" ||
		e.GroupID != "org_1" || e.Properties["pages"] != 3.0 || e.MessageID == "" || e.Timestamp.IsZero() {
		t.Errorf("track: %+v", e)
	}
	if n := server.Rejected(); n != 0 {
		t.Errorf("%d events rejected", n)
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	testReportIsTracked(t)
}

// A write key that is not the Server's is refused, as Klime would refuse it.
func TestServerChecksTheKey(t *testing.T) {
	t.Parallel()
	config := klimetest.NewServer(t).Config()
	config.WriteKey = "another"
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); err == nil {
		t.Error("Ping: no error")
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Waiting in vain fails the test, and says what did arrive.
func TestWaitInVain(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	inner := &failing{TB: t, ctx: ended}
	t.Cleanup(inner.end)
	server := klimetest.NewServer(inner)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		server.Wait(1)
	}()
	<-waited
	if !strings.Contains(inner.message, "waited for 1 events: 0 accepted") {
		t.Errorf("message %q", inner.message)
	}
}

// A client that has events left at the end fails the test, unless Heal comes first.
func TestClientLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, heal := range map[string]bool{"faults left": false, "healed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := &failing{TB: t}
			server := klimetest.NewServer(inner)
			client := server.Client()
			server.Fail(slices.Repeat([]klimetest.Fault{klimetest.Status(http.StatusUnauthorized)}, 10)...)
			if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
				t.Fatal(err)
			}
			if heal {
				server.Heal()
			}
			inner.end()
			if failed := inner.message != ""; failed == heal {
				t.Errorf("message %q", inner.message)
			}
		})
	}
}

// failing is a test whose context has ended, and that notes how it fails.
type failing struct {
	testing.TB

	ctx      context.Context //nolint:containedctx // that of a test
	message  string
	cleanups []func()
}

func (f *failing) Cleanup(cleanup func()) { f.cleanups = append(f.cleanups, cleanup) }

func (f *failing) end() {
	for _, cleanup := range slices.Backward(f.cleanups) {
		cleanup()
	}
}

func (f *failing) Errorf(format string, args ...any) { f.message = fmt.Sprintf(format, args...) }

func (f *failing) Context() context.Context { return f.ctx }

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
