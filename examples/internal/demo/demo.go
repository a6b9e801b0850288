package demo

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

// Server is what serves an example: an *http.Server, or what works like one.
type Server interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
}

// Options say how a demo runs. The zero value of a field stands for its default.
type Options struct {
	Name      string        // of the example
	Addr      string        // where the app listens; default 127.0.0.1:8080
	KlimeAddr string        // where the local Klime listens; default 127.0.0.1:8081
	For       time.Duration // how long it runs; default until it is stopped
	NoTraffic bool          // leave the app alone
	Pace      time.Duration // between two requests of the traffic; default 250ms
	Stdout    io.Writer     // default os.Stdout
	Stderr    io.Writer     // default os.Stderr
}

const (
	defaultAddr      = "127.0.0.1:8080"
	defaultKlimeAddr = "127.0.0.1:8081"
	defaultPace      = 250 * time.Millisecond
	headerTimeout    = 5 * time.Second
	stopTimeout      = 10 * time.Second      // for requests that are under way
	localWriteKey    = "local-demo-write-key" // of the local Klime, and no secret
)

// Main is a demo program from its flags to its exit code. It runs until
// Ctrl-C or SIGTERM; the second one kills.
//
// newServer builds the server and its Klime client. The config it is given is
// [klime.FromEnv], pointed to the local Klime if that has no write key.
func Main[S Server](name string, newServer func(*App, klime.Config) (S, *klime.Client, error)) int {
	opts, err := parseFlags(name, os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal does what it does by default

	d, err := Start(opts, newServer)
	if err == nil {
		err = d.Wait(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// parseFlags returns the Options of a command line. What is wrong with it has
// been said already when it returns an error.
func parseFlags(name string, args []string, stderr io.Writer) (Options, error) {
	opts := Options{Name: name}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.Addr, "addr", defaultAddr, "where the app listens")
	flags.StringVar(&opts.KlimeAddr, "klime-addr", defaultKlimeAddr, "where the local Klime listens, on loopback")
	flags.DurationVar(&opts.For, "for", 0, "stop after this time, such as 30s (default: run until Ctrl-C)")
	traffic := flags.Bool("traffic", true, "make sample traffic")
	if err := flags.Parse(args); err != nil {
		return Options{}, err
	}
	wrong := ""
	switch {
	case flags.NArg() > 0:
		wrong = "unexpected argument: " + flags.Arg(0)
	case opts.For < 0:
		wrong = "-for must not be negative"
	default:
		opts.NoTraffic = !*traffic
		return opts, nil
	}
	fmt.Fprintln(stderr, wrong)
	flags.Usage()
	return Options{}, errors.New(wrong)
}

// Demo is a running example. [Demo.Wait] must be called to end it.
type Demo struct {
	URL   string         // of the app
	Klime *ingest.Server // the local Klime; nil when events go elsewhere

	opts        Options
	server      Server
	client      *klime.Client
	local       *http.Server // serves Klime; nil likewise
	stopTraffic context.CancelFunc
	traffic     sync.WaitGroup
	serving     sync.WaitGroup
	failed      chan error // servers that ended by themselves
}

// Start starts the app, the local Klime if no other is configured, and the
// sample traffic.
func Start[S Server](opts Options, newServer func(*App, klime.Config) (S, *klime.Client, error)) (*Demo, error) {
	opts.Addr = cmp.Or(opts.Addr, defaultAddr)
	opts.KlimeAddr = cmp.Or(opts.KlimeAddr, defaultKlimeAddr)
	opts.Pace = cmp.Or(opts.Pace, defaultPace)
	opts.Stdout = cmp.Or(opts.Stdout, io.Writer(os.Stdout))
	opts.Stderr = cmp.Or(opts.Stderr, io.Writer(os.Stderr))

	d := &Demo{opts: opts, failed: make(chan error, 2)}
	listener, err := listen("addr", opts.Addr)
	if err != nil {
		return nil, err
	}
	cfg := klime.FromEnv()
	cfg.Logger = slog.New(slog.NewTextHandler(opts.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ignored := cfg.WriteKey == "" && cfg.Endpoint != ""
	var klimeListener net.Listener
	if cfg.WriteKey == "" {
		klimeListener, err = listen("klime-addr", opts.KlimeAddr)
		if err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		cfg.Endpoint, cfg.WriteKey = baseURL(klimeListener), localWriteKey
		d.Klime = ingest.New(ingest.Options{WriteKey: localWriteKey})
		d.local = &http.Server{Handler: d.Klime, ReadHeaderTimeout: headerTimeout}
	}

	app := NewApp()
	d.server, d.client, err = build(app, cfg, newServer)
	if err != nil {
		if klimeListener != nil {
			err = errors.Join(err, klimeListener.Close())
		}
		return nil, errors.Join(err, listener.Close())
	}

	d.URL = baseURL(listener)
	d.serve("the app", d.server, listener)
	if d.local != nil {
		d.serve("the local Klime", d.local, klimeListener)
	}
	d.greet(app, cfg.Endpoint, ignored)
	ctx, cancel := context.WithCancel(context.Background())
	d.stopTraffic = cancel
	if !opts.NoTraffic {
		t := newTraffic(app, d.URL, opts.Pace, func(err error) { fmt.Fprintln(opts.Stderr, err) })
		d.traffic.Go(func() { t.run(ctx) })
	}
	return d, nil
}
