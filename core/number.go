package klime

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// appendFloat appends the shortest number that reads back as f. A number of up to three
// decimals and fifteen digits is its own shortest form, and is cheap to find.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if n := int64(f*1000 + 0.5); f > 0 && f < 1e12 && float64(n)/1000 == f {
		return appendThousandths(b, n), nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, fmt.Errorf("%v is not a JSON number", f)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64), nil
}

// appendTime appends t in ISO 8601, in UTC with milliseconds: the form that all of
// Klime's clients use.
func appendTime(b []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return b, fmt.Errorf("year %d does not have four digits", year) // as ISO 8601 wants
	}
	return t.AppendFormat(b, `"2006-01-02T15:04:05.000Z"`), nil
}

// appendMillis appends d in milliseconds with up to three decimals.
func appendMillis(b []byte, d time.Duration) []byte {
	return appendThousandths(b, max(d, 0).Microseconds())
}

// appendThousandths appends n/1000, which is not negative, without zeros at the end.
func appendThousandths(b []byte, n int64) []byte {
	b = strconv.AppendInt(b, n/1000, 10)
	rest := n % 1000
	if rest == 0 {
		return b
	}
	b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}
