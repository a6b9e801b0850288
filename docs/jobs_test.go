package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
	"github.com/klimeapp/klime-go/klimetest"
)

// account is a customer of the app, or somebody who works there.
type account struct{ ID, UserID, OrgID string }

func sendReport(ctx context.Context, _ account) { klime.Track(ctx, "Report Sent", nil) }

func track(ctx context.Context, org account, day time.Time) {
	id := fmt.Sprintf("usage-summarized/%s/%s", org.ID, day.UTC().Format(time.DateOnly))
	klime.Track(ctx, "Usage Summarized", nil, klime.WithMessageID(id))
}

// recorded returns what a Recorder has got, in words.
func recorded(t *testing.T, client *klime.Client, recorder *klimetest.Recorder) string {
	t.Helper()
	if err := client.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	var lines []string
	for _, e := range recorder.Events() {
		lines = append(lines, e.UserID+"/"+e.GroupID+" "+e.Event)
	}
	return strings.Join(lines, ", ")
}

func newJobs(t *testing.T) (*klime.Client, *klimetest.Recorder) {
	t.Helper()
	recorder := klimetest.NewRecorder()
	client, err := klime.New(recorder.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client, recorder
}

func TestJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(ctx context.Context, client *klime.Client)
		want string
	}{
		{"a consumer", func(ctx context.Context, client *klime.Client) {
			messages := make(chan account, 2)
			messages <- account{UserID: "u1", OrgID: "g1"}
			messages <- account{UserID: "u2", OrgID: "g2"}
			close(messages)
			for message := range messages {
				ctx := client.NewContext(ctx, message.UserID, message.OrgID) // one for each message
				sendReport(ctx, message)                                     // what it tracks with ctx is this user's
			}
		}, "u1/g1 Report Sent, u2/g2 Report Sent"},
		{"a job over all customers, and again", func(ctx context.Context, client *klime.Client) {
			orgs, day := []account{{ID: "g1"}, {ID: "g2"}}, time.Now()
			for range 2 {
				for _, org := range orgs {
					ctx := client.NewContext(ctx, "", org.ID) // of the customer itself, without a user
					track(ctx, org, day)
				}
			}
		}, "/g1 Usage Summarized, /g2 Usage Summarized"},
		{"an interceptor", func(ctx context.Context, client *klime.Client) {
			who := account{UserID: "u1", OrgID: "g1"}
			handler := func(ctx context.Context, _ any) (any, error) { sendReport(ctx, account{}); return struct{}{}, nil }
			intercept := func(ctx context.Context, req any) (any, error) {
				return handler(client.NewContext(ctx, who.UserID, who.OrgID), req)
			}
			if _, err := intercept(ctx, nil); err != nil {
				t.Error(err)
			}
		}, "u1/g1 Report Sent"},
		{"without NewContext", func(ctx context.Context, _ *klime.Client) { sendReport(ctx, account{}) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, recorder := newJobs(t)
			tt.run(t.Context(), client)
			if got := recorded(t, client, recorder); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// handedOver is what a queue carries.
type handedOver struct {
	UserID, OrgID string
	Silenced      bool
	Trace         propagation.MapCarrier
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	propagator := propagation.TraceContext{}
	handOver := func(ctx context.Context) ([]byte, error) {
		s := klime.ScopeFrom(ctx)
		job := handedOver{UserID: s.UserID(), OrgID: s.GroupID(), Silenced: s.Silenced(), Trace: propagation.MapCarrier{}}
		propagator.Inject(ctx, job.Trace) // propagator is otel.GetTextMapPropagator()
		return json.Marshal(job)
	}
	consume := func(ctx context.Context, client *klime.Client, job handedOver) {
		ctx = propagator.Extract(ctx, job.Trace)
		ctx = client.NewContext(ctx, job.UserID, job.OrgID)
		if job.Silenced {
			klime.Silence(ctx)
		}
		sendReport(ctx, account{})
	}
	client, recorder := newJobs(t)
	tracker := klime.NewTracker(client)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	scope := tracker.Begin(trace.ContextWithSpanContext(t.Context(), span))
	klime.SetUser(scope, "u1")
	klime.SetGroup(scope, "g1")
	for range 2 {
		body, err := handOver(scope)
		if err != nil {
			t.Fatal(err)
		}
		var job handedOver
		if err := json.Unmarshal(body, &job); err != nil {
			t.Fatal(err)
		}
		consume(t.Context(), client, job)
		klime.Silence(scope) // from now on
	}
	if got, want := recorded(t, client, recorder), "u1/g1 Report Sent"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if of, _ := recorder.Events()[0].Context["trace"].(map[string]any); of["traceId"] != span.TraceID().String() {
		t.Errorf("trace %v", of)
	}
}

// shutDown ends a client as the page has it.
func shutDown(client *klime.Client, work func()) {
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := client.Shutdown(ending); err != nil {
			log.Print(err)
		}
	}()
	work()
}

// A panic runs what is deferred, and a spool keeps what 50 ms are not enough for.
func TestShortLivedPrograms(t *testing.T) {
	t.Parallel()
	client, recorder := newJobs(t)
	func() {
		defer func() { _ = recover() }()
		shutDown(client, func() { sendReport(client.NewContext(t.Context(), "u1", ""), account{}); panic("a mistake") })
	}()
	if n := len(recorder.Events()); n != 1 {
		t.Errorf("%d events after a panic, want 1", n)
	}

	folder := t.TempDir()
	first, outage := withSpool(t, folder)
	outage.Fail(slices.Repeat([]klimetest.Fault{klimetest.Hang()}, 10)...)
	sendReport(first.NewContext(t.Context(), "u1", ""), account{})
	ending, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := first.Shutdown(ending); err != nil {
		t.Error(err)
	}
	next, up := withSpool(t, folder)
	if got, want := recorded(t, next, up), "u1/ Report Sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func withSpool(t *testing.T, folder string) (*klime.Client, *klimetest.Recorder) {
	t.Helper()
	recorder := klimetest.NewRecorder()
	cfg := recorder.Config()
	disk, err := spool.Open(folder, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Spool = disk
	client, err := klime.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client, recorder
}

// isRefused reports whether Klime will never accept the event, however often it is sent.
func isRefused(err error) bool {
	failure := (*klime.DeliveryError)(nil)
	wasSent := errors.As(err, &failure) && failure.Attempts > 0 // and not kept back, as others were refused
	return wasSent && failure.Err == nil && slices.Contains([]int{200, 400, 413, 422}, failure.StatusCode)
}

// What halts sending is not Temporary, as the same request fails again; and yet it is not the event's
// fault. Flush says nothing of events that were refused.
func TestOutbox(t *testing.T) {
	t.Parallel()
	html := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }
	for name, tt := range map[string]struct {
		fault              klimetest.Fault
		refused, temporary bool
	}{
		"refused in an answer": {fault: klimetest.Reject(0), refused: true},
		"400":                  {fault: klimetest.Status(400), refused: true},
		"413":                  {fault: klimetest.Status(413), refused: true},
		"422":                  {fault: klimetest.Status(422), refused: true},
		"302":                  {fault: klimetest.Status(302)},
		"401":                  {fault: klimetest.Status(401)},
		"403":                  {fault: klimetest.Status(403)},
		"404":                  {fault: klimetest.Status(404)},
		"405":                  {fault: klimetest.Status(405)},
		"429":                  {fault: klimetest.Status(429), temporary: true},
		"503":                  {fault: klimetest.Status(503), temporary: true},
		"no answer":            {fault: klimetest.Cut(), temporary: true},
		"a web page":           {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := klimetest.NewRecorder()
			cfg := recorder.Config()
			if name == "a web page" {
				server := httptest.NewServer(http.HandlerFunc(html))
				defer server.Close()
				cfg = klime.Config{WriteKey: "k", Endpoint: server.URL}
			} else {
				recorder.Fail(tt.fault)
			}
			client, err := klime.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.TrackSync(t.Context(), "Invoice Paid", nil, klime.ForGroup("g1"), klime.WithMessageID("invoice-paid/7"))
			failure := (*klime.DeliveryError)(nil)
			if !errors.As(err, &failure) || isRefused(err) != tt.refused || failure.Temporary() != tt.temporary {
				t.Errorf("%v: refused %v, temporary %v", err, isRefused(err), failure.Temporary())
			}
			recorder.Heal()
			if err := client.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			_, err = client.TrackSync(t.Context(), "Invoice Paid", nil, klime.ForGroup("g1"))
			if !errors.Is(err, klime.ErrClosed) || isRefused(err) {
				t.Errorf("%v after Shutdown", err)
			}
		})
	}
	client, recorder := newJobs(t)
	recorder.Fail(klimetest.Reject(0))
	sendReport(client.NewContext(t.Context(), "u1", ""), account{})
	if err := client.Flush(t.Context()); err != nil || client.Stats().Failed != 1 {
		t.Errorf("Flush: %v, %d failed", err, client.Stats().Failed)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.TrackSync(ended, "Invoice Paid", nil, klime.ForGroup("g1")); !errors.Is(err, context.Canceled) || isRefused(err) {
		t.Errorf("%v after the end of ctx", err)
	}
	_, err := client.TrackSync(t.Context(), "", nil)
	if isRefused(err) || errors.As(err, new(*klime.DeliveryError)) {
		t.Errorf("%v is a DeliveryError", err)
	}
}

// What is held back because other events were refused is not refused itself.
func TestOutboxDuringAHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, recorder := newJobs(t)
		for range 3 { // batches that are refused whole halt sending
			recorder.Fail(klimetest.Status(400))
			sendReport(client.NewContext(t.Context(), "u1", ""), account{})
			_ = client.Flush(t.Context())
		}
		recorder.Heal()
		synctest.Wait()
		if _, err := client.TrackSync(t.Context(), "Good", nil, klime.ForGroup("g1")); !client.Stats().Halted || err == nil || isRefused(err) {
			t.Errorf("halted %v: %v", client.Stats().Halted, err)
		}
	})
}
