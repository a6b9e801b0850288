package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// subject is the name of what the benchmarks are about. The others are peers.
const subject = "klime"

// row is a line of the table.
type row struct {
	what    string
	target  string
	ours    string
	peers   string
	verdict string
}

// framework is a web framework whose middlewares are compared.
type framework struct {
	bench, name, otel string
	allocs            float64 // the most that are allowed for a request
}

func frameworks() []framework {
	return []framework{
		{"NetHTTP", "net/http", "otelhttp", 4},
		{"Chi", "chi", "otelchi", 4},
		{"Gin", "Gin", "otelgin", 5},
		{"Fiber", "Fiber", "otelfiber", 3},
	}
}

// report prints the table for the samples in a folder, and writes it and the pictures
// there.
func report(w io.Writer, folder string) error {
	s, err := readSamples(folder)
	if err != nil {
		return err
	}
	text := table(s)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"table.md": text, "comparison.svg": comparison(s), "growth.svg": growthPicture(s),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// table is all rows, as Markdown.
func table(s *samples) string {
	requests := make([][]row, 0, len(frameworks()))
	for _, f := range frameworks() {
		requests = append(requests, requestRows(s, f))
	}
	rows := slices.Concat(slices.Concat(requests...), callRows(s), deliveryRows(s), startRows(s), growthRows(s))

	lines := [][]string{{"what", "target", subject, "peers", ""}, nil}
	for _, r := range rows {
		if strings.HasPrefix(r.ours, unknown) {
			continue // not measured this time
		}
		lines = append(lines, []string{r.what, r.target, r.ours, r.peers, r.verdict})
	}
	var text strings.Builder
	for _, line := range s.head {
		fmt.Fprintf(&text, "    %s\n", line)
	}
	if len(s.head) > 0 {
		text.WriteByte('\n')
	}
	text.WriteString(aligned(lines))
	text.WriteString("\n~ of fewer than six calm samples: the machine was busy. ")
	fmt.Fprintf(&text, "A calm machine spins in %.1f µs here; a sample within %.0f %% of that counts.\n", s.calm/1000, (calmWithin-1)*100)
	return text.String()
}

// aligned is a Markdown table with aligned columns. A nil line stands for the rule below
// the titles.
func aligned(lines [][]string) string {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var text strings.Builder
	for _, line := range lines {
		for i := range width {
			cell := strings.Repeat("-", width[i])
			if line != nil {
				cell = line[i] + strings.Repeat(" ", width[i]-len([]rune(line[i])))
			}
			text.WriteString("| " + cell + " ")
		}
		text.WriteString("|\n")
	}
	return text.String()
}

// requestRows are about what a middleware adds to a request.
func requestRows(s *samples, f framework) []row {
	ns := func(who string) figure { return s.median(f.bench+"/"+who, "ns/op") }
	added := func(who string) figure { return ns(who).minus(ns("bare")) }
	allocs := func(who, base string) figure {
		return s.median(f.bench+"/"+who, "allocs/op").minus(s.median(f.bench+"/"+base, "allocs/op"))
	}
	cpu := func(who string) figure {
		return s.median(f.bench+"/"+who, "cpu-ns/op").minus(s.median(f.bench+"/bare", "cpu-ns/op"))
	}
	own := func(who string) figure {
		return s.median(f.bench+"/"+who, "own-ns/op").minus(s.median(f.bench+"/bare", "own-ns/op"))
	}
	ours, otel, slok := added(subject), added("otel"), added("slok")
	others := fmt.Sprintf("%s %s, sentry %s, slok %s", f.otel, micros(otel), micros(added("sentry")), micros(slok))
	if f.bench == "NetHTTP" || f.bench == "Chi" {
		others += ", httpsnoop alone " + micros(added("httpsnoop"))
	}
	link := ns("klime-linked").minus(ns(subject)).minus(ns("maps").minus(ns("bare")))
	linkAllocs := allocs("klime-linked", subject).minus(allocs("maps", "bare"))
	return []row{
		{f.name + ": time added to a request, one event queued", "≤ 1.0 µs", micros(ours), others, atMost(ours, 1000)},
		{"… against " + f.otel, "≤ 1/8", ratio(ours.over(otel)), "", atMost(ours.over(otel), 1.0/8)},
		{"… against slok", "≤ 2 ×", ratio(ours.over(slok)), "", atMost(ours.over(slok), 2)},
		{"… against context and wrapper alone", "", ratio(ours.over(added("floor"))), "they take " + micros(added("floor")), ""},
		{"… against writing and queueing those bytes alone", "", ratio(ours.over(added("least"))), "that takes " + micros(added("least")), ""},
		{"… work of the caller's thread", "", micros(own(subject)),
			fmt.Sprintf("%s %s, sentry %s, slok %s", f.otel, micros(own("otel")), micros(own("sentry")), micros(own("slok"))), ""},
		{"… … against " + f.otel + ", slok", "", ratio(own(subject).over(own("otel"))) + ", " + ratio(own(subject).over(own("slok"))), "", ""},
		{"… work of all threads, delivery included", "", micros(cpu(subject)),
			fmt.Sprintf("%s %s, sentry %s, slok %s", f.otel, micros(cpu("otel")), micros(cpu("sentry")), micros(cpu("slok"))), ""},
		{"… of which beside the caller", "", micros(cpu(subject).minus(own(subject))), f.otel + " " + micros(cpu("otel").minus(own("otel"))), ""},
		{"… allocations", fmt.Sprintf("≤ %.0f", f.allocs), count(allocs(subject, "bare")),
			fmt.Sprintf("%s %s, sentry %s, slok %s",
				f.otel, count(allocs("otel", "bare")), count(allocs("sentry", "bare")), count(allocs("slok", "bare"))),
			atMost(allocs(subject, "bare"), f.allocs)},
		{"… allocations, skipped route", "0", count(allocs("klime-skipped", "bare")), "", atMost(allocs("klime-skipped", "bare"), 0)},
		{"… time, skipped route", "", micros(added("klime-skipped")), "", ""},
		{"… with roll-up", "≤ 0.6 × one event", ratio(added("klime-rollup").over(ours)), "it takes " + micros(added("klime-rollup")),
			atMost(added("klime-rollup").over(ours), 0.6)},
		{"… allocations, with roll-up", fmt.Sprintf("≤ %.0f", f.allocs-1), count(allocs("klime-rollup", "bare")), "",
			atMost(allocs("klime-rollup", "bare"), f.allocs-1)},
		{"… repeated Link, beyond the caller's maps", "< 0.5 µs", micros(link), "the maps take " + micros(added("maps")), atMost(link, 499)},
		{"… allocations of that", "0", count(linkAllocs), "", atMost(linkAllocs, 0)},
	}
}

// callRows are about Track.
func callRows(s *samples) []row {
	ns := func(who string) figure { return s.median("Track/"+who, "ns/op") }
	cpu := func(who string) figure { return s.median("Track/"+who, "cpu-ns/op") }
	own := func(who string) figure { return s.median("Track/"+who, "own-ns/op") }
	allocs := func(who string) figure {
		return s.median("Track/"+who, "allocs/op").minus(s.median("Track/map", "allocs/op"))
	}
	others := func(of func(string) figure, as func(figure) string) string {
		return fmt.Sprintf("segment %s, posthog %s, encoding/json %s", as(of("segment")), as(of("posthog")), as(of("bare")))
	}
	var rows []row
	for _, r := range []struct{ who, what string }{
		{subject, "Track with 6 properties, call alone, user and group named"}, {"klime-request", "… user and group of the request"},
	} {
		rows = append(rows,
			row{r.what, "≤ segment's", micros(ns(r.who)), others(ns, micros) + ", the map alone " + micros(ns("map")), ""},
			row{"… against segment", "≤ 1 ×", ratio(ns(r.who).over(ns("segment"))), "", atMost(ns(r.who).over(ns("segment")), 1)},
			row{"… work of the caller's thread", "", micros(own(r.who)), others(own, micros), ""},
			row{"… work of all threads", "", micros(cpu(r.who)), others(cpu, micros), ""},
			row{"… allocations beyond the map", "≤ 2", count(allocs(r.who)), others(allocs, count), atMost(allocs(r.who), 2)},
		)
	}
	one, two := s.median("TrackParallel/klime", "ns/op"), s.median("TrackParallel/klime-2", "ns/op")
	mapOne, mapTwo := s.median("TrackParallel/map", "ns/op"), s.median("TrackParallel/map-2", "ns/op")
	return append(rows, row{
		"Track on 2 cores against 1", "≥ 1.7 ×", ratio(one.over(two)),
		"the map alone " + ratio(mapOne.over(mapTwo)), atLeast(one.over(two), 1.7),
	})
}

// deliveryRows are about events that arrive.
func deliveryRows(s *samples) []row {
	rate := func(who string) figure { return s.median("Delivered/"+who, "events/s") }
	work := func(who string) figure { return s.median("Delivered/"+who, "cpu-s/1M") }
	return []row{
		{
			"delivered end to end, batches of 100", "≥ 2.5 × segment's", rateText(rate(subject)),
			fmt.Sprintf("segment %s, posthog %s, encoding/json %s",
				rateText(rate("segment")), rateText(rate("posthog")), rateText(rate("bare"))),
			"",
		},
		{"… against segment", "≥ 2.5 ×", ratio(rate(subject).over(rate("segment"))), "", atLeast(rate(subject).over(rate("segment")), 2.5)},
		{"… against encoding/json", "", ratio(rate(subject).over(rate("bare"))), "", ""},
		{"… CPU-s for 1M events", "≤ 1.6", number(work(subject)), fmt.Sprintf("segment %s, posthog %s, encoding/json %s",
			number(work("segment")), number(work("posthog")), number(work("bare"))), atMost(work(subject), 1.6)},
		{"… … against segment", "", ratio(work(subject).over(work("segment"))), "", ""},
	}
}

// startRows are about memory and start-up.
func startRows(s *samples) []row {
	heap := s.median("Memory", "heap/wire")
	start, cold := s.median("New", "ns/op"), s.median("NewCold", "ns/op")
	plain, stripped := s.median("Binary/plain", "added-MB"), s.median("Binary/stripped", "added-MB")
	return []row{
		{"memory: 10,000 queued events, against their bytes", "≤ 1.3 ×", ratio(heap), "", atMost(heap, 1.3)},
		{"New", "< 100 µs", micros(start), "", atMost(start, 100e3)},
		{"… in a new process", "< 100 µs", micros(cold), "", atMost(cold, 100e3)},
		{"… allocates", "no queue", bytesText(s.median("New", "B/op")), "", ""},
		{"binary size added, go build", "≤ 1.5 MB", megabytes(plain), "", atMost(plain, 1.5)},
		{`binary size added, -ldflags "-s -w"`, "", megabytes(stripped), "", ""},
	}
}

// axis is something that grows with an app.
type axis struct {
	name  string
	bound int // how many klime remembers, beyond which each counts as new; 0 for no bound
}

// growths returns the axes of growth, and the sizes.
func growths() (axes []axis, sizes []int) {
	const bound = 10_000 // of the keys in a roll-up's window, and of the routes of a middleware
	return []axis{{"users", 0}, {"customers", 0}, {"queued", 0}, {"rollup-keys", bound}, {"routes", bound}},
		[]int{1, 1000, 9000, 100_000, 1_000_000}
}

// growthOf is what a request costs beyond the bare one, in CPU time of the caller's
// thread. That shows a growth of a few per cent even on a machine that others use.
func growthOf(s *samples, axis string, n int) figure {
	name := fmt.Sprintf("Growth/%s/%d/", axis, n)
	return s.median(name+subject, "own-ns/op").minus(s.median(name+"bare", "own-ns/op"))
}

func growthRows(s *samples) []row {
	axes, sizes := growths()
	rows := make([]row, 0, len(axes))
	for _, axis := range axes {
		first := growthOf(s, axis.name, sizes[0])
		worst, text := first, make([]string, 0, len(sizes))
		for _, n := range sizes {
			f := growthOf(s, axis.name, n)
			text = append(text, micros(f))
			within := axis.bound == 0 || n <= axis.bound
			if within && f.known && f.value > worst.value {
				worst = f
			}
		}
		grown, what := worst.over(first), "work for a request after 1, 1k, 9k, 100k, 1M "+axis.name
		if axis.bound > 0 {
			what += fmt.Sprintf(" (bound: %dk)", axis.bound/1000)
		}
		rows = append(rows, row{what, "flat: ≤ 1.5 ×", ratio(grown), strings.Join(text, ", "), atMost(grown, 1.5)})
	}
	return rows
}

// unknown stands for a figure that was not measured.
const unknown = "–"

func written(f figure, text string) string {
	switch {
	case !f.known:
		return unknown
	case !f.calm:
		return "~" + text
	default:
		return text
	}
}

func micros(f figure) string {
	if math.Abs(f.value) < 9995 {
		return written(f, fmt.Sprintf("%.2f µs", f.value/1000))
	}
	return written(f, fmt.Sprintf("%.1f µs", f.value/1000))
}

func ratio(f figure) string     { return written(f, fmt.Sprintf("%.2f ×", f.value)) }
func number(f figure) string    { return written(f, fmt.Sprintf("%.2f", f.value)) }
func megabytes(f figure) string { return known(f, fmt.Sprintf("%.2f MB", f.value)) }
func count(f figure) string     { return known(f, fmt.Sprintf("%.0f", f.value)) }
func bytesText(f figure) string { return known(f, fmt.Sprintf("%.1f KB", f.value/1000)) }
func rateText(f figure) string  { return written(f, fmt.Sprintf("%.0fk/s", f.value/1000)) }

// known writes a figure that does not depend on how busy the machine was.
func known(f figure, text string) string {
	f.calm = true
	return written(f, text)
}

func atMost(f figure, limit float64) string { return verdict(f, f.value <= limit) }

func atLeast(f figure, limit float64) string { return verdict(f, f.value >= limit) }

func verdict(f figure, ok bool) string {
	switch {
	case !f.known:
		return ""
	case ok:
		return "ok"
	default:
		return "MISS"
	}
}
