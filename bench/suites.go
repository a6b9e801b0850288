package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// options are the command's options.
type options struct {
	passes  int
	short   bool
	results string
	chosen  *regexp.Regexp
}

// suite is one run of a package's benchmarks: all its subjects in turn, in one
// process.
type suite struct {
	name    string // also of its file in results/
	pkg     string
	bench   string // -test.bench
	time    string // -test.benchtime
	cpus    string // -test.cpu, empty for all processors; each value gets its own process: see measure
	passes  int    // the most passes, if not 0, for suites that take several samples in one, or do not vary
	largest string // KLIME_BENCH_LARGEST, for growth
}

func suites() []suite {
	const client = "client"
	return []suite{
		{name: "middleware", pkg: "middleware", bench: ".", time: "60x"},
		{name: "track", pkg: client, bench: "^BenchmarkTrack$", time: "500x"},
		{name: "parallel", pkg: client, bench: "^BenchmarkTrackParallel$", time: "100x", cpus: "1,2"},
		{name: "delivered", pkg: client, bench: "^BenchmarkDelivered$", time: "2x"},
		{name: "start", pkg: client, bench: "^BenchmarkNew", time: "20x"},
		{name: "memory", pkg: client, bench: "^BenchmarkMemory$", time: "1x"},
		{name: "binary", pkg: client, bench: "^BenchmarkBinary$", time: "1x", passes: 1},
		{name: "growth", pkg: "growth", bench: ".", time: "40x", passes: 3, largest: "1000000"},
	}
}

// measureAll runs the suites, each once in every pass.
func measureAll(ctx context.Context, o options) error {
	if err := os.MkdirAll(o.results, 0o750); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "klime-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	var chosen []suite
	for _, s := range suites() {
		if o.chosen.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	heads, err := header(ctx)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		if err := build(ctx, scratch, s.pkg); err != nil {
			return err
		}
		if err := os.WriteFile(o.file(s), heads, 0o600); err != nil {
			return err
		}
	}
	passes := o.passes
	if o.short {
		passes = 1
	}
	for pass := range passes {
		for _, s := range chosen {
			if s.passes > 0 && pass >= s.passes {
				continue
			}
			start := time.Now()
			if err := o.measure(ctx, scratch, s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			fmt.Fprintf(os.Stderr, "pass %d of %d: %s, %v\n", pass+1, passes, s.name, time.Since(start).Round(time.Second))
		}
	}
	return nil
}

func (o options) file(s suite) string { return filepath.Join(o.results, s.name+".txt") }

// build compiles a package's benchmarks, so that no compiler runs at the same time.
func build(ctx context.Context, scratch, pkg string) error {
	binary := filepath.Join(scratch, pkg)
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./"+pkg).CombinedOutput() //nolint:gosec // a package in suites
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// measure adds a pass of a suite to its file. With -test.cpu 1,2 in one process, both would
// run on two processors, as a benchmark with b.Loop is not run again after GOMAXPROCS is set.
func (o options) measure(ctx context.Context, scratch string, s suite) error {
	took := s.time
	if o.short {
		took, s.largest = "1x", "1000"
	}
	var out []byte
	for cpus := range strings.SplitSeq(s.cpus, ",") {
		args := []string{"-test.run", "^$", "-test.bench", s.bench, "-test.benchtime", took}
		if cpus != "" {
			args = append(args, "-test.cpu", cpus)
		}
		command := exec.CommandContext(ctx, filepath.Join(scratch, s.pkg), args...) //nolint:gosec // just built
		command.Dir = s.pkg
		command.Env = append(os.Environ(), "KLIME_BENCH_LARGEST="+s.largest)
		printed, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, printed)
		}
		out = append(out, printed...)
	}
	file, err := os.OpenFile(o.file(s), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	out = regexp.MustCompile(`(?m)#\d+`).ReplaceAll(out, nil) // go test appends it to a sub-benchmark that runs again
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("Benchmark")) || bytes.HasPrefix(line, []byte("pkg:")) {
			if _, err := file.Write(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// header returns benchstat's configuration lines: Go, the machine, and the version of
// every module that is compared.
func header(ctx context.Context) ([]byte, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "date: %s\ngo: %s\ngoos: %s\ngoarch: %s\ncpus: %d\ncpu: %s\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f",
		`{{if not (or .Main .Indirect .Replace)}}module-{{.Path}}: {{.Version}}{{end}}`, "all").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	head.Write(out)
	if commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		fmt.Fprintf(&head, "klime-go: %s", commit)
	}
	return head.Bytes(), nil
}

// processor is the name of the processor on Linux.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t: \n")
		}
	}
	return "unknown"
}
