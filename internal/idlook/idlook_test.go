package idlook_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/klimeapp/klime-go/internal/idlook"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]idlook.Look{
		"usr_1": idlook.Fine, "42": idlook.Fine, "6f0c8a1e-3b1d-4f6e-9a0b-000000000001": idlook.Fine, "acme_inc": idlook.Fine, "v1.2": idlook.Fine,
		"a.b": idlook.Fine, "Ünïcode": idlook.Fine, "jane.doe": idlook.Fine, "auth0.abc": idlook.Fine, "jane@localhost": idlook.Fine,
		"null": idlook.Placeholder, "(null)": idlook.Placeholder, "[object Object]": idlook.Placeholder, "%!s(int=7)": idlook.Placeholder,
		"0": idlook.Placeholder, "&{7}": idlook.Placeholder, "Anonymous": idlook.Placeholder, "n/a": idlook.Placeholder, "unknown": idlook.Placeholder,
		"00000000-0000-0000-0000-000000000000": idlook.Placeholder, "map[]": idlook.Placeholder,
		"0xc000012345": idlook.Placeholder, "0x3757cc851": idlook.Placeholder, "0x7fffc0000123": idlook.Placeholder,
		"0x186a1b": idlook.Fine, "0x3757cc85": idlook.Fine, "0x1007fffc00001": idlook.Fine, "0xfffd8d67d832b975": idlook.Fine, "0xd8da6bf26964af9d7eed9e03e53415d37aa96045": idlook.Fine,
		"0xC000012345": idlook.Fine, "0xc00001234g": idlook.Fine, "c000012345": idlook.Fine, "1xc000012345": idlook.Fine,
		" usr_1": idlook.Padded, "usr_1\n": idlook.Padded, "Acme Inc ": idlook.Padded, "\u00a0usr_1": idlook.Padded,
		"usr\u200b_1": idlook.Hidden, "\ufeffusr_1": idlook.Hidden, "usr_1\x00": idlook.Hidden, "usr\u00a01": idlook.Hidden,
		"\u200eusr_1": idlook.Hidden, "\u202ausr_1\u202c": idlook.Hidden, "\u2066usr_1\u2069": idlook.Hidden, "usr\u00ad1": idlook.Hidden, "usr\u2060": idlook.Hidden, "می\u200cخواهم": idlook.Fine, "👨\u200d👩": idlook.Fine,
		"https://acme.com\u200b": idlook.Hidden, "\u200b jane": idlook.Name, " usr_1\u200b": idlook.Padded,
		"Acme Inc": idlook.Name, "Acme\tInc": idlook.Name, "https://acme.com": idlook.URL, "jane@acme.com": idlook.Email, "acme.com": idlook.Domain,

		"acme.co.za": idlook.Domain, "acme.com.br": idlook.Domain, "acme.co.ke": idlook.Domain, "acme.xyz": idlook.Domain,
		"acme.be": idlook.Domain, "acme.edu": idlook.Domain, "www.acme.gov": idlook.Domain, "www.acme.museum": idlook.Domain,
		"WWW.Acme.Museum": idlook.Domain, "acme.com:8080": idlook.Domain, "acmé.com": idlook.Domain, "acme.com/path": idlook.Domain,
		"acme.com:8080/": idlook.Domain, "app.acme.io/teams/7": idlook.Domain, "jane@acmé.com": idlook.Email,

		"acme-09.com": idlook.Domain, "acme.com:65535": idlook.Domain, "jane@AZ.Com": idlook.Email,
		"jane.doe@localhost": idlook.Fine, "acme_inc.com": idlook.Fine, "acme+inc.com": idlook.Fine, "acme;inc.com": idlook.Fine, ".co.ke": idlook.Fine,
		"www.acme.x": idlook.Fine, "www.acme.x2": idlook.Fine, "www.acme.c0m": idlook.Fine, "www.acme.c_m": idlook.Fine, "www.acme.c{m": idlook.Fine,

		"user.123": idlook.Fine, "org.main": idlook.Fine, "a.b.c": idlook.Fine, "org.id": idlook.Fine, "team.finance": idlook.Fine,
		"jürgen.müller": idlook.Fine, "wei.li": idlook.Fine, "min.hu": idlook.Fine, "acme.prod/7": idlook.Fine, "acme:7": idlook.Fine, "acme.com:owner": idlook.Fine,
		"acme.com:1234567": idlook.Fine, "acme.com:": idlook.Fine, "co.ke": idlook.Fine, "www": idlook.Fine, "www.1": idlook.Fine,
		"orgs/acme.v2": idlook.Fine, "a.co.prod": idlook.Fine, ".com": idlook.Fine, "/acme.com": idlook.Fine, ":8080": idlook.Fine,
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.dozjgNryP4J3jVmNHl0w": idlook.Fine, "3.14": idlook.Fine, "192.0.2.7": idlook.Fine,
	} {
		if got := idlook.Of(id); got != want {
			t.Errorf("%q: got %d, want %d", id, got, want)
		}
	}
}

// A pointer is recognised as package fmt prints it, unless it has as few digits as some
// IDs have: nearly always on 64-bit machines, never on others.
func TestPrintedPointer(t *testing.T) {
	t.Parallel()
	id := fmt.Sprint(new(int))
	if len(id) < len("0x3757cc851") {
		t.Skipf("%s may be an ID", id)
	}
	if idlook.Of(id) != idlook.Placeholder {
		t.Errorf("%s is not recognised", id)
	}
}

// Of all characters, those are hidden that print nothing, but for joiners.
func TestHiddenCharacters(t *testing.T) {
	t.Parallel()
	for r := range unicode.MaxRune + 1 {
		var want bool
		switch {
		case strings.ContainsRune("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0", r): // letters and marks without ink
			want = true
		case strings.ContainsRune(" \t\n\u200c\u200d", r): // a name has these between words, and some scripts between letters
		case unicode.IsPrint(r):
		case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // as the Arabic sign of a year, which is drawn below it
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z):
			want = true
		default:
			continue // private, or none yet
		}
		if got := idlook.Of("a"+string(r)+"b") == idlook.Hidden; got != want {
			t.Fatalf("%U: hidden is %v", r, got)
		}
	}
}
