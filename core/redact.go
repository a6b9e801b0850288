package klime

import (
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/secretkeys"
)

// SecretKeys returns the default of Config.SecretKeys, to add to or remove from.
func SecretKeys() []string { return secretkeys.Default() }

// redacted is sent in place of a secret.
const redacted = "[redacted]"

// cleaner replaces the values of secret keys in one value.
type cleaner struct {
	secrets *secretkeys.Matcher
	values  int    // looked at so far: see maxValues
	key     string // of a value that was replaced, "" if none was
}

// clean replaces the values of secret keys in m, at any depth. It returns a copy if
// there are any, and m itself if not.
func (r *cleaner) clean(m map[string]any) map[string]any {
	cleaned, _ := r.cleanMap(m, 0)
	return cleaned
}

func (r *cleaner) cleanMap(m map[string]any, depth int) (_ map[string]any, changed bool) {
	var copied map[string]any
	for key, value := range m {
		better, differs := r.cleanMember(key, value, depth)
		if !differs {
			continue
		}
		if copied == nil {
			copied = maps.Clone(m)
		}
		copied[key] = better
	}
	if copied == nil {
		return m, false
	}
	return copied, true
}

// cleanMember cleans the value of a key.
func (r *cleaner) cleanMember(key string, value any, depth int) (_ any, changed bool) {
	switch value.(type) {
	case nil, bool, time.Time:
		return value, false
	}
	switch r.secrets.SecrecyOf(key) {
	case secretkeys.Secret:
		if !tellsNothing(value) {
			r.key = key
			return redacted, true
		}
		return value, false
	case secretkeys.SecretUnlessNumber:
		if !isNumber(value) && !tellsNothing(value) {
			r.key = key
			return redacted, true
		}
	case secretkeys.NotSecret:
	}
	return r.cleanValue(value, depth)
}

// tellsNothing reports whether a value is a boolean or null, whatever its Go type, or a
// *time.Time: hasPassword and passwordChangedAt tell nothing of the password.
func tellsNothing(value any) bool {
	switch v := value.(type) {
	case string: // the usual case
		return false
	case *time.Time:
		return true
	default:
		encoded, err := appendAny(nil, v)
		return err == nil && slices.Contains([]string{"true", "false", "null"}, string(encoded))
	}
}

// isNumber reports whether the JSON of a value is a number, whatever its Go type.
func isNumber(value any) bool {
	if _, ok := value.(string); ok { // the usual case
		return false
	}
	encoded, err := appendAny(nil, value)
	return err == nil && strings.ContainsRune("-0123456789", rune(encoded[0]))
}

func (r *cleaner) cleanSlice(values []any, depth int) (_ []any, changed bool) {
	var copied []any
	for i, value := range values {
		better, differs := r.cleanValue(value, depth)
		if !differs {
			continue
		}
		if copied == nil {
			copied = slices.Clone(values)
		}
		copied[i] = better
	}
	if copied == nil {
		return values, false
	}
	return copied, true
}

// cleanValue cleans the maps within a value. A value of any other type is encoded,
// and its JSON cleaned; if it cannot be encoded, the event is refused later.
func (r *cleaner) cleanValue(value any, depth int) (_ any, changed bool) {
	if r.values++; r.values > maxValues {
		return redacted, true
	}
	switch v := value.(type) {
	case nil, string, bool, int, int64, float64, time.Time, json.Number, []string:
		return value, false
	case map[string]any:
		if depth < maxDepth { // deeper, it may be a cycle, which encoding/json detects
			return r.cleanMap(v, depth+1)
		}
	case []any:
		if depth < maxDepth {
			return r.cleanSlice(v, depth+1)
		}
	}
	if plain, ok := plainOf(value); ok {
		if cleaned, changed := r.cleanValue(plain, depth); changed {
			return cleaned, true
		}
		return value, false
	}
	if !mayHoldKeys(reflect.TypeOf(value)) {
		return value, false
	}
	encoded, err := appendAny(nil, value)
	if err != nil {
		r.values = maxValues
		return value, false
	}
	var plain any
	if decodeJSON(encoded, &plain) != nil {
		return value, false
	}
	cleaned, changed := r.cleanValue(plain, math.MinInt) // decoded JSON has no cycles: no limit on depth
	if !changed {
		return value, false
	}
	return cleaned, true
}

// mayHoldKeys reports whether the JSON of a type may be or contain an object.
func mayHoldKeys(t reflect.Type) bool {
	for range maxDepth { // a type may be a list of itself
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) { // so it does if t itself does
			return true
		}
		switch t.Kind() {
		case reflect.Slice, reflect.Array, reflect.Pointer:
			t = t.Elem()
		case reflect.Map, reflect.Struct, reflect.Interface:
			return true
		default:
			return false
		}
	}
	return true
}

// redact replaces secrets in traits, and with Config.RedactProperties in
// properties. The app's own maps stay as they are.
func (c *Client) redact(e *Event) {
	r := cleaner{secrets: c.secrets}
	if e.Traits != nil {
		e.Traits = r.clean(e.Traits)
	}
	if e.Properties != nil && c.cfg.RedactProperties {
		e.Properties = r.clean(e.Properties)
	}
	c.hintRedacted(r.key)
}

// redactProperty returns a property's value without secrets.
func (c *Client) redactProperty(key string, value any) any {
	if c == nil {
		return value
	}
	r := cleaner{secrets: c.secrets}
	value, _ = r.cleanMember(key, value, 0)
	c.hintRedacted(r.key)
	return value
}

// hintRedacted tells once that the value of a key was replaced: the key may only sound like
// a secret's. The key itself may hold data, so it is the entry that is named.
func (c *Client) hintRedacted(key string) {
	if key == "" || c.redactedTold.Load() {
		return
	}
	c.hintOnce(&c.redactedTold, `a value is sent as "[redacted]", as its key has the words of a secret; `+
		"if it is one, do not give it to klime, and if not, see Config.SecretKeys", slog.String("words", c.secrets.EntryOf(key)))
}
