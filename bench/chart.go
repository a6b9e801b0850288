package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The pictures are SVG, for browsers in light or dark mode.

// bar is a line of a bar chart.
type bar struct {
	label string
	value float64
	text  string
	ours  bool
}

// bars is a bar chart with its own scale.
type bars struct {
	title string
	bars  []bar
}

const (
	chartWidth = 420
	barHeight  = 18
	labelWidth = 130
	valueWidth = 80
)

// comparison shows the main comparisons.
func comparison(s *samples) string {
	var charts []bars
	for _, f := range frameworks() {
		added := func(who string) figure {
			return s.median(f.bench+"/"+who, "ns/op").minus(s.median(f.bench+"/bare", "ns/op"))
		}
		charts = append(charts, chart("Time added to a request: "+f.name, micros, []named{
			{subject, added(subject)}, {"klime, roll-up", added("klime-rollup")},
			{f.otel, added("otel")}, {"sentry", added("sentry")}, {"slok", added("slok")},
		}))
	}
	of := func(group, who, unit string) figure { return s.median(group+"/"+who, unit) }
	charts = append(
		charts,
		chart("Track with 6 properties, the call alone", micros, []named{
			{subject, of("Track", subject, "ns/op")}, {"segment", of("Track", "segment", "ns/op")},
			{"posthog", of("Track", "posthog", "ns/op")}, {"encoding/json", of("Track", "bare", "ns/op")},
			{"the map alone", of("Track", "map", "ns/op")},
		}),
		chart("CPU-s to deliver 1M events", number, []named{
			{subject, of("Delivered", subject, "cpu-s/1M")}, {"segment", of("Delivered", "segment", "cpu-s/1M")},
			{"posthog", of("Delivered", "posthog", "cpu-s/1M")}, {"encoding/json", of("Delivered", "bare", "cpu-s/1M")},
		}),
	)
	return grid(charts)
}

// named is a figure with a name.
type named struct {
	name   string
	figure figure
}

func chart(title string, text func(figure) string, all []named) bars {
	c := bars{title: title}
	for _, n := range all {
		c.bars = append(c.bars, bar{n.name, max(n.figure.value, 0), text(n.figure), strings.HasPrefix(n.name, subject)})
	}
	return c
}

// grid puts charts side by side, two in a row.
func grid(charts []bars) string {
	rowHeight := 0
	for _, c := range charts {
		rowHeight = max(rowHeight, 40+barHeight*len(c.bars))
	}
	var body strings.Builder
	for i, c := range charts {
		fmt.Fprintf(&body, `<g transform="translate(%d %d)">`+"\n", 10+i%2*(chartWidth+20), 10+i/2*rowHeight)
		c.draw(&body)
		body.WriteString("</g>\n")
	}
	return document(2*chartWidth+40, (len(charts)+1)/2*rowHeight+20, body.String())
}

func (c bars) draw(w *strings.Builder) {
	fmt.Fprintf(w, `<text class="title" y="14">%s</text>`+"\n", html.EscapeString(c.title))
	longest := 0.0
	for _, b := range c.bars {
		longest = max(longest, b.value)
	}
	for i, b := range c.bars {
		y, length := 22+i*barHeight, 0.0
		if longest > 0 {
			length = b.value / longest * (chartWidth - labelWidth - valueWidth)
		}
		class := "peer"
		if b.ours {
			class = "ours"
		}
		fmt.Fprintf(w, `<text class="label" x="%d" y="%d">%s</text>`, labelWidth-6, y+13, html.EscapeString(b.label))
		fmt.Fprintf(w, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, labelWidth, y+2, length, barHeight-4)
		fmt.Fprintf(w, `<text x="%.1f" y="%d">%s</text>`+"\n", labelWidth+length+5, y+13, html.EscapeString(b.text))
	}
}

func document(width, height int, body string) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">
<style>
svg { background: #fff }
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600 }
.label { text-anchor: end }
.middle { text-anchor: middle }
.ours { fill: #1f7a5c }
.peer { fill: #b9c0c7 }
.axis { stroke: #999; fill: none }
.line { fill: none; stroke-width: 2 }
</style>
%s</svg>
`, width, height, width, height, body)
}

// growthPicture shows what a request costs after so many users, customers and so on.
func growthPicture(s *samples) string {
	const width, height, left, top = 620, 300, 60, 40
	colours := []string{"#1f7a5c", "#c2571a", "#2b63b8", "#8a3ba8", "#7a7a1f"}
	axes, sizes := growths()
	highest := 1000.0
	for _, axis := range axes {
		for _, n := range sizes {
			highest = max(highest, growthOf(s, axis.name, n).value)
		}
	}
	x := func(n int) float64 { return left + math.Log10(float64(n))/6*width }
	y := func(ns float64) float64 { return top + height - ns/highest*height }
	var body strings.Builder
	fmt.Fprintf(&body, `<text class="title" x="%d" y="20">What klime works for a request, by how much there has been</text>`+"\n", left)
	fmt.Fprintf(&body, `<path class="axis" d="M%d %dV%dH%d"/>`+"\n", left, top, top+height, left+width)
	for _, part := range []float64{0, 0.25, 0.5, 0.75, 1} {
		fmt.Fprintf(&body, `<text class="label" x="%d" y="%.1f">%.1f µs</text>`+"\n", left-6, y(highest*part)+4, highest*part/1000)
	}
	for _, n := range sizes {
		fmt.Fprintf(&body, `<text class="middle" x="%.1f" y="%d">%d</text>`+"\n", x(n), top+height+18, n)
	}
	for i, axis := range axes {
		var points []string
		for _, n := range sizes {
			if f := growthOf(s, axis.name, n); f.known {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(n), y(f.value)))
			}
		}
		fmt.Fprintf(&body, `<polyline class="line" stroke="%s" points="%s"/>`+"\n", colours[i], strings.Join(points, " "))
		fmt.Fprintf(&body, `<text x="%d" y="%d" style="fill:%s">%s</text>`+"\n", left+width+15, top+16+i*18, colours[i], axis.name)
	}
	return document(left+width+120, top+height+40, body.String())
}
