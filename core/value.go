package klime

import (
	"encoding/json"
	"fmt"
	"strconv"
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
