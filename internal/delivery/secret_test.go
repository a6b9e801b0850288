package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
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

// The error of net/http keeps its URL, which is the client's own, and a cause without the
// key. What an answer said is not logged.
func TestHideKeyInError(t *testing.T) {
	t.Parallel()
	const key = "wk_1234567890"
	request := func(cause error) error {
		return &url.Error{Op: "Post", URL: "http://local/v1/batch", Err: cause}
	}
	gateway := errors.New("gateway token expired")
	tests := []struct {
		name         string
		key          secret
		err          error
		text, logged string
		is           error
	}{
		{
			"a URL like the key", "local", request(context.DeadlineExceeded),
			`Post "http://local/v1/batch": context deadline exceeded`, "context deadline exceeded", context.DeadlineExceeded,
		},
		{
			"an answer that quotes it", key, request(errors.New(`malformed HTTP response "` + key + `"`)),
			`Post "http://local/v1/batch": malformed HTTP response "[write key]"`, "malformed HTTP response …", nil,
		},
		{
			"a header that quotes it", key, request(fmt.Errorf("broken: %w", textproto.ProtocolError("malformed MIME header: "+key+" of jane"))),
			`Post "http://local/v1/batch": malformed MIME header: [write key] of jane`, "malformed MIME header", nil,
		},
		{
			"a request further in", key, request(fmt.Errorf("%w: %w", gateway, &url.Error{Op: "Get", URL: "https://auth.test", Err: context.Canceled})),
			`Post "http://local/v1/batch": gateway token expired: Get "https://auth.test": context canceled`, "gateway token expired: Get …", gateway,
		},
		{
			"a request further in, with the key", key, request(&url.Error{Op: "Get", URL: "https://auth.test?key=" + key, Err: context.Canceled}),
			`Post "http://local/v1/batch": Get "https://auth.test?key=[write key]": context canceled`, "Get …", nil,
		},
	}
	for _, tt := range tests {
		err := tt.key.hideInError(tt.err)
		if err.Error() != tt.text || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := (&SendError{Err: err}).LogValue().String(); got != "no answer: "+tt.logged {
			t.Errorf("%s: logged as %q", tt.name, got)
		}
	}
}
