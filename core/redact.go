package klime

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// redacted stands for a value that is not sent.
const redacted = "[redacted]"

// SecretKeys returns the default of Config.SecretKeys, for a list with more or
// fewer.
func SecretKeys() []string {
	return []string{
		"password", "passwd", "pwd", "passphrase", "passcode", "pin", "pin code", "otp", "mfa code", "security code", "verification code",
		"secret", "secret key", "client secret", "credential", "authorization", "bearer", "cookie", "session id", "jwt",
		"token=", "access token", "api token", "auth token", "refresh token", "session token",
		"api key", "access key", "private key", "signing key", "encryption key",
		"card number", "credit card", "cvv", "cvc", "iban", "routing number", "ssn", "social security", "passport number",
	}
}

// redactor knows by their keys which values are secrets. It is safe for
// concurrent use.
type redactor struct {
	secrets func() secretWords // made when they are first needed

	known sync.Map // key → secrecy
	size  atomic.Int64
}

// secrecy is what is secret of the values under a key.
type secrecy int

const (
	open      secrecy = iota
	uncounted         // all but numbers
	secret
)

// countable is at the end of keys that hold a token, or in the plural may say how
// many: the promptTokens of a language model.
const countable = " token "

// secretWords are those by which a secret is known, each in spaces: " api key ".
type secretWords struct{ anywhere, atEnd []string }

// maxKnownKeys bounds the memory of a redactor.
const maxKnownKeys = 1000

func newRedactor(keys []string) *redactor {
	keys = slices.Clone(keys) // the app's
	return &redactor{secrets: sync.OnceValue(func() secretWords { return newSecretWords(keys) })}
}

func newSecretWords(keys []string) (s secretWords) {
	for _, key := range keys {
		words := wordsOf(key)
		if strings.HasSuffix(key, "=") {
			s.atEnd = append(s.atEnd, words)
			continue
		}
		if joined := strings.ReplaceAll(words, " ", ""); joined != "" {
			s.anywhere = append(s.anywhere, words, " "+joined+" ") // apikey
		}
	}
	return s
}

// of tells the secrecy of a key, by whether its words hold those of a secret.
func (r *redactor) of(key string) secrecy {
	if known, ok := r.known.Load(key); ok {
		return known.(secrecy) //nolint:forcetypeassert // nothing else is stored
	}
	found := r.secrets().of(wordsOf(key))
	if found == uncounted && !strings.HasSuffix(strings.ToLower(key), "tokens") {
		found = secret // one token may well be a number
	}
	if r.size.Load() < maxKnownKeys {
		if _, loaded := r.known.LoadOrStore(strings.Clone(key), found); !loaded {
			r.size.Add(1)
		}
	}
	return found
}

func (s secretWords) of(words string) secrecy {
	found := open
	for _, end := range s.atEnd {
		switch {
		case !strings.HasSuffix(words, end):
		case end == countable:
			found = uncounted
		default:
			return secret
		}
	}
	if slices.ContainsFunc(s.anywhere, func(s string) bool { return strings.Contains(words, s) }) {
		return secret
	}
	return found
}

// wordsOf splits a key in camel, snake, kebab or any such case into lower-case
// words in the singular, each in spaces: "userAPIKeys_2" is " user api key 2 ".
func wordsOf(key string) string {
	b := []rune{' '}
	space := func() {
		if b[len(b)-1] != ' ' {
			b = append(b, ' ')
		}
	}
	runes := []rune(key)
	for i, c := range runes {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			space()
			continue
		}
		if i > 0 {
			before := runes[i-1]
			ends := i+1 < len(runes) && unicode.IsUpper(before) && unicode.IsUpper(c) && unicode.IsLower(runes[i+1]) // the K of APIKey
			if unicode.IsUpper(c) && !unicode.IsUpper(before) || ends || unicode.IsDigit(c) != unicode.IsDigit(before) {
				space()
			}
		}
		b = append(b, unicode.ToLower(c))
	}
	space()
	words := strings.Split(string(b), " ")
	for i, word := range words {
		if len(word) > 3 && !strings.HasSuffix(word, "ss") {
			words[i] = strings.TrimSuffix(word, "s")
		}
	}
	return strings.Join(words, " ")
}

// clean returns m with the values of secret keys replaced, at any depth: a copy
// then, and else m itself.
func (r *redactor) clean(m map[string]any) map[string]any {
	cleaned, _ := r.cleanMap(m, 0)
	return cleaned
}

func (r *redactor) cleanMap(m map[string]any, depth int) (_ map[string]any, changed bool) {
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

// cleanMember cleans the value of a key. That there is a secret, or since when, is
// none itself.
func (r *redactor) cleanMember(key string, value any, depth int) (_ any, changed bool) {
	switch value.(type) {
	case nil, bool, time.Time:
		return value, false
	}
	switch r.of(key) {
	case secret:
		return redacted, true
	case uncounted:
		if !isNumber(value) {
			return redacted, true
		}
	case open:
	}
	return r.cleanValue(value, depth)
}

// isNumber reports whether the JSON of a value is a number, whatever its type says.
func isNumber(value any) bool {
	if _, ok := value.(string); ok { // as most are
		return false
	}
	encoded, err := appendAny(nil, value)
	return err == nil && strings.ContainsRune("-0123456789", rune(encoded[0]))
}

func (r *redactor) cleanSlice(values []any, depth int) (_ []any, changed bool) {
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

// cleanValue cleans what is in a value. Of types that it does not know, it goes
// by their JSON; what has none is refused when it is encoded.
func (r *redactor) cleanValue(value any, depth int) (_ any, changed bool) {
	switch v := value.(type) {
	case nil, string, bool, int, int64, float64, time.Time, json.Number, []string:
		return value, false
	case map[string]any:
		if depth < maxDepth { // beyond, it may be a cycle, which JSON has not
			return r.cleanMap(v, depth+1)
		}
	case []any:
		if depth < maxDepth {
			return r.cleanSlice(v, depth+1)
		}
	}
	if !mayHoldKeys(reflect.TypeOf(value)) {
		return value, false
	}
	encoded, err := appendAny(nil, value)
	if err != nil {
		return value, false
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	if decoder.Decode(&plain) != nil {
		return value, false
	}
	cleaned, changed := r.cleanValue(plain, math.MinInt) // it is a tree
	if !changed {
		return value, false
	}
	return cleaned, true
}

// mayHoldKeys reports whether the JSON of a type may be, or hold, an object.
func mayHoldKeys(t reflect.Type) bool {
	for range maxDepth { // a type may be a list of itself
		if marshaler := reflect.TypeFor[json.Marshaler](); t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
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

// revealing is a property's value, as far as it may be sent.
func (c *Client) revealing(key string, value any) any {
	if c == nil {
		return value
	}
	value, _ = c.secrets.cleanMember(key, value, 0)
	return value
}
