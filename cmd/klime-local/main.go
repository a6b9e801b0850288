// Command klime-local is a local Klime: it accepts the events of any Klime SDK, and
// shows on web pages what Klime would know. It needs no key and no set-up, and keeps
// everything in memory.
//
//	go run github.com/klimeapp/klime-go/cmd/klime-local@latest
//
// Then start an app with KLIME_ENDPOINT=http://127.0.0.1:8081 and any
// KLIME_WRITE_KEY. See docs/klime-local.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/internal/inspector"
)

// gcPercent trades time for memory: nearly all of the heap is events, which stay.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second // for a whole request, as a slow sender holds up others
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
	maxHeader     = 64 << 10
)

// options are the values of the command line.
type options struct {
	addr  string
	key   string
	mode  inspector.Mode
	hosts []string
	trace string
	keep  ingest.Options
}

// run runs the program, and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := serve(ctx, opts, stdout); err != nil {
		fmt.Fprintf(stderr, "klime-local: %v\n", err)
		return 1
	}
	return 0
}

// parse reads a command line. If it returns an error, it has written what is wrong, or
// the help that was asked for, to stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	opts := options{keep: ingest.Options{BatchesAtOnce: 16}}
	flags := flag.NewFlagSet("klime-local", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.addr, "addr", "127.0.0.1:8081", "`address` to listen on; any that other machines can reach needs -key")
	flags.StringVar(&opts.key, "key", "", "write `key` that senders must show; without it, any will do.\n"+
		"If other machines can reach the pages, these ask for it too")
	mode := flags.String("mode", string(inspector.GroupMode), "`who` the customers are: group (companies) or user (single people)")
	hosts := flags.String("hosts", "", "host `names`, separated by commas, to serve the pages under, besides localhost and IP addresses")
	flags.StringVar(&opts.trace, "trace-url", "",
		"`URL` where traces are shown, without the ID at the end,\nsuch as http://localhost:16686/trace/")
	flags.IntVar(&opts.keep.MaxEvents, "max-events", ingest.DefaultMaxEvents, "`events` to remember, and as many users, and as many groups")
	megabytes := flags.Int("max-mb", ingest.DefaultMaxBytes/mib, "`MiB` of events to remember, and the same again for users and groups")
	flags.IntVar(&opts.keep.BatchRate, "max-rate", 500, "`batches` to accept in a second; more are answered 429. 0 means no limit")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	opts.mode = inspector.Mode(*mode)
	opts.keep.WriteKey, opts.keep.MaxBytes = opts.key, *megabytes*mib
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument: %s", flags.Arg(0))
	case opts.mode != inspector.GroupMode && opts.mode != inspector.UserMode:
		err = fmt.Errorf("-mode is group or user, not %q", *mode)
	case strings.ContainsFunc(opts.key, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = errors.New("-key has white space or other characters that a header cannot carry as they are")
	case opts.keep.MaxEvents < 1 || opts.keep.MaxEvents > maxEvents:
		err = fmt.Errorf("-max-events must be from 1 to %d", maxEvents)
	case *megabytes < 1 || *megabytes > maxMegabytes:
		err = fmt.Errorf("-max-mb must be from 1 to %d", maxMegabytes)
	case opts.keep.BatchRate < 0:
		err = errors.New("-max-rate is negative")
	case opts.trace != "" && !isWebURL(opts.trace):
		err = errors.New("-trace-url is no http or https URL")
	default:
		opts.hosts, err = names(*hosts)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		flags.Usage()
		return options{}, err
	}
	return opts, nil
}

const mib = 1 << 20

// The largest bounds. Beyond them there is no bound in effect.
const (
	maxEvents    = 100_000_000
	maxMegabytes = min(1<<20, math.MaxInt/mib) // 2047 on 32-bit systems
)

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// names splits a list of host names. It refuses names with a port, a scheme or a
// wildcard: no request would ever match them, and the user would not know why.
func names(list string) ([]string, error) {
	var hosts []string
	for host := range strings.SplitSeq(list, ",") {
		host = strings.TrimSpace(host)
		if host == "" {
			continue
		}
		if strings.ContainsAny(host, ":/*@ ") {
			return nil, fmt.Errorf("-hosts takes names alone, without scheme, port or wildcard: %q", host)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// serve listens until ctx ends.
func serve(ctx context.Context, opts options, stdout io.Writer) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", opts.addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -addr", err)
	}
	local := isLoopback(listener.Addr())
	if !local && opts.key == "" {
		_ = listener.Close()
		return fmt.Errorf("-addr %q can be reached from other machines: set -key, which they must then show, or choose a loopback address",
			opts.addr)
	}
	page := inspector.Options{Mode: opts.mode, Hosts: opts.hosts, TraceURL: opts.trace}
	if !local {
		page.Key = opts.key
	}
	handler := inspector.New(ingest.New(opts.keep), page)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
	server.RegisterOnShutdown(handler.Close)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(ending)
	})
	defer stop()

	greet(stdout, listener.Addr(), opts)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func greet(stdout io.Writer, addr net.Addr, opts options) {
	url, key := inspector.BaseURL(addr), "anything"
	if opts.key != "" {
		key = "… (the one given with -key)"
	}
	fmt.Fprintf(stdout, "A local Klime is at %s. Ctrl-C stops it, and it forgets everything.\n\n", url)
	fmt.Fprintf(stdout, "To send to it:  KLIME_ENDPOINT=%s KLIME_WRITE_KEY=%s\n", url, key)
	if isLoopback(addr) {
		return
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		fmt.Fprintf(stdout, "Elsewhere:      KLIME_ENDPOINT=http://THIS-MACHINE:%d KLIME_WRITE_KEY=%s\n", tcp.Port, key)
	}
	fmt.Fprintln(stdout, "There is no TLS, so klime-go refuses to send from another machine unless you allow it:\n"+
		"  cfg := klime.FromEnv(); cfg.AllowInsecure = true\nOr put a TLS proxy in front.")
	fmt.Fprintln(stdout, "The pages ask for a password, which is the key.")
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
