package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/internal/inspector"
)

const (
	defaultAddr       = "127.0.0.1:8080"
	defaultKlimeAddr  = "127.0.0.1:8081"
	defaultTracesAddr = "127.0.0.1:8082"
	defaultPace       = 250 * time.Millisecond
	headerTimeout     = 5 * time.Second
	localWriteKey     = "local-demo-write-key" // the local Klime accepts any
)

// The time to end, within the 10 s that docker stop allows: see docs/shutdown.md.
const (
	requestsTimeout = 5 * time.Second // for the requests in progress
	eventsTimeout   = 4 * time.Second // to deliver their events
)

// Options say how a demo runs. A zero field means its default.
type Options struct {
	Name      string        // of the program
	Addr      string        // where the app listens; default 127.0.0.1:8080
	KlimeAddr string        // where the local Klime listens; default 127.0.0.1:8081
	For       time.Duration // when it ends by itself; default never
	NoTraffic bool          // no sample users
	NoPages   bool          // the program has only webhooks: no users, nothing to click on
	Pace      time.Duration // between two requests of sample users; default 250ms
	// RealTraffic lets sample users in even if events go to a real account, where they
	// and their companies then appear.
	RealTraffic bool
	Stdout      io.Writer // default os.Stdout
	Stderr      io.Writer // default os.Stderr

	// Traces takes traces, and shows them under /traces/ and their IDs. It is
	// called before newServer, and the listener is its own. Default none.
	Traces     func(net.Listener) error
	TracesAddr string // where it listens; default 127.0.0.1:8082
}

func (o Options) withDefaults() Options {
	o.Addr = cmp.Or(o.Addr, defaultAddr)
	o.KlimeAddr = cmp.Or(o.KlimeAddr, defaultKlimeAddr)
	o.TracesAddr = cmp.Or(o.TracesAddr, defaultTracesAddr)
	o.Pace = cmp.Or(o.Pace, defaultPace)
	o.Stdout = cmp.Or[io.Writer](o.Stdout, os.Stdout)
	o.Stderr = cmp.Or[io.Writer](o.Stderr, os.Stderr)
	return o
}

// Server serves an app. It is an *http.Server, or works like one.
type Server interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
}

// NewServer builds an example's server, and the client with which it sends events.
type NewServer[S Server] func(*App, klime.Config) (S, *klime.Client, error)

// Demo is a running example. It ends with [Demo.Wait].
type Demo struct {
	URL   string         // of the app
	Klime *ingest.Server // the local Klime, nil if events go elsewhere

	opts        Options
	client      *klime.Client
	app, local  service
	traces      net.Listener       // until Options.Traces has it
	tracesURL   string             // "" if there are none
	stopTraffic chan struct{}      // closed to end the traffic
	cutTraffic  context.CancelFunc // ends the request that it is making, too
	traffic     sync.WaitGroup
	serving     sync.WaitGroup
	failed      chan error // services that ended by themselves
}

// service is a server and its listener.
type service struct {
	name     string
	listener net.Listener
	server   Server
}

