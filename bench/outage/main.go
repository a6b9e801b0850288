// The outage program measures what an app's requests pay while Klime is down: the
// latencies of a Gin app with Klime's middleware and without, in alternating pairs, at
// the same rate.
//
//	go run ./outage                  # in bench/: ten pairs of 60 s, about 21 minutes
//	go run ./outage -klime hangs     # Klime accepts connections and never answers
//
// The app runs in its own process. Requests are sent at fixed times, whether or not
// earlier ones have been answered. A latency counts from the time at which its request
// was due, so that a stall of the app shows in every request that it delays. On a machine
// that others use too, raise its priority: chrt -r 1 outage.
//
// It ends with status 1 if a target is missed. The median p99 may be at most 1.10 times
// that without Klime, plus 100 µs. Memory must be flat once the bound on events is
// reached: its peak in the second half of the time since then may be at most 3 MiB above
// the peak before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"
)

// options say what to measure.
type options struct {
	duration time.Duration // of one run
	pairs    int
	rate     int    // requests a second, 0 to find one
	klime    string // how Klime fails
	cache    int    // MiB that the app keeps
}

// How Klime may fail.
const (
	refuses = "refuses" // nothing listens
	hangs   = "hangs"   // connections are accepted, and nothing is answered
)

func main() {
	if options := os.Getenv(appVariable); options != "" {
		exit(serveApp(options, os.Stdin, os.Stdout))
	}
	var opts options
	flag.DurationVar(&opts.duration, "duration", time.Minute, "how long a run takes")
	flag.IntVar(&opts.pairs, "pairs", 10, "how many pairs of runs, one with Klime and one without")
	flag.IntVar(&opts.rate, "rate", 0, "requests a second; 0 finds how many the machine serves without queueing")
	flag.StringVar(&opts.klime, "klime", refuses, "how Klime fails: refuses or hangs")
	flag.IntVar(&opts.cache, "cache", 64, "MiB of data that the app keeps in memory; with 0, garbage is collected many times a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, opts, os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "outage:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// errMissed is the program's error if the target is missed.
var errMissed = errors.New("the target is missed")

// run measures, and writes the results.
func run(ctx context.Context, opts options, out io.Writer) error {
	if opts.pairs < 1 || opts.duration <= 0 || opts.rate < 0 || opts.cache < 0 {
		return errors.New("pairs and duration must be positive, rate and cache not negative")
	}
	endpoint, stop, err := downKlime(opts.klime)
	if err != nil {
		return err
	}
	defer stop()
	if opts.rate == 0 {
		if opts.rate, err = calibrate(ctx, opts.cache, out); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "Klime %s; %d requests/s for %v, %d pairs; the app keeps %d MiB\n\n",
		opts.klime, opts.rate, opts.duration, opts.pairs, opts.cache)
	fmt.Fprintln(out, "| pair | p50 without | with | p99 without | with | ratio | held | dropped | RSS at the bound | at the end |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|")
	var r report
	for i := range opts.pairs {
		p, err := measurePair(ctx, opts, endpoint, i%2 == 1)
		if err != nil {
			return fmt.Errorf("pair %d: %w", i+1, err)
		}
		r.add(p)
		fmt.Fprintf(out, "| %d | %v | %v | %v | %v | %.3f | %d | %d | %s | %s |\n", i+1,
			p.without.percentile(50), p.with.percentile(50), p.without.percentile(99), p.with.percentile(99), p.ratio(),
			p.with.last().Queued, p.with.last().Dropped, mib(p.with.atBound().RSS), mib(p.with.last().RSS))
	}
	r.write(out)
	if !r.good() {
		return errMissed
	}
	return nil
}

// pair is a run with Klime and one without.
type pair struct{ with, without result }

// ratio is the p99 with Klime divided by the p99 without.
func (p pair) ratio() float64 {
	return float64(p.with.percentile(99)) / float64(max(p.without.percentile(99), 1))
}

// measurePair makes two runs. The caller alternates which is first, as the machine may get
// busier or quieter over time.
func measurePair(ctx context.Context, opts options, endpoint string, withFirst bool) (p pair, err error) {
	runs := []struct {
		into     *result
		endpoint string // "" without Klime
	}{{&p.without, ""}, {&p.with, endpoint}}
	if withFirst {
		slices.Reverse(runs)
	}
	for _, r := range runs {
		if *r.into, err = measure(ctx, appOptions{r.endpoint, opts.cache}, opts.rate, opts.duration); err != nil {
			return pair{}, err
		}
	}
	return p, nil
}

// measure makes one run, with a new app.
func measure(ctx context.Context, opts appOptions, rate int, duration time.Duration) (result, error) {
	app, err := startApp(ctx, opts)
	if err != nil {
		return result{}, err
	}
	defer func() { _, _ = app.stop() }()
	l, err := newLoad(ctx, app.addr, rate)
	if err != nil {
		return result{}, err
	}
	defer l.close()
	if _, err := l.run(ctx, warmUp); err != nil {
		return result{}, err
	}
	latencies, err := l.run(ctx, duration)
	if err != nil {
		return result{}, err
	}
	samples, err := app.stop()
	if err != nil {
		return result{}, err
	}
	return newResult(latencies, samples), nil
}

// Calibration: the rate grows by a quarter until requests queue in a short run. Two thirds
// of the last rate before that leave room for Klime and for other work of the machine.
const (
	warmUp          = time.Second
	calibrationTime = 2 * time.Second
	firstRate       = 1000
	queueing        = 10 * time.Millisecond // a p99 above this means that requests queue
)

func calibrate(ctx context.Context, cache int, out io.Writer) (rate int, err error) {
	for next := firstRate; ; next += next / 4 {
		r, err := measure(ctx, appOptions{Cache: cache}, next, calibrationTime)
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(out, "%d requests/s without Klime: p50 %v, p99 %v\n", next, r.percentile(50), r.percentile(99))
		if r.percentile(99) > queueing {
			break
		}
		rate = next
	}
	if rate == 0 {
		return 0, fmt.Errorf("the machine is too busy: %d requests/s queue", firstRate)
	}
	return rate * 2 / 3, nil
}
