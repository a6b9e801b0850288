package demo

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testSealer() sealer { return sealer{signer{key: []byte("a key")}, time.Hour} }

func TestSealedTicketOpens(t *testing.T) {
	s := testSealer()
	got, err := s.open(s.seal(ticket{"usr_1", "org_1"}))
	if err != nil || got.user != "usr_1" || got.org != "org_1" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTamperedTicketIsRefused(t *testing.T) {
	s := testSealer()
	value := s.seal(ticket{"usr_1", "org_1"})
	data, signature, _ := strings.Cut(value, ".")
	forged := encode([]byte("expires=32472144000&org=org_1&user=usr_2"))
	other := sealer{signer{key: []byte("another key")}, time.Hour}

	for name, value := range map[string]string{
		"empty":             "",
		"no signature":      data,
		"empty signature":   data + ".",
		"other data":        forged + "." + signature,
		"other key":         other.seal(ticket{"usr_1", "org_1"}),
		"short signature":   data + "." + signature[:20],
		"long signature":    value + "AAAA",
		"signature of none": "." + encode(s.sign(nil)),
		"not base64":        "%%%." + signature,
		"three parts":       value + "." + signature,
	} {
		if _, err := s.open(value); !errors.Is(err, ErrSignedOut) {
			t.Errorf("%s: got %v", name, err)
		}
	}

	// Any change of any character.
	for i := range value {
		replacement := byte('A')
		if value[i] == 'A' {
			replacement = 'B'
		}
		if _, err := s.open(value[:i] + string(replacement) + value[i+1:]); !errors.Is(err, ErrSignedOut) {
			t.Errorf("character %d changed: got %v", i, err)
		}
	}
}

func TestTicketExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSealer()
		value := s.seal(ticket{user: "usr_1"})
		time.Sleep(time.Hour - time.Second) // on the bubble's clock
		if _, err := s.open(value); err != nil {
			t.Errorf("before the end: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := s.open(value); !errors.Is(err, ErrSignedOut) {
			t.Errorf("at the end: got %v", err)
		}
	})
}

func TestSessionCookieIsKeptFromScriptsAndOtherSites(t *testing.T) {
	_, cookie, err := NewApp().SignIn("jane@acme.example", Password)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.ReplaceAll(cookie.String(), cookie.Value, "VALUE"),
		"sundial_session=VALUE; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := SignOutCookie(); got.MaxAge >= 0 || got.Value != "" || got.Name != cookie.Name || got.Path != cookie.Path {
		t.Errorf("sign-out: got %s", got)
	}
}
