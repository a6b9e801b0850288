package main

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sample is what one run of a benchmark printed, by unit.
type sample map[string]float64

// samples are the samples of all benchmarks, by name: "NetHTTP/klime". A benchmark that
// ran with several -cpu has a name for each: "TrackParallel/klime-2".
type samples struct {
	of   map[string][]sample
	head []string // lines "key: value" that name the machine and the versions measured
	calm float64  // spin-ns of a calm machine
}

// enough is how many calm samples a figure needs.
const enough = 6

// calmWithin is how much slower than when calm the machine may be in a calm sample.
const calmWithin = 1.15

// readSamples reads all files of a folder of results.
func readSamples(folder string) (*samples, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return nil, err
	}
	s := &samples{of: map[string][]sample{}}
	for _, name := range files {
		file, err := os.Open(name) //nolint:gosec // in our own folder
		if err != nil {
			return nil, err
		}
		err = errors.Join(s.read(file), file.Close())
		if err != nil {
			return nil, err
		}
	}
	s.calibrate()
	return s, nil
}

// read adds the output of benchmarks.
func (s *samples) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if name, values, ok := parse(line); ok {
			s.of[name] = append(s.of[name], values)
			continue
		}
		if key, _, ok := strings.Cut(line, ": "); ok && key != "pkg" && !slices.Contains(s.head, line) {
			s.head = append(s.head, line)
		}
	}
	return lines.Err()
}

// parse reads a line of `go test -bench`.
func parse(line string) (name string, values sample, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", nil, false
	}
	values = sample{}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return "", nil, false
		}
		values[fields[i+1]] = value
	}
	name = strings.TrimPrefix(fields[0], "Benchmark")
	if !strings.HasPrefix(name, "TrackParallel") {
		name = withoutCPUs(name)
	}
	return name, values, true
}

// withoutCPUs cuts off GOMAXPROCS, which go test appends to a name unless it is 1.
func withoutCPUs(name string) string {
	return regexp.MustCompile(`-\d+$`).ReplaceAllString(name, "")
}

// calibrate finds how fast the machine is when it is calm, from the fastest few samples.
func (s *samples) calibrate() {
	var spins []float64
	for name, all := range s.of {
		if strings.HasPrefix(name, "TrackParallel") {
			continue // it spins on several processors
		}
		for _, one := range all {
			if spin, ok := one["spin-ns"]; ok {
				spins = append(spins, spin)
			}
		}
	}
	if len(spins) > 0 {
		slices.Sort(spins)
		s.calm = spins[len(spins)/50]
	}
}

// figure is a median.
type figure struct {
	value float64
	n     int  // number of samples
	calm  bool // all samples were calm
	known bool
}

// median is the median of the calm samples, or of the calmest if these are too few.
func (s *samples) median(name, unit string) figure {
	all := slices.Clone(s.of[name])
	all = slices.DeleteFunc(all, func(one sample) bool { _, has := one[unit]; return !has })
	if len(all) == 0 {
		return figure{}
	}
	slices.SortStableFunc(all, func(a, b sample) int { return cmp.Compare(a["spin-ns"], b["spin-ns"]) })
	limit := s.calm * calmWithin
	if strings.HasPrefix(name, "TrackParallel") {
		limit = all[0]["spin-ns"] * calmWithin
	}
	n := 0
	for n < len(all) && (n < min(enough, len(all)) || all[n]["spin-ns"] <= limit) {
		n++
	}
	used := make([]float64, n)
	for i := range used {
		used[i] = all[i][unit]
	}
	slices.Sort(used)
	middle := used[n/2]
	if n%2 == 0 {
		middle = (used[n/2-1] + used[n/2]) / 2
	}
	return figure{middle, n, n >= enough && all[n-1]["spin-ns"] <= limit, true}
}

// minus is the difference of two figures.
func (f figure) minus(base figure) figure {
	return figure{f.value - base.value, min(f.n, base.n), f.calm && base.calm, f.known && base.known}
}

// over is the ratio of two figures.
func (f figure) over(base figure) figure {
	if base.value == 0 {
		return figure{}
	}
	return figure{f.value / base.value, min(f.n, base.n), f.calm && base.calm, f.known && base.known}
}
