package main

import (
	"bufio"
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

// samples are those of all benchmarks, by name: "NetHTTP/klime". One that ran with
// several -cpu has a name for each: "TrackParallel/klime-2".
type samples struct {
	of   map[string][]sample
	head []string // lines "key: value" that say what was measured on what
	calm float64  // spin-ns of a calm machine
}

// enough is how many calm samples a figure wants.
const enough = 6

// calmWithin is how much slower than the fastest of all the machine may be in a
// sample that counts.
const calmWithin = 1.15

// readSamples reads all files of a folder of results.
func readSamples(folder string) (*samples, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return nil, err
	}
	s := &samples{of: map[string][]sample{}}
	for _, name := range files {
		file, err := os.Open(name) //nolint:gosec // of our own folder
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

// read adds what a benchmark has printed.
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

// withoutCPUs cuts off GOMAXPROCS, which go test puts at the end of a name if it is
// not one.
func withoutCPUs(name string) string {
	return regexp.MustCompile(`-\d+$`).ReplaceAllString(name, "")
}

// calibrate finds how fast the machine is when it is calm: as the fastest few
// samples say.
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
	n     int  // samples
	calm  bool // they were all of a calm machine
	known bool
}

// median is that of the calm samples; if there are too few of them, of the calmest.
func (s *samples) median(name, unit string) figure {
	all := slices.Clone(s.of[name])
	all = slices.DeleteFunc(all, func(one sample) bool { _, has := one[unit]; return !has })
	if len(all) == 0 {
		return figure{}
	}
	slices.SortStableFunc(all, func(a, b sample) int { return compareFloat(a["spin-ns"], b["spin-ns"]) })
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

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// minus is what the subject has beyond the baseline.
func (f figure) minus(base figure) figure {
	return figure{f.value - base.value, min(f.n, base.n), f.calm && base.calm, f.known && base.known}
}

// over is the ratio.
func (f figure) over(base figure) figure {
	if base.value == 0 {
		return figure{}
	}
	return figure{f.value / base.value, min(f.n, base.n), f.calm && base.calm, f.known && base.known}
}
