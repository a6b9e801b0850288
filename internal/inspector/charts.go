package inspector

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Charts are drawn in units of one hundredth of their width.
const (
	chartWidth  = 300
	chartHeight = 100
)

// columns is the SVG path of a column chart. A count of most takes the full height.
func columns(counts []int, most int) string {
	var b strings.Builder
	width := chartWidth / float64(max(len(counts), 1))
	for i, n := range counts {
		if n <= 0 || most <= 0 {
			continue
		}
		height := math.Max(float64(n)/float64(most)*chartHeight, 2)
		fmt.Fprintf(&b, "M%.1f %dv-%.1fh%.1fV%dz", float64(i)*width, chartHeight, height, width*0.8, chartHeight)
	}
	return b.String()
}

func highest(counts []int) int {
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	return most
}

// share is n in percent of most, for the length of a bar.
func share(n, most int) string {
	if most <= 0 {
		return "0"
	}
	return strconv.FormatFloat(float64(n)/float64(most)*100, 'f', 2, 64)
}
