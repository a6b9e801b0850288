package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a demo program, from its flags to its exit code. It runs until Ctrl-C or
// SIGTERM. A second one kills it. See [Start] for newServer.
func Main[S Server](name string, newServer NewServer[S]) int {
	return Run(Options{Name: name}, newServer)
}

// Run is [Main] with other options than the defaults.
func Run[S Server](opts Options, newServer NewServer[S]) int {
	opts, err := parseFlags(opts, os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills

	d, err := Start(opts, newServer)
	if err == nil {
		err = d.Wait(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", opts.Name, err)
		return 1
	}
	return 0
}

// parseFlags reads a command line. If it returns an error, it has written what is
// wrong, or the help that was asked for, to stderr.
func parseFlags(opts Options, args []string, stderr io.Writer) (Options, error) {
	flags := flag.NewFlagSet(opts.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.Addr, "addr", defaultAddr, "`address` where the app listens")
	flags.StringVar(&opts.KlimeAddr, "klime-addr", defaultKlimeAddr, "loopback `address` where the local Klime listens")
	if opts.Traces != nil {
		flags.StringVar(&opts.TracesAddr, "traces-addr", defaultTracesAddr, "loopback `address` where traces are taken and shown")
	}
	flags.DurationVar(&opts.For, "for", 0, "end after this `duration`, such as 30s; with 0, run until Ctrl-C")
	traffic := flags.Bool("traffic", true, "let sample users click around; while KLIME_WRITE_KEY is set, only if you give this flag yourself")
	if err := flags.Parse(args); err != nil {
		return Options{}, err
	}
	opts.NoTraffic = !*traffic
	flags.Visit(func(f *flag.Flag) {
		opts.RealTraffic = opts.RealTraffic || f.Name == "traffic" && *traffic
	})
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument: %s", flags.Arg(0))
	case opts.For < 0:
		err = errors.New("-for is negative")
	default:
		return opts, nil
	}
	fmt.Fprintln(stderr, err)
	flags.Usage()
	return Options{}, err
}
