package klimetest_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// faultTests says what becomes of three events when a request meets a fault, with
// either kind of fake Klime.
func faultTests() map[string]struct {
	fault    klimetest.Fault
	events   int // how many of the three arrive in the end
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
		"200":        {klimetest.Status(200), 0, 0, 0}, // the client cannot know that nothing was taken
		"999":        {klimetest.Status(999), 3, 0, 0},
		"RetryAfter": {klimetest.RetryAfter(429, time.Second), 3, 0, 0},
		"Hang":       {klimetest.Hang(), 3, 0, 0},
		"Cut":        {klimetest.Cut(), 3, 3, 0},
		"Reject":     {klimetest.Reject(1), 2, 0, 1},
		"bad batch":  {klimetest.Status(400), 3, 0, 0}, // sent again in halves
	}
}

// A status that no answer can have is a mistake of the test.
func TestImpossibleStatus(t *testing.T) {
	t.Parallel()
	for _, code := range []int{-1, 0, 99, 103, 1000} {
		for name, fault := range map[string]func(){"Status": func() { klimetest.Status(code) }, "RetryAfter": func() { klimetest.RetryAfter(code, 0) }} {
			func() {
				defer func() {
					if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), strconv.Itoa(code)) {
						t.Errorf("%s(%d): panic %v", name, code, v)
					}
				}()
				fault()
			}()
		}
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
			config.RetryDelay, config.Timeout = time.Millisecond, time.Second
			stats := trackThree(t, config)
			if n := len(server.Events()); n != test.events || server.Repeated() != test.repeated || stats.Failed != test.failed {
				t.Errorf("%d events, %d repeated, %d failed; want %+v", n, server.Repeated(), stats.Failed, test)
			}
		})
	}
}

// With the times that Config sets, a client gets past several faults before Wait gives
// up.
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

// As every http.RoundTripper must, a Recorder closes the body of each request.
func TestRecorderFaults(t *testing.T) {
	t.Parallel()
	for name, test := range faultTests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				recorder := klimetest.NewRecorder()
				recorder.Fail(test.fault)
				config := recorder.Config()
				config.HTTPClient.Transport = mustClose{t, config.HTTPClient.Transport}
				stats := trackThree(t, config)
				if n := len(recorder.Events()); n != test.events || recorder.Repeated() != test.repeated || stats.Failed != test.failed {
					t.Errorf("%d events, %d repeated, %d failed; want %+v", n, recorder.Repeated(), stats.Failed, test)
				}
			})
		})
	}
}

// mustClose fails the test if a RoundTripper leaves the body of a request open.
type mustClose struct {
	t    *testing.T
	next http.RoundTripper
}

func (m mustClose) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	body := &body{ReadCloser: r.Body}
	r.Body = body
	resp, err := m.next.RoundTrip(r)
	if !body.closed {
		m.t.Error("the body is open")
	}
	return resp, err
}

type body struct {
	io.ReadCloser

	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return b.ReadCloser.Close()
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

// Faults are met in order, one per request.
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
		// A client waits five minutes at most for a Retry-After, not an hour.
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

// Klime still checks what a Reject leaves, and as it was sent: the write key, and each event.
func TestRejectAsksKlime(t *testing.T) {
	t.Parallel()
	const first, second = `{"type":"identify","messageId":"1","userId":"u1","timestamp":"2026-11-23T10:00:00Z"}`,
		`{"type":"identify","messageId":"2","userId":"u1","timestamp":"2026-11-23T10:00:00Z"}`
	batch := func(events ...string) string { return `{"batch":[` + strings.Join(events, ",") + `]}` }
	for name, test := range map[string]struct {
		key, body string
		status    int
		answer    []string // parts of it
		events    int
		invalid   int
	}{
		"wrong key": {"another", batch(first), http.StatusUnauthorized, []string{`"code":"unauthorized"`}, 0, 0},
		"no JSON":   {"", `{"batch":[{]}`, http.StatusBadRequest, []string{`"code":"invalid_json"`}, 0, 0},
		"no batch":  {"", `{"Batch":[]}`, http.StatusBadRequest, []string{`"code":"invalid_batch"`}, 0, 0},
		"invalid events too": {"", batch(`1`, first, second, `{}`), http.StatusOK, []string{
			`"accepted":1,"failed":3`, `[{"index":0,`, `"code":"invalid_event"},{"index":1,`, `"code":"rejected"},{"index":3,`, `"code":"missing_message_id"}]`,
		}, 1, 2},
		// encoding/json would escape it, to more than an event may have.
		"an event of 50 KB": {"", batch(strings.Replace(first, `u1`, strings.Repeat("<", 50_000), 1), second), http.StatusOK, []string{
			`{"status":"ok","accepted":1,"failed":1,"errors":[{"index":1,`,
		}, 1, 0},
		"too short a batch": {"", batch(first), http.StatusOK, []string{`{"status":"ok","accepted":1,"failed":0}`}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			server.Fail(klimetest.Reject(1))
			config := server.Config()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, config.Endpoint+"/v1/batch", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+cmp.Or(test.key, config.WriteKey))
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(response.Body)
			if err != nil || response.Body.Close() != nil {
				t.Fatal(err)
			}
			for _, part := range test.answer {
				if !strings.Contains(string(answer), part) {
					t.Errorf("answer %s, want %s", answer, part)
				}
			}
			if response.StatusCode != test.status || len(server.Events()) != test.events || server.Rejected() != test.invalid {
				t.Errorf("status %d, %d events, %d invalid", response.StatusCode, len(server.Events()), server.Rejected())
			}
		})
	}
}

// A Hang ends with the test, whatever the client's Timeout is, and takes no event.
func TestHangEndsWithTheTest(t *testing.T) {
	t.Parallel()
	inner := &failing{TB: t}
	server := klimetest.NewServer(inner)
	server.Fail(klimetest.Hang())
	read := make(chan struct{})
	config := server.Config()
	config.Timeout = time.Hour
	config.HTTPClient = &http.Client{Transport: telling{read}}
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := client.TrackSync(t.Context(), "Report Generated", nil, klime.ForUser("user_1"))
		result <- err
	}()
	<-read
	inner.end()
	if err := <-result; err == nil || len(server.Events()) > 0 {
		t.Errorf("error %v, %d events", err, len(server.Events()))
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// telling closes read when the Server reads a request.
type telling struct{ read chan struct{} }

func (tell telling) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{Got100Continue: func() { close(tell.read) }}
	r = r.Clone(httptrace.WithClientTrace(r.Context(), trace))
	r.Header.Set("Expect", "100-continue")
	return http.DefaultTransport.RoundTrip(r)
}
