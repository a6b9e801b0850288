// Package secretkeys tells by the words of a key whether it holds a secret, however it is
// spelled: userAPIKey, API_KEYS, x-api-key. So a password that gets into traits by mistake
// is not sent.
package secretkeys

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
)

// Default returns the entries for the usual secrets.
func Default() []string {
	return []string{
		"password", "passwd", "pwd", "passphrase", "passcode", "pin", "pin code", "otp", "mfa code", "security code", "verification code",
		"secret", "secret key", "client secret", "credential", "authorization", "bearer", "cookie", "session id", "jwt",
		"token=", "access token", "api token", "auth token", "refresh token", "session token",
		"api key", "access key", "private key", "signing key", "encryption key",
		"card number", "credit card", "cvv", "cvc", "iban", "routing number", "ssn", "social security", "passport number",
	}
}

// about are the last words of keys that only tell something about a secret, such as
// passwordPolicy and apiKeyCount.
func about() []string {
	return []string{
		"brand", "count", "enabled", "expired", "length", "limit", "policy", "provider", "required", "status", "strength", "type",
		"version",
	}
}

// Matcher recognises the keys of secrets. It is safe for concurrent use.
type Matcher struct {
	secrets func() secretWords // computed on the first call

	known sync.Map     // key → Secrecy
	size  atomic.Int64 // number of known keys
}

// Secrecy says which values of a key are secret.
type Secrecy int

// What a key may say of its values.
const (
	NotSecret          Secrecy = iota
	SecretUnlessNumber         // a number under such a key is a count
	Secret
)

// secretWords are what makes a key a secret's.
type secretWords struct{ anywhere, atEnd []secretWord }

// secretWord is one entry.
type secretWord struct {
	entry  string   // as it was given
	spaced string   // of stems: " api key "
	joined string   // "apikey"
	runs   []string // joined in the singular and the plural
	tail   string   // of stems, the first in capitals: "API key "; "" for a single word

	isUsual bool // an entry of Default
}

// matches reports whether the entry makes a key a secret's. A usual one does not if the key
// only tells something about it.
func (w secretWord) matches(key wordedKey) bool {
	return key.contains(w) && (!w.isUsual || !key.isAbout)
}

// A Matcher remembers up to maxKnownKeys keys, of up to maxKnownKeyBytes each: an app may
// pass on keys that its callers choose.
const (
	maxKnownKeys     = 1000
	maxKnownKeyBytes = 128
)

// New returns a Matcher of entries such as "api key", which match a key that contains their
// words, in the singular or the plural, or with "=" at the end, one that ends with them.
func New(entries []string) *Matcher {
	entries = slices.Clone(entries) // the app may change its slice
	return &Matcher{secrets: sync.OnceValue(func() secretWords { return newSecretWords(entries) })}
}

// HasWord reports whether an entry has a word, without which it matches no key.
func HasWord(entry string) bool { return strings.ContainsFunc(entry, inWord) }

func newSecretWords(entries []string) (s secretWords) {
	isUsual := map[string]bool{}
	for _, entry := range Default() {
		isUsual[joinedOf(entry)] = !strings.HasSuffix(entry, "=")
	}
	for _, entry := range entries {
		words := wordsOf(entry)
		word := secretWord{
			entry, spaced(stems(words)), joinedOf(entry), runsOf(words), tailOf(stems(words)), isUsual[joinedOf(entry)],
		}
		switch {
		case word.joined == "":
		case strings.HasSuffix(entry, "="):
			s.atEnd = append(s.atEnd, word)
		default:
			s.anywhere = append(s.anywhere, word)
		}
	}
	return s
}

// joinedOf is an entry as one word: "apikey".
func joinedOf(entry string) string { return strings.Join(singular(wordsOf(entry)), "") }

// SecrecyOf returns the secrecy of a key, computed once for each that is not very long.
func (m *Matcher) SecrecyOf(key string) Secrecy {
	if len(key) > maxKnownKeyBytes {
		return m.secrets().secrecyOf(key)
	}
	if known, ok := m.known.Load(key); ok {
		return known.(Secrecy) //nolint:forcetypeassert // nothing else is stored
	}
	found := m.secrets().secrecyOf(key)
	if m.size.Load() < maxKnownKeys {
		if _, loaded := m.known.LoadOrStore(strings.Clone(key), found); !loaded {
			m.size.Add(1)
		}
	}
	return found
}

// EntryOf returns the first entry that makes a key a secret's, "" if there is none.
func (m *Matcher) EntryOf(key string) string {
	s, worded := m.secrets(), newWordedKey(split(key))
	for _, end := range s.atEnd {
		if worded.endsWith(end) {
			return end.entry
		}
	}
	for _, word := range s.anywhere {
		if word.matches(worded) {
			return word.entry
		}
	}
	return ""
}

// secrecyOf returns the secrecy of a key.
func (s secretWords) secrecyOf(name string) Secrecy {
	key := newWordedKey(split(name))
	found := NotSecret
	for _, end := range s.atEnd {
		switch {
		case !key.endsWith(end):
		case end.joined == "token" && strings.HasSuffix(strings.ToLower(name), "tokens"): // promptTokens of a language model are a count
			found = SecretUnlessNumber
		default:
			return Secret
		}
	}
	if slices.ContainsFunc(s.anywhere, func(w secretWord) bool { return w.matches(key) }) {
		return Secret
	}
	return found
}

