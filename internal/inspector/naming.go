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
		if unicode.IsLower(first) && !strings.ContainsFunc(word, unicode.IsUpper) && !isSmallWord(word) {
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
	case "arisen", "arose", "ate", "became", "become", "began", "begun", "bent", "bet", "bought", "broke", "broken", "brought", "built",
		"burst", "came", "caught", "chose", "chosen", "come", "cut", "dealt", "did", "done", "drawn", "drew", "driven", "drove", "eaten",
		"fallen", "fed", "fell", "felt", "flew", "flown", "forbade", "forbidden", "foresaw", "forgave", "forgiven", "forgot", "forgotten",
		"fought", "found", "froze", "frozen", "gave", "given", "gone", "got", "grew", "grown", "heard", "held", "hid", "hidden", "hit",
		"hung", "hurt", "kept", "knew", "known", "laid", "led", "left", "lent", "let", "lit", "lost", "made", "meant", "met", "mistaken",
		"mistook", "outgrew", "outgrown", "overridden", "overrode", "oversaw", "overseen", "overtaken", "overthrown", "overtook",
		"overwritten", "overwrote", "paid", "proven", "put", "quit", "ran", "read", "rebuilt", "redid", "redone", "reran", "rerun",
		"resent", "reset", "resold", "rethought", "rewritten", "rewrote", "ridden", "risen", "rode", "run", "said", "sank", "saw", "seen",
		"sent", "set", "shaken", "shook", "shown", "shut", "slept", "slid", "sold", "sought", "sped", "spent", "split", "spoke", "spoken",
		"spread", "spun", "stole", "stolen", "stood", "struck", "stuck", "sunk", "swept", "swore", "sworn", "swung", "taken", "taught",
		"thought", "threw", "thrown", "told", "took", "tore", "torn", "understood", "undid", "undone", "unsent", "unset", "upset", "went",
		"withdrawn", "withdrew", "withheld", "woke", "woken", "won", "wore", "worn", "written", "wrote":
		return true
	default:
		return false
	}
}

// idFault says why the ID of a user or a customer, who has this name, looks like a poor
// one. It is "" if the ID does not.
func idFault(id, name, whose string) string {
	look := idlook.Of(id)
	switch {
	case look == idlook.Placeholder:
		return "looks like a missing value or a pointer that was printed"
	case look == idlook.Hidden:
		return "has characters that cannot be seen"
	case look == idlook.Padded:
		return "begins or ends with a space"
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
	case id == name:
		return "is the " + whose + "'s name, and names change"
	default:
		return ""
	}
}
