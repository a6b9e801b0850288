package delivery

import (
	"context"
	"errors"
	"net/url"
	"testing"
)

func TestHideKey(t *testing.T) {
	t.Parallel()
	const long = "wk_1234567890abcdef"
	tests := []struct{ name, key, in, want string }{
		{"alone", "key", "key", "[write key]"},
		{"as a word", "key", "no such: key, (key) key_1", "no such: [write key], ([write key]) [write key]_1"},
		{"within words", "local", "localhost is nonlocal, or 2local3", "localhost is nonlocal, or 2local3"},
		{"a letter", "a", "a man a plan", "[write key] man [write key] plan"},
		{"twice in a row", "key!", "key!key!", "[write key][write key]"},
		{"within a word that is not Latin", "key", "ключkey", "ключkey"},
		{"a long one within a word", long, "Bearer" + long + "x", "Bearer[write key]x"},
		{"quoted", `a"long"key1`, `"a\"long\"key1"`, `"[write key]"`},
		{"not there", long, "wk_1234", "wk_1234"},
		{"nothing", long, "", ""},
	}
	for _, tt := range tests {
		if got := secret(tt.key).hideIn(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The error of net/http keeps its cause and its URL, which is the client's own.
func TestHideKeyInError(t *testing.T) {
	t.Parallel()
	err := secret("local").hideInError(&url.Error{Op: "Post", URL: "http://local/v1/batch", Err: context.DeadlineExceeded})
	if err.Error() != `Post "http://local/v1/batch": context deadline exceeded` || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	err = secret("key").hideInError(&url.Error{Op: "Post", URL: "http://local/v1/batch", Err: errors.New(`malformed HTTP response "key"`)})
	if want := `Post "http://local/v1/batch": malformed HTTP response "[write key]"`; err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