// Start starts the app, sample traffic, and the Klime that the app sends to.
//
// The Config for newServer is [klime.FromEnv]. Without a write key in the
// environment it points to a local Klime, which Start starts as well. With one, there
// is no sample traffic, unless Options.RealTraffic asks for it.
func Start[S Server](opts Options, newServer NewServer[S]) (*Demo, error) {
	opts = opts.withDefaults()
	d := &Demo{opts: opts, failed: make(chan error, 2)}
	cfg := klime.FromEnv()
	cfg.Logger = slog.New(slog.NewTextHandler(opts.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	elsewhere := cfg.WriteKey != ""
	if elsewhere && !opts.RealTraffic {
		d.opts.NoTraffic = true
	}
	if !elsewhere && cfg.Endpoint != "" {
		fmt.Fprintln(opts.Stderr, "KLIME_ENDPOINT is not used, as KLIME_WRITE_KEY is not set.")
	}

	err := d.listen(!elsewhere)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	if !elsewhere {
		cfg.Endpoint, cfg.WriteKey = inspector.BaseURL(d.local.listener.Addr()), localWriteKey
		d.Klime = ingest.New(ingest.Options{})
		d.local.server = localServer(d.Klime, d.tracesURL)
	}
	if err := d.startTraces(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	app := NewApp()
	d.app.server, d.client, err = newServer(app, cfg)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}

	d.URL = inspector.BaseURL(d.app.listener.Addr())
	d.serve(d.local)
	d.serve(d.app)
	d.greet(app, cfg.Endpoint)
	ctx, cancel := context.WithCancel(context.Background())
	d.stopTraffic, d.cutTraffic = make(chan struct{}), cancel
	if !d.opts.NoTraffic {
		visits := newTraffic(app, d.URL, opts.Pace, opts.NoPages, func(err error) { fmt.Fprintln(opts.Stderr, err) })
		d.traffic.Go(func() { visits.run(ctx, d.stopTraffic) })
	}
	return d, nil
}

// localServer serves a local Klime and its pages, as cmd/klime-local does, but without its
// time limits and its bounds on what comes at once.
func localServer(klime *ingest.Server, tracesURL string) *http.Server {
	pages := inspector.New(klime, inspector.Options{TraceURL: tracesURL})
	s := &http.Server{Handler: pages, ReadHeaderTimeout: headerTimeout}
	s.RegisterOnShutdown(pages.Close)
	return s
}

// listen opens the ports, so that a busy one is found before anything runs.
func (d *Demo) listen(local bool) error {
	var err error
	d.app.name, d.local.name = "the app", "the local Klime"
	if d.app.listener, err = listen("-addr", d.opts.Addr); err != nil {
		return err
	}
	if local {
		if d.local.listener, err = listenHere("-klime-addr", d.opts.KlimeAddr); err != nil {
			return err
		}
	}
	if d.opts.Traces != nil {
		if d.traces, err = listenHere("-traces-addr", d.opts.TracesAddr); err != nil {
			return err
		}
		d.tracesURL = inspector.BaseURL(d.traces.Addr()) + "/traces/"
	}
	return nil
}

// listenHere listens for this machine alone: what has pages shows all that it is
// told, to anybody who asks.
func listenHere(option, addr string) (net.Listener, error) {
	l, err := listen(option, addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		_ = l.Close()
		return nil, fmt.Errorf("%s can be reached from other machines; choose a loopback address with %s", addr, option)
	}
	return l, nil
}

func listen(option, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // without the address, which is added below
		}
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with %s", addr, err, option)
	}
	return l, nil
}

// close releases the ports.
func (d *Demo) close() error {
	var errs []error
	for _, s := range []service{d.app, d.local} {
		if s.listener != nil {
			errs = append(errs, s.listener.Close())
		}
	}
	if d.traces != nil {
		errs = append(errs, d.traces.Close())
	}
	return errors.Join(errs...)
}

func (d *Demo) startTraces() error {
	l := d.traces
	if l == nil {
		return nil
	}
	d.traces = nil
	return d.opts.Traces(l)
}

func (d *Demo) serve(s service) {
	if s.listener == nil {
		return
	}
	d.serving.Go(func() {
		if err := s.server.Serve(s.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("%s: %w", s.name, err)
		}
	})
}

// Wait waits until ctx or Options.For has ended, or a server has failed, and then stops
// everything in order. It returns an error if an event was lost.
func (d *Demo) Wait(ctx context.Context) error {
	var timeUp <-chan time.Time
	if d.opts.For > 0 {
		timer := time.NewTimer(d.opts.For)
		defer timer.Stop()
		timeUp = timer.C
	}
	var err error
	select {
	case <-ctx.Done():
		fmt.Fprintln(d.opts.Stdout, "Stopping; Ctrl-C again kills it.")
	case <-timeUp:
		fmt.Fprintln(d.opts.Stdout, "Stopping; the time is up.")
	case err = <-d.failed:
	}
	return errors.Join(err, d.shutdown(requestsTimeout))
}

// shutdown ends everything in an order that loses nothing: first the traffic, then the
// server, which finishes the requests in progress, then the client, which delivers
// their events, and last the local Klime. Requests may take as long as patience.
func (d *Demo) shutdown(patience time.Duration) error {
	requests, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer d.cutTraffic()
	context.AfterFunc(requests, d.cutTraffic) // if the app does not answer
	close(d.stopTraffic)
	d.traffic.Wait()
	err := d.app.server.Shutdown(requests)
	// An *http.Server that was shut down before it began to serve never serves. Fiber's
	// would serve for ever. Without a listener it cannot.
	_ = d.app.listener.Close()

	events, cancel := context.WithTimeout(context.Background(), eventsTimeout)
	defer cancel()
	undelivered := d.client.Shutdown(events)
	if d.local.server != nil {
		err = errors.Join(err, d.local.server.Shutdown(events))
	}
	d.serving.Wait()

	outcome, lost := outcome(d.client.Stats(), undelivered)
	if lost {
		return errors.Join(err, errors.New(outcome))
	}
	fmt.Fprintln(d.opts.Stdout, outcome)
	return err
}
