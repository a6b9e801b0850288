package klime

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/jsondepth"
)

// appendKey appends the key of an object's next member, with a comma before it
// unless it is the first.
func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, key), ':')
}

// appendMap appends m as a JSON object, its keys in any order.
func appendMap[M ~map[string]any](b []byte, m M, depth int) ([]byte, error) {
	b = append(b, '{')
	for key, value := range m {
		start := len(b)
		var err error
		if b, err = appendValue(appendKey(b, key), value, depth); err != nil || len(b)-start > maxEventBytes {
			return b, misfit(quoted(key), len(b)-start, err)
		}
	}
	return append(b, '}'), nil
}

// misfit returns the error for a value that could not be encoded, or has too many bytes.
// It says which one, unless it may just be the last of many that are too large together.
func misfit(which string, size int, err error) error {
	within := (*oversize)(nil)
	switch {
	case err != nil && !errors.Is(err, ErrEventTooLarge):
		return fmt.Errorf("%s: %w", which, err)
	case errors.As(err, &within):
		return &oversize{which + ": " + within.which}
	case size > maxEventBytes:
		return &oversize{which}
	default:
		return err
	}
}

// oversize is ErrEventTooLarge because of one value.
type oversize struct{ which string }

func (e *oversize) Error() string { return ErrEventTooLarge.Error() + ": " + e.which }
func (e *oversize) Unwrap() error { return ErrEventTooLarge }

// quoted returns a key as it stands in an error: quoted and, if it is long,
// shortened.
func quoted(key string) string { return strconv.Quote(shortened(key)) }

func shortened(name string) string {
	const enough = 64
	if len(name) > enough {
		return strings.ToValidUTF8(name[:enough], "") + "…"
	}
	return name
}

// appendValue appends one value as encoding/json would encode it, except for times:
// see appendTime.
func appendValue(b []byte, value any, depth int) ([]byte, error) {
	if len(b) > maxEventBytes {
		return b, ErrEventTooLarge // stop early
	}
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case time.Time:
		return appendTime(b, v)
	case []string:
		if v == nil {
			return append(b, "null"...), nil
		}
		return appendStrings(b, v)
	case map[string]any:
		if v == nil || depth == maxDepth {
			break
		}
		return appendMap(b, v, depth+1)
	case []any:
		if v == nil || depth == maxDepth {
			break
		}
		return appendSlice(b, v, depth+1)
	}
	if plain, ok := plainOf(value); ok {
		return appendValue(b, plain, depth)
	}
	start := len(b)
	b, err := appendAny(b, value)
	deepest := (len(b) - start) / 2 // as each level takes two brackets
	if err == nil && depth+deepest > maxNesting && depth+jsondepth.Of(b[start:]) > maxNesting {
		err = &valueError{fmt.Sprintf("%T", value), errDeeplyNested}
	}
	return b, err
}

// plainOf returns a value of another usual type as one that appendValue knows, so that
// times in it are encoded as all others are.
func plainOf(value any) (plain any, ok bool) {
	switch v := value.(type) {
	case *time.Time:
		if v == nil {
			return nil, true
		}
		return *v, true
	case []time.Time:
		return anyList(v), true
	case map[string]time.Time:
		return anyMap(v), true
	case []map[string]any:
		return anyList(v), true
	case Properties:
		return map[string]any(v), true
	case Traits:
		return map[string]any(v), true
	default:
		return nil, false
	}
}

func anyList[T any](values []T) []any {
	if values == nil {
		return nil
	}
	list := make([]any, len(values))
	for i, value := range values {
		list[i] = value
	}
	return list
}

func anyMap[T any](values map[string]T) map[string]any {
	if values == nil {
		return nil
	}
	m := make(map[string]any, len(values))
	for key, value := range values {
		m[key] = value
	}
	return m
}

// appendAny leaves a value to encoding/json, which also detects cycles. A panic in the
// value's own MarshalJSON becomes an error: it must not reach the caller.
func appendAny(b []byte, value any) (_ []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &valueError{fmt.Sprintf("%T", value), fmt.Errorf("panicked: %v", v)}
		}
	}()
	encoded, err := json.Marshal(value)
	if err != nil {
		return b, &valueError{fmt.Sprintf("%T", value), err}
	}
	return append(b, encoded...), nil
}

// maxNesting is how many levels deep a value may be nested. Readers of JSON have limits
// (Go's is 10,000), and beyond them fail with the whole batch.
const maxNesting = 1000

var errDeeplyNested = fmt.Errorf("nested more than %d levels deep", maxNesting)

// valueError says why encoding/json could not encode a value. Its text is for the
// caller only, not for the log: it may quote what the value holds.
type valueError struct {
	kind string // the value's type
	err  error
}

func (e *valueError) Error() string { return e.kind + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

func appendSlice(b []byte, values []any, depth int) ([]byte, error) {
	b = append(b, '[')
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		start := len(b)
		var err error
		if b, err = appendValue(b, value, depth); err != nil || len(b)-start > maxEventBytes {
			return b, misfit("["+strconv.Itoa(i)+"]", len(b)-start, err)
		}
	}
	return append(b, ']'), nil
}

func appendStrings(b []byte, values []string) ([]byte, error) {
	b = append(b, '[')
	for i, value := range values {
		if len(b) > maxEventBytes {
			return b, ErrEventTooLarge
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, value)
	}
	return append(b, ']'), nil
}

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
// Klime's clients use. (By hand it takes half the time of t.AppendFormat.)
func appendTime(b []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return b, fmt.Errorf("year %d does not have four digits", year) // as ISO 8601 wants
	}
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	millis := t.Nanosecond() / int(time.Millisecond)
	b = append(b, '"')
	b = append(appendTwoDigits(appendTwoDigits(b, year/100), year%100), '-')
	b = append(appendTwoDigits(b, int(month)), '-')
	b = append(appendTwoDigits(b, day), 'T')
	b = append(appendTwoDigits(b, hour), ':')
	b = append(appendTwoDigits(b, minute), ':')
	b = append(appendTwoDigits(b, second), '.')
	return append(appendTwoDigits(append(b, digit(millis/100)), millis%100), 'Z', '"'), nil
}

func appendTwoDigits(b []byte, n int) []byte { return append(b, digit(n/10), digit(n%10)) }

func digit(n int) byte { return byte('0' + n) } //nolint:gosec // 0 to 9

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
