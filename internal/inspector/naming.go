package inspector

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klimeapp/klime-go/internal/idlook"
)

// nameFault says how a name breaks the convention, Object + Action in the past tense
// as in "Report Generated". It is "" if the name does not.
func nameFault(name string) string {
	words := strings.Fields(name)
	switch {
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has control characters"
	case strings.Join(words, " ") != name:
		return "has needless white space"
	case utf8.RuneCountInString(name) > 60:
		return "is longer than 60 characters"
	case hasID(name):
		return "seems to hold an ID or a number: put that into a property"
	case len(words) == 1 && strings.ContainsAny(name, "_-./:"):
		return "is not in words: write it like “Report Generated”"
	case len(words) == 1:
		return "is one word: name the object and what happened to it"
	}
	past := false
	for i, word := range words {
		first, _ := utf8.DecodeRuneInString(word)
		if unicode.IsLower(first) && !isSmallWord(word) {
			return "has words without a capital"
		}
		past = past || i > 0 && isPast(strings.ToLower(word))
	}
	if !past {
		return "has no verb in the past tense after the object"
	}
	return ""
}

// hasID reports whether there are four digits in a row.
func hasID(name string) bool {
	digits := 0
	for _, r := range name {
		if digits++; r < '0' || r > '9' {
			digits = 0
		}
		if digits == 4 {
			return true
		}
	}
	return false
}

func isSmallWord(word string) bool {
	switch word {
	case "a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "of", "off", "on", "or", "out", "the", "to", "up", "via", "with":
		return true
	default:
		return false
	}
}

func isPast(word string) bool {
	if strings.HasSuffix(word, "ed") && len(word) > 3 {
		return true
	}
	switch word {
	case "become", "begun", "bought", "broken", "brought", "built", "caught", "chosen", "cut", "done", "drawn", "driven", "fallen", "fed",
		"forgotten", "found", "frozen", "given", "gone", "got", "grown", "held", "hidden", "hit", "kept", "known", "laid", "led", "left", "lent",
		"lost", "made", "met", "overridden", "paid", "put", "quit", "read", "rebuilt", "redone", "rerun", "reset", "rewritten", "run", "said",
		"seen", "sent", "set", "shown", "shut", "sold", "spent", "split", "spoken", "spread", "stolen", "stuck", "sunk", "taken", "taught",
		"thought", "thrown", "told", "undone", "upset", "withdrawn", "won", "written":
		return true
	default:
		return false
	}
}

// idFault says why an ID looks like a poor one, "" if it does not.
func idFault(id string) string {
	look := idlook.Of(id)
	switch {
	case look == idlook.Placeholder:
		return "looks like a missing value that was printed"
	case strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has characters that cannot be seen"
	case look == idlook.Name:
		return "looks like a name, and names change"
	case look == idlook.URL:
		return "looks like a URL, and these change"
	case look == idlook.Email:
		return "looks like an e-mail address, and these change"
	case look == idlook.Domain:
		return "looks like a domain, and these change"
	case len(id) > 200:
		return "is very long"
	default:
		return ""
	}
}
