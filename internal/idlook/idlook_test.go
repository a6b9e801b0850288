package idlook_test

import (
	"testing"

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
		" usr_1": idlook.Padded, "usr_1\n": idlook.Padded, "Acme Inc ": idlook.Padded, "\u00a0usr_1": idlook.Padded,
		"Acme Inc": idlook.Name, "Acme\tInc": idlook.Name, "https://acme.com": idlook.URL, "jane@acme.com": idlook.Email, "acme.com": idlook.Domain,
	} {
		if got := idlook.Of(id); got != want {
			t.Errorf("%q: got %d, want %d", id, got, want)
		}
	}
}
