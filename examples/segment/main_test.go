package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	analytics "gopkg.in/segmentio/analytics-go.v3"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// Call by call, both libraries are told the same.
func TestCalls(t *testing.T) {
	segment, recorder := &wire{}, klimetest.NewRecorder()
	old, err := newSegment("key", analytics.Config{Transport: segment})
	if err != nil {
		t.Fatal(err)
	}
	client, err := newKlime(recorder.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []func(analytics.Client) error{segmentSignIn, segmentTrack, segmentTrack, segmentClose} {
		if err := call(old); err != nil {
			t.Error(err)
		}
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
		klime.Skip(r.Context())
		klimeSignIn(r.Context())
		klimeTrack(r.Context())
	})
	handler(client, mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/login", http.NoBody))
	if err := klimeTrackOutside(t.Context(), client); err != nil {
		t.Error(err)
	}
	if err := klimeShutdown(t.Context(), client); err != nil {
		t.Error(err)
	}

	var want, got []string
	for _, m := range segment.heard() {
		want = append(want, m.String())
	}
	for _, e := range recorder.Events() {
		got = append(got, ofKlime(e).String())
	}
	if len(want) != 4 || !slices.Equal(got, want) {
		t.Errorf("Klime was told\n%s\nand Segment\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// While both run, their events can be compared by message ID, with a group and without.
func TestBoth(t *testing.T) {
	for _, group := range []string{"org_abc", ""} {
		segment, recorder := &wire{}, klimetest.NewRecorder()
		b, err := newBoth(segment, recorder)
		if err != nil {
			t.Fatal(err)
		}
		properties := map[string]any{"pages": 7}
		if err := b.track(t.Context(), "user_123", group, "Report Generated", properties); err != nil {
			t.Error(err)
		}
		properties["pages"] = 8 // too late for either
		if err := b.shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		old, events := segment.heard(), recorder.Events()
		if len(old) != 1 || len(events) != 1 {
			t.Fatalf("Segment has %d, Klime %d", len(old), len(events))
		}
		got, want := ofKlime(events[0]), old[0]
		if got.MessageID != want.MessageID || got.String() != want.String() || got.Facts["pages"] != 7.0 || events[0].GroupID != group {
			t.Errorf("Klime was told %+v, and Segment %+v", got, want)
		}
	}
}

// A RoundTripper must close the body of each request.
func TestWireClosesBodies(t *testing.T) {
	closed := false
	request := httptest.NewRequest(http.MethodPost, "/v1/batch", body{strings.NewReader("{}"), &closed})
	answer, err := new(wire).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if !closed {
		t.Error("the body is open")
	}
}

type body struct {
	io.Reader

	closed *bool
}

func (b body) Close() error {
	*b.closed = true
	return nil
}

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "Report Generated"); n != 2 {
		t.Errorf("%d reports in\n%s", n, out.String())
	}
}
