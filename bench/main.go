// Command bench compares klime-go with its targets and its peers, and prints a table.
// It runs the benchmarks of this module in turn, pass after pass, keeps their output in
// results/ in the format of benchstat, and draws pictures of it.
//
// usage: go run . [-passes n] [-only regexp] [-short] [-render]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
)

func main() {
	var o options
	flag.IntVar(&o.passes, "passes", 12, "how often each benchmark runs; six calm samples are wanted")
	only := flag.String("only", "", "run only the suites whose names match")
	flag.BoolVar(&o.short, "short", false, "one quick pass, to see that everything runs: do not quote its figures")
	render := flag.Bool("render", false, "measure nothing: only table and pictures, from results/")
	flag.StringVar(&o.results, "results", "results", "the folder for the samples, the table and the pictures")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, *only, *render); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, o options, only string, render bool) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	o.chosen = chosen
	if !render {
		if err := measureAll(ctx, o); err != nil {
			return err
		}
	}
	return report(os.Stdout, o.results)
}
