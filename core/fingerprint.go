package klime

import (
	"encoding"
	"encoding/json"
	"hash/maphash"
	"math"
	"math/bits"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// hashTraits hashes traits, whatever their order, by what they are on the wire: 5, 5.0
// and uint8(5) get the same hash. For the usual kinds of values it does not allocate.
// Collisions are practically impossible, and a random seed keeps anyone from forcing one.
func hashTraits(seed maphash.Seed, t Traits) uint64 {
	var sum uint64
	for key, value := range t {
		f := fingerprint{seed: seed}
		hash := f.value(value, 0)
		if f.values > maxValues {
			hash = tagUnknown // what was looked at before that is a matter of chance
		}
		sum += mix(f.text(key), hash)
	}
	return sum
}

// fingerprint hashes one value.
type fingerprint struct {
	seed   maphash.Seed
	values int // looked at so far: see maxValues
}

// maxValues is how many values are looked at within a trait. An event with more is too large
// anyway, unless it is a cycle, which may branch: then there would be no end to it.
const maxValues = maxEventBytes

// The types of JSON values are hashed too, to keep equal contents apart.
const (
	tagNull = iota + 1
	tagBool
	tagInteger
	tagUnsigned // beyond int64
	tagFraction
	tagList
	tagObject
	tagUnknown
)

func (f *fingerprint) object(m map[string]any, depth int) uint64 {
	var sum uint64
	for key, value := range m {
		sum += mix(f.text(key), f.value(value, depth))
	}
	return sum
}

func (f *fingerprint) value(value any, depth int) uint64 {
	if f.values++; f.values > maxValues {
		return tagUnknown
	}
	switch v := value.(type) {
	case nil:
		return tagNull
	case string:
		return f.text(v)
	case bool:
		if v {
			return mix(tagBool, 1)
		}
		return mix(tagBool, 0)
	case int:
		return f.integer(int64(v))
	case int64:
		return f.integer(v)
	case float64:
		return f.float(v)
	case json.Number:
		return f.number(v.String())
	case time.Time:
		return f.time(v)
	case []string:
		if v == nil {
			return tagNull
		}
		sum := uint64(tagList)
		for _, text := range v {
			sum = mix(sum, f.text(text))
		}
		return sum
	case []any:
		if v == nil || depth == maxDepth {
			break
		}
		sum := uint64(tagList)
		for _, value := range v {
			sum = mix(sum, f.value(value, depth+1))
		}
		return sum
	case map[string]any:
		if v == nil || depth == maxDepth {
			break
		}
		return mix(tagObject, f.object(v, depth+1))
	}
	if plain, ok := plainOf(value); ok {
		return f.value(plain, depth)
	}
	return f.other(value)
}

// other hashes a value of a type that value does not know, such as one of the app's own.
func (f *fingerprint) other(value any) uint64 {
	switch value.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return f.encoded(value)
	}
	switch v := reflect.ValueOf(value); {
	case v.Kind() == reflect.String:
		return f.text(v.String())
	case v.CanInt():
		return f.integer(v.Int())
	case v.CanUint():
		return f.unsigned(v.Uint())
	case v.Kind() == reflect.Float64:
		return f.float(v.Float())
	case v.Kind() == reflect.Bool:
		return f.value(v.Bool(), 0)
	default:
		return f.encoded(value)
	}
}

// encoded hashes what encoding/json makes of a value. A value that cannot be
// encoded gets some hash: sending it will fail, unless it is a secret.
func (f *fingerprint) encoded(value any) uint64 {
	encoded, err := appendAny(nil, value)
	if err != nil {
		f.values = maxValues + 1
		return tagUnknown
	}
	var plain any
	if decodeJSON(encoded, &plain) != nil {
		return tagUnknown
	}
	return f.value(plain, 0)
}

func (f *fingerprint) text(s string) uint64 { return maphash.String(f.seed, s) }

func (f *fingerprint) integer(n int64) uint64 {
	return mix(tagInteger, maphash.Comparable(f.seed, n))
}

func (f *fingerprint) unsigned(n uint64) uint64 {
	if n <= math.MaxInt64 {
		return f.integer(int64(n))
	}
	return mix(tagUnsigned, maphash.Comparable(f.seed, n))
}

// maxExact is how far float64 tells integers apart.
const maxExact = 1 << 53

// float hashes a number that an int64 or uint64 holds like that integer, and any
// other by its bits, so that a NaN equals itself.
func (f *fingerprint) float(n float64) uint64 {
	switch abs := math.Abs(n); {
	case abs < maxExact && n == math.Trunc(n):
		return f.integer(int64(n))
	case abs >= maxExact && abs < 1<<64:
		digits := strconv.FormatFloat(n, 'f', -1, 64) // as it is sent
		if i, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return f.integer(i)
		}
		if u, err := strconv.ParseUint(digits, 10, 64); err == nil {
			return f.unsigned(u)
		}
	}
	return mix(tagFraction, maphash.Comparable(f.seed, math.Float64bits(n)))
}

// number hashes the text of a JSON number.
func (f *fingerprint) number(text string) uint64 {
	if strings.ContainsAny(text, ".eE") || text == "-0" {
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return f.float(n)
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return f.integer(n)
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return f.unsigned(n)
	}
	return mix(tagUnknown, f.text(text)) // it fits no Go number
}

func (f *fingerprint) time(t time.Time) uint64 {
	var b [len(`"2006-01-02T15:04:05.000Z"`)]byte
	text, err := appendTime(b[:0], t)
	if err != nil {
		return tagUnknown
	}
	return maphash.Bytes(f.seed, text[1:len(text)-1])
}

// mix makes one hash of two. Their order matters.
func mix(a, b uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // spreads similar inputs
	high, low := bits.Mul64(a^odd, b+odd)
	return high ^ low
}
