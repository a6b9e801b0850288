package delivery

import (
	"errors"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secret is a write key, which must not be seen in what is kept of an answer.
type secret string

// hiddenKey stands for it.
const hiddenKey = "[write key]"

// shortSecret is the length in bytes from which a key is not part of a word by chance.
// A local Klime takes any key, such as "local", which is in "localhost".
const shortSecret = 8

// hideIn hides the key in s, also in its quoted form.
func (k secret) hideIn(s string) string {
	if k == "" {
		return s
	}
	s = k.replaceIn(s)
	if quoted := strconv.Quote(string(k)); quoted != `"`+string(k)+`"` {
		s = secret(quoted[1 : len(quoted)-1]).replaceIn(s)
	}
	return s
}

func (k secret) replaceIn(s string) string {
	var b strings.Builder
	from := 0
	for {
		at := strings.Index(s[from:], string(k))
		if at < 0 {
			b.WriteString(s[from:])
			return b.String()
		}
		at += from
		end := at + len(k)
		b.WriteString(s[from:at])
		if len(k) < shortSecret && isWithinWord(s[:at], s[at:end], s[end:]) {
			b.WriteString(s[at:end])
		} else {
			b.WriteString(hiddenKey)
		}
		from = end
	}
}

// isWithinWord reports whether a text goes on, before or after it, with more letters or
// digits.
func isWithinWord(before, text, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(text)
	final, _ := utf8.DecodeLastRuneInString(text)
	next, _ := utf8.DecodeRuneInString(after)
	return isOfWord(last) && isOfWord(first) || isOfWord(final) && isOfWord(next)
}

func isOfWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// hideInError hides the key in the text of err, the error of a request. Errors of net/http
// quote an answer that is not HTTP, which may contain anything.
func (k secret) hideInError(err error) error {
	if request, is := err.(*url.Error); is { //nolint:errorlint // net/http's own, whose URL is ours; not one further in
		hidden := *request
		hidden.Err = k.hideInCause(request.Err)
		return &hidden
	}
	return k.hideInCause(err)
}

func (k secret) hideInCause(err error) error {
	shown := k.hideIn(err.Error())
	line := textproto.ProtocolError("")
	switch {
	case shown == err.Error():
		return err
	case errors.As(err, &line):
		return textproto.ProtocolError(k.hideIn(line.Error())) //nolint:wrapcheck // LogValue must know it, to leave out the rest
	default:
		return errors.New(shown)
	}
}
