package klime

import (
	"encoding"
	"encoding/json"
	"hash/maphash"
	"math/bits"
	"reflect"
	"strconv"
	"time"
)

// hashTraits hashes traits, whatever their order, by their JSON: 5, 5.0 and uint8(5) get the
// same hash; only a time gets another one than a text that says the same. For the usual kinds
// of values it does not allocate. Collisions are practically impossible, and a random seed
// keeps anyone from forcing one.
func hashTraits(seed maphash.Seed, t Traits) uint64 {
	var sum uint64
	for key, value := range t {
		f := fingerprint{seed: seed}
		hash := f.value(value, 0)
		if f.values > maxValues {
			hash = 0 // what was looked at before that is a matter of chance
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

// These keep what looks alike apart.
const (
	tagNull = iota + 1
	tagLiteral
	tagTime
	tagList
	tagObject
)

func (f *fingerprint) value(value any, depth int) uint64 {
	if f.values++; f.values > maxValues {
		return 0
	}
	var room [len("-2.2250738585072014e-308")]byte
	switch v := value.(type) {
	case nil:
		return tagNull
	case string:
		return f.text(v)
	case bool:
		return f.literal(strconv.AppendBool(room[:0], v), nil)
	case int:
		return f.literal(strconv.AppendInt(room[:0], int64(v), 10), nil)
	case float64:
		return f.literal(appendFloat(room[:0], v))
	case json.Number:
		return f.literal(append(room[:0], v...), nil)
	case time.Time:
		return mix(tagTime, maphash.Comparable(f.seed, v.UnixMilli())) // what is sent of it
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
		var sum uint64
		for key, value := range v { // in any order
			sum += mix(f.text(key), f.value(value, depth+1))
		}
		return mix(tagObject, sum)
	}
	if plain, ok := plainOf(value); ok {
		return f.value(plain, depth)
	}
	return f.other(value)
}

// other hashes a value of a type that value does not know. Types of the app's own it leaves to
// encoding/json, as the encoder does, unless they are but a name for text or integers.
func (f *fingerprint) other(value any) uint64 {
	switch value.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return f.encoded(value)
	}
	var room [len("-9223372036854775808")]byte
	switch v := reflect.ValueOf(value); {
	case v.Kind() == reflect.String:
		return f.text(v.String())
	case v.CanInt():
		return f.literal(strconv.AppendInt(room[:0], v.Int(), 10), nil)
	case v.CanUint():
		return f.literal(strconv.AppendUint(room[:0], v.Uint(), 10), nil)
	default:
		return f.encoded(value)
	}
}

// encoded hashes what encoding/json makes of a value.
func (f *fingerprint) encoded(value any) uint64 {
	b, err := appendAny(nil, value)
	if err != nil {
		return f.literal(nil, err)
	}
	var plain any
	_ = decodeJSON(b, &plain) // encoding/json has just written it
	return f.value(plain, 0)
}

// literal hashes the JSON of a number or a boolean. Of a value that has none, sending fails,
// unless it is a secret.
func (f *fingerprint) literal(b []byte, err error) uint64 {
	if err != nil {
		f.values = maxValues + 1
		return 0
	}
	return mix(tagLiteral, maphash.Bytes(f.seed, b))
}

func (f *fingerprint) text(s string) uint64 { return maphash.String(f.seed, s) }

// mix makes one hash of two. Their order matters.
func mix(a, b uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // spreads similar inputs
	high, low := bits.Mul64(a^odd, b+odd)
	return high ^ low
}
