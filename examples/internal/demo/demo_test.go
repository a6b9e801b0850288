package demo

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

// buffer is a buffer that is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// loopback returns Options for free ports, and clears all KLIME_ variables of the
// environment.
func loopback(t *testing.T) (opts Options, stdout, stderr *buffer) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KLIME_") {
			t.Setenv(name, "")
		}
	}
	stdout, stderr = new(buffer), new(buffer)
	return Options{
		Name: "test", Addr: "127.0.0.1:0", KlimeAddr: "127.0.0.1:0", NoTraffic: true, Stdout: stdout, Stderr: stderr,
	}, stdout, stderr
}

// threeEvents is an app that tracks three events when it starts.
func threeEvents(_ *App, cfg klime.Config) (*http.Server, *klime.Client, error) {
	client, err := klime.New(cfg)
	for range 3 {
		err = errors.Join(err, client.Track(context.Background(), "App Started", nil, klime.ForUser("usr_1")))
	}
	return &http.Server{Handler: http.NotFoundHandler()}, client, err
}

func TestEndsByItself(t *testing.T) {
	opts, stdout, stderr := loopback(t)
	opts.For = time.Millisecond
	d, err := Start(opts, threeEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if got := d.Klime.Counts().Accepted; got != 3 {
		t.Errorf("%d events arrived", got)
	}
	for _, want := range []string{d.URL, "jane@acme.example", Password, "a local one", "only yours", "the time is up", "3 events delivered, none lost."} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	if stderr.String() != "" {
		t.Errorf("stderr: %s", stderr)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(d.URL, "http://")); err == nil {
		t.Error("the app still listens")
	}
}

func TestWithAWriteKeyItSendsToKlime(t *testing.T) {
	opts, stdout, _ := loopback(t)
	elsewhere := ingest.New(ingest.Options{WriteKey: "key"})
	server := httptest.NewServer(elsewhere)
	defer server.Close()
	t.Setenv("KLIME_WRITE_KEY", "key")
	t.Setenv("KLIME_ENDPOINT", server.URL)
	opts.KlimeAddr = "not used"

	d, err := Start(opts, threeEvents)
	if err != nil {
		t.Fatal(err)
	}
	if d.Klime != nil {
		t.Error("there is a local Klime")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Wait(ctx); err != nil {
		t.Error(err)
	}
	if got := elsewhere.Counts().Accepted; got != 3 {
		t.Errorf("%d events arrived", got)
	}
	if !strings.Contains(stdout.String(), server.URL+", as KLIME_WRITE_KEY is set") {
		t.Errorf("stdout: %s", stdout)
	}
}

// The sample users' companies do not exist: they come into a real account only if that
// is asked for.
func TestSampleTrafficIntoARealAccountMustBeAskedFor(t *testing.T) {
	for _, test := range []struct {
		args    []string
		noPages bool
		message string
		traffic bool
	}{
		{nil, false, "only yours, as KLIME_WRITE_KEY is set; with -traffic, sample users (who do not exist) click around", false},
		{nil, true, "only yours, as KLIME_WRITE_KEY is set; with -traffic, a billing service sends webhooks", false},
		{[]string{"-traffic=false"}, false, "only yours", false},
		{[]string{"-traffic"}, false, "sample users click around", true},
		{[]string{"-traffic"}, true, "the billing service sends webhooks", true},
	} {
		opts, stdout, _ := loopback(t)
		server := httptest.NewServer(ingest.New(ingest.Options{}))
		t.Setenv("KLIME_WRITE_KEY", "key")
		t.Setenv("KLIME_ENDPOINT", server.URL)
		opts, err := parseFlags(opts, append(test.args, "-addr=127.0.0.1:0"), opts.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		opts.NoPages, opts.Pace = test.noPages, time.Millisecond
		visited := make(chan struct{}, 1)
		d, err := Start(opts, func(_ *App, cfg klime.Config) (*http.Server, *klime.Client, error) {
			client, err := klime.New(cfg)
			return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				select {
				case visited <- struct{}{}:
				default:
				}
			})}, client, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if test.traffic {
			<-visited
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Wait(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		if !strings.Contains(stdout.String(), "\nTraffic:    "+test.message) {
			t.Errorf("%q: stdout: %s", test.args, stdout)
		}
		if len(visited) > 0 && !test.traffic {
			t.Errorf("%q: there was a visitor", test.args)
		}
	}
}

func TestLostEventsAreAnError(t *testing.T) {
	opts, stdout, _ := loopback(t)
	server := httptest.NewServer(ingest.New(ingest.Options{WriteKey: "another key"}))
	defer server.Close()
	t.Setenv("KLIME_WRITE_KEY", "key")
	t.Setenv("KLIME_ENDPOINT", server.URL)
	opts.For = time.Millisecond

	d, err := Start(opts, threeEvents)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Wait(t.Context())
	if err == nil || !strings.Contains(err.Error(), "0 events delivered, 3 lost") || !strings.Contains(err.Error(), "write key") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(stdout.String(), "none lost") {
		t.Errorf("stdout: %s", stdout)
	}
}

func TestEndpointWithoutWriteKeyIsSaid(t *testing.T) {
	opts, _, stderr := loopback(t)
	t.Setenv("KLIME_ENDPOINT", "https://klime.example")
	opts.For = time.Millisecond
	d, err := Start(opts, threeEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(t.Context()); err != nil || d.Klime.Counts().Accepted != 3 {
		t.Errorf("got %v, %+v", err, d.Klime.Counts())
	}
	if !strings.Contains(stderr.String(), "KLIME_ENDPOINT is not used") {
		t.Errorf("stderr: %s", stderr)
	}
}

func TestBusyPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	addr := busy.Addr().String()
	for option, of := range map[string]func(*Options) *string{
		"-addr":        func(o *Options) *string { return &o.Addr },
		"-klime-addr":  func(o *Options) *string { return &o.KlimeAddr },
		"-traces-addr": func(o *Options) *string { return &o.TracesAddr },
	} {
		opts, stdout, _ := loopback(t)
		opts.TracesAddr, opts.Traces = "127.0.0.1:0", func(net.Listener) error {
			t.Errorf("%s: traces were started", option)
			return nil
		}
		*of(&opts) = addr
		_, err := Start(opts, threeEvents)
		if err == nil || !strings.HasPrefix(err.Error(), "cannot listen on "+addr+": ") ||
			!strings.HasSuffix(err.Error(), "; choose another address with "+option) {
			t.Errorf("%s: got %v", option, err)
		}
		if stdout.String() != "" {
			t.Errorf("%s: stdout: %s", option, stdout)
		}
	}
}

// The pages show everything to anybody who asks.
func TestPagesAreForThisMachine(t *testing.T) {
	opts, _, _ := loopback(t)
	opts.KlimeAddr = "0.0.0.0:0"
	if _, err := Start(opts, threeEvents); err == nil || !strings.Contains(err.Error(), "-klime-addr") {
		t.Errorf("got %v", err)
	}
	opts.KlimeAddr, opts.TracesAddr, opts.Traces = "127.0.0.1:0", "0.0.0.0:0", func(l net.Listener) error { return l.Close() }
	if _, err := Start(opts, threeEvents); err == nil || !strings.Contains(err.Error(), "-traces-addr") {
		t.Errorf("got %v", err)
	}
}

// Where the traces are is said with all else, once that is so.
func TestTracesAreNamed(t *testing.T) {
	opts, stdout, _ := loopback(t)
	opts.For = time.Millisecond
	var addr string
	opts.TracesAddr, opts.Traces = "127.0.0.1:0", func(l net.Listener) error {
		addr = l.Addr().String()
		return l.Close()
	}
	d, err := Start(opts, threeEvents)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nTraces:     http://" + addr + "/traces\n"; !strings.Contains(stdout.String(), want) {
		t.Errorf("no %q in:\n%s", want, stdout)
	}
	if err := d.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	opts.Traces = func(l net.Listener) error { return errors.Join(errors.New("no exporter"), l.Close()) }
	if _, err := Start(opts, threeEvents); err == nil || err.Error() != "no exporter" {
		t.Errorf("got %v", err)
	}
}

func TestFailedStartGivesPortsBack(t *testing.T) {
	opts, _, _ := loopback(t)
	t.Setenv("KLIME_BATCH_SIZE", "many")
	var local string
	_, err := Start(opts, func(app *App, cfg klime.Config) (*http.Server, *klime.Client, error) {
		local = strings.TrimPrefix(cfg.Endpoint, "http://")
		return threeEvents(app, cfg)
	})
	if !errors.Is(err, klime.ErrInvalidConfig) || !strings.Contains(err.Error(), "KLIME_BATCH_SIZE") {
		t.Errorf("got %v", err)
	}
	l, err := net.Listen("tcp", local)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// brokenServer cannot serve.
type brokenServer struct{ http.Server }

func (*brokenServer) Serve(net.Listener) error { return errors.New("no more connections") }

func TestServerThatFailsEndsTheDemo(t *testing.T) {
	opts, _, _ := loopback(t)
	d, err := Start(opts, func(app *App, cfg klime.Config) (*brokenServer, *klime.Client, error) {
		_, client, err := threeEvents(app, cfg)
		return new(brokenServer), client, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(t.Context()); err == nil || err.Error() != "the app: no more connections" {
		t.Errorf("got %v", err)
	}
	if got := d.Klime.Counts().Accepted; got != 3 {
		t.Errorf("%d events arrived", got)
	}
}

// A request of the sample traffic that the app never answers is cut off, once the time for
// requests in progress is up.
func TestHangingAppDoesNotHoldUpTheEnd(t *testing.T) {
	opts, _, stderr := loopback(t)
	opts.NoTraffic, opts.Pace = false, time.Millisecond
	asked := make(chan struct{})
	ask := sync.OnceFunc(func() { close(asked) })
	d, err := Start(opts, func(app *App, cfg klime.Config) (*http.Server, *klime.Client, error) {
		server, client, err := threeEvents(app, cfg)
		server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ask()
			<-r.Context().Done()
		})
		return server, client, err
	})
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := d.shutdown(time.Millisecond); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if got := d.Klime.Counts().Accepted; got != 3 {
		t.Errorf("%d events arrived", got)
	}
	if want := "context canceled"; !strings.Contains(stderr.String(), want) {
		t.Errorf("no %q in %s", want, stderr)
	}
}

func TestFlags(t *testing.T) {
	var stderr bytes.Buffer
	opts, err := parseFlags(Options{Name: "demo"}, []string{"-addr", ":1", "-klime-addr=:2", "-for", "3s", "-traffic=false"}, &stderr)
	if want := (Options{Name: "demo", Addr: ":1", KlimeAddr: ":2", For: 3 * time.Second, NoTraffic: true}); err != nil || !reflect.DeepEqual(opts, want) {
		t.Errorf("got %+v, %v", opts, err)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", &stderr)
	}
	if opts, err := parseFlags(Options{Name: "demo"}, []string{"-traffic"}, &stderr); err != nil || opts.NoTraffic || !opts.RealTraffic {
		t.Errorf("got %+v, %v", opts, err)
	}
	traces := Options{Name: "demo", Traces: func(net.Listener) error { return nil }}
	if opts, err := parseFlags(traces, []string{"-traces-addr", ":3"}, &stderr); err != nil || opts.TracesAddr != ":3" {
		t.Errorf("got %+v, %v", opts, err)
	}

	for _, args := range [][]string{{"-port", "80"}, {"start"}, {"-for", "soon"}, {"-for", "-1s"}, {"-traffic", "false"}, {"-traces-addr", ":3"}} {
		stderr.Reset()
		if _, err := parseFlags(Options{Name: "demo"}, args, &stderr); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: got %v", args, err)
		}
		if got := stderr.String(); strings.Count(got, "Usage of demo:") != 1 || strings.HasPrefix(got, "Usage") {
			t.Errorf("%q: stderr: %s", args, got)
		}
	}
	if _, err := parseFlags(Options{Name: "demo"}, []string{"-h"}, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got %v", err)
	}
}

func TestOutcome(t *testing.T) {
	for _, test := range []struct {
		stats klime.Stats
		err   error
		text  string
		lost  bool
	}{
		{klime.Stats{}, nil, "0 events delivered, none lost.", false},
		{
			klime.Stats{Accepted: 9, Sent: 9, Anonymous: 4, Dropped: map[klime.DropReason]uint64{klime.DropQueueFull: 0}}, nil,
			"9 events delivered, none lost.", false,
		},
		{klime.Stats{Accepted: 9, Sent: 8, Failed: 1}, nil, "8 events delivered, 1 lost (1 refused by Klime)", true},
		{klime.Stats{Accepted: 9, Sent: 9, Invalid: 1}, nil, "9 events delivered, 1 lost (1 not valid)", true},
		{klime.Stats{Accepted: 9, Sent: 9, Late: 2}, nil, "9 events delivered, 2 lost (2 after Shutdown)", true},
		{
			klime.Stats{Accepted: 9, Sent: 2, Dropped: map[klime.DropReason]uint64{klime.DropShutdown: 4, klime.DropQueueFull: 3}},
			errors.New("klime: 4 events not delivered"),
			"2 events delivered, 7 lost (3 dropped: queue_full; 4 dropped: shutdown; klime: 4 events not delivered)", true,
		},
		{klime.Stats{Accepted: 9, Sent: 8, Queued: 1}, nil, "8 events delivered, 1 lost (1 still queued)", true},
	} {
		if text, lost := outcome(test.stats, test.err); text != test.text || lost != test.lost {
			t.Errorf("got %q, %v; want %q, %v", text, lost, test.text, test.lost)
		}
	}
}