// wordedKey is a key whose words are known.
type wordedKey struct {
	spaced string // of stems: " user api key "
	joined string // as they are: "userapikeys"
	starts []bool // where in joined a word begins, and its end
	shown  string // spaced, with those in capitals that are so in the key: " user API key "

	isAbout bool // the last word is one of about
}

func newWordedKey(shown []string) wordedKey {
	words := lower(shown)
	k := wordedKey{joined: strings.Join(words, "")}
	k.starts = make([]bool, len(k.joined)+1)
	at := 0
	for _, word := range words {
		k.starts[at] = true
		at += len(word)
	}
	k.starts[at] = true
	k.isAbout = len(words) > 0 && slices.Contains(about(), words[len(words)-1])
	words = stems(words)
	k.spaced = spaced(words)
	for i, word := range shown {
		if word == strings.ToUpper(word) {
			words[i] = strings.ToUpper(words[i])
		}
	}
	k.shown = spaced(words)
	return k
}

func (k wordedKey) contains(w secretWord) bool {
	return strings.Contains(k.spaced, w.spaced) || w.tail != "" && strings.Contains(k.shown, w.tail) || k.hasRun(w, false)
}

func (k wordedKey) endsWith(w secretWord) bool {
	return strings.HasSuffix(k.spaced, w.spaced) || w.tail != "" && strings.HasSuffix(k.shown, w.tail) || k.hasRun(w, true)
}

// hasRun reports whether words in a row, written as one, are w or its plural. So it does
// not matter how a key divides a word: pass_word, pASSWORD, APIkey.
func (k wordedKey) hasRun(w secretWord, atEnd bool) bool {
	return slices.ContainsFunc(w.runs, func(run string) bool {
		for from := 0; ; from++ {
			i := strings.Index(k.joined[from:], run)
			if i < 0 {
				return false
			}
			from += i
			if k.starts[from] && k.isEnd(from+len(run), atEnd) {
				return true
			}
		}
	})
}

// isEnd reports whether a word ends there: if last, the last one.
func (k wordedKey) isEnd(at int, last bool) bool {
	return k.starts[at] && (!last || at == len(k.joined))
}

// wordsOf returns the words of a key in lower case: "userAPIKeys_2" becomes user, api, keys
// and 2.
func wordsOf(key string) []string { return lower(split(key)) }

func lower(words []string) []string {
	words = slices.Clone(words)
	for i, word := range words {
		words[i] = strings.ToLower(word)
	}
	return words
}

// split splits a key in camel, snake, kebab or any such case into words. Acronyms in a row
// are one: "AWSAPIKey" becomes AWSAPI and Key.
func split(key string) []string {
	var b []rune
	space := func() { b = append(b, ' ') }
	runes := []rune(key)
	for i, c := range runes {
		if !inWord(c) {
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
		b = append(b, c)
	}
	return strings.Fields(string(b))
}

func inWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// singular returns words without the s of a plural.
func singular(words []string) []string {
	words = slices.Clone(words)
	for i, word := range words {
		words[i] = withoutS(word)
	}
	return words
}

func withoutS(word string) string {
	if len(word) > 3 && !strings.HasSuffix(word, "ss") {
		return strings.TrimSuffix(word, "s")
	}
	return word
}

// stems returns what words have in common with their plurals: "salary" for salaries, "tax"
// for taxes. It need not be a word: that of cookie is "cooky".
func stems(words []string) []string {
	words = singular(words)
	for i, word := range words {
		base, e := strings.CutSuffix(word, "e")
		switch {
		case !e || len(word) <= 3:
		case strings.HasSuffix(base, "i"):
			words[i] = base[:len(base)-1] + "y"
		case hisses(base):
			words[i] = withoutS(base)
		}
	}
	return words
}

// hisses reports whether the plural of a word ends in es.
func hisses(word string) bool {
	return strings.ContainsAny(word[len(word)-1:], "sxz") || strings.HasSuffix(word, "ch") || strings.HasSuffix(word, "sh")
}

// runsOf returns words as one, in the singular and in the plural. Some forms may be of no
// real word: they match nothing.
func runsOf(words []string) (runs []string) {
	if len(words) == 0 {
		return nil
	}
	words = singular(words)
	before := strings.Join(words[:len(words)-1], "")
	for _, last := range [...]string{words[len(words)-1], stems(words)[len(words)-1]} {
		runs = append(runs, before+last, before+last+"s")
		if hisses(last) {
			runs = append(runs, before+last+"es")
		}
		if base, y := strings.CutSuffix(last, "y"); y {
			runs = append(runs, before+base+"ies")
		}
	}
	return runs
}

// tailOf returns words as a key shows them that has another acronym in front: "API key ".
// A single word has no tail, as it may also end a word that is no secret: PIN, SPIN.
func tailOf(words []string) string {
	if len(words) < 2 {
		return ""
	}
	return strings.ToUpper(words[0]) + " " + strings.Join(words[1:], " ") + " "
}

// spaced returns words with spaces around each.
func spaced(words []string) string { return " " + strings.Join(words, " ") + " " }
