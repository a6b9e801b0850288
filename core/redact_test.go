package klime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/secretkeys"
)

// pointerMarshaler is an object where encoding/json has its address, and else a
// number.
type pointerMarshaler int

func (*pointerMarshaler) MarshalJSON() ([]byte, error) { return []byte(`{"password":"hidden"}`), nil }

// textNumber is a number that is a text.
type textNumber int

func (textNumber) MarshalText() ([]byte, error) { return []byte("hidden"), nil }

// A tree whose nodes point to their parents branches at each level of the cycle. It ends
// soon all the same.
func TestBranchingCycle(t *testing.T) {
	t.Parallel()
	root, children := map[string]any{}, make([]any, 6)
	for i := range children {
		children[i] = map[string]any{"parent": root}
	}
	root["children"] = children
	client, err := New(Config{WriteKey: "wk", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Shutdown(t.Context()) }()
	if err := client.Identify(t.Context(), "u1", root); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("Identify: %v", err)
	}
	if err := client.Link(t.Context(), User{ID: "u1", Traits: root}); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("Link: %v", err)
	}
	_ = client.redactProperty("tree", root)
}

// Whatever values look like, what is under a secret key goes, and nothing else
// changes; the app's own maps stay as they are.
func TestClean(t *testing.T) {
	t.Parallel()
	type login struct {
		Name     string `json:"name"`
		Password string `json:"password,omitempty"`
	}
	type m = map[string]any
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	deep := m{}
	for range 100 {
		deep = m{"inner": deep, "password": "hidden"}
	}
	number := 7
	marshals := json.RawMessage(`{"a":[{"apiKey":"hidden","b":1}]}`)
	tests := map[string]struct {
		in   any
		want string // JSON, "" for the very value that came in
	}{
		"nothing":                       {in: m{"a": 1, "b": "hidden"}},
		"a key":                         {m{"a": 1, "password": "hidden"}, `{"a":1,"password":"[redacted]"}`},
		"a number":                      {m{"cvv": 123}, `{"cvv":"[redacted]"}`},
		"other numbers":                 {m{"pin": 1234, "cardNumber": 4242.0, "accessTokens": 1234, "apiToken": 5, "plan": 6}, `{"accessTokens":"[redacted]","apiToken":"[redacted]","cardNumber":"[redacted]","pin":"[redacted]","plan":"[redacted]"}`},
		"counts of tokens":              {in: m{"completion_tokens": 1, "maxTokens": int64(2), "promptTokens": 3.5, "totalTokens": json.Number("4"), "tokens": uint8(5), "cachedTokens": &number, "tokensUsed": 6, "hasToken": true}},
		"no counts":                     {m{"tokens": "hidden", "userTokens": []int{1}, "promptTokens": pointerMarshaler(1), "maxTokens": []int(nil), "hasTokens": new(bool)}, `{"hasTokens":false,"maxTokens":null,"promptTokens":1,"tokens":"[redacted]","userTokens":"[redacted]"}`},
		"a counting struct":             {m{"usage": struct{ TotalTokens, Token any }{7, "hidden"}}, `{"usage":{"Token":"[redacted]","TotalTokens":7}}`},
		"one that is digits":            {m{"token": 123456}, `{"token":"[redacted]"}`},
		"a text of digits":              {m{"token": "123456", "idToken": textNumber(1)}, `{"idToken":"[redacted]","token":"[redacted]"}`},
		"nested":                        {m{"a": m{"b": m{"apiKey": "hidden", "c": 1}}}, `{"a":{"b":{"apiKey":"[redacted]","c":1}}}`},
		"a whole object":                {m{"credentials": m{"user": "hidden"}}, `{"credentials":"[redacted]"}`},
		"in a list":                     {m{"a": []any{1, m{"ssn": "hidden"}}}, `{"a":[1,{"ssn":"[redacted]"}]}`},
		"in a typed list":               {m{"a": []m{{"ssn": "hidden"}}}, `{"a":[{"ssn":"[redacted]"}]}`},
		"in a typed map":                {m{"a": map[string]string{"ssn": "hidden", "b": "c"}}, `{"a":{"b":"c","ssn":"[redacted]"}}`},
		"in a struct":                   {m{"a": login{"Jane", "hidden"}}, `{"a":{"name":"Jane","password":"[redacted]"}}`},
		"by a pointer":                  {m{"a": &login{"Jane", "hidden"}}, `{"a":{"name":"Jane","password":"[redacted]"}}`},
		"in a Marshaler":                {m{"a": marshals}, `{"a":{"a":[{"apiKey":"[redacted]","b":1}]}}`},
		"that there is one, by pointer": {in: m{"hasPassword": new(bool), "passwordChangedAt": &time.Time{}, "secret": (*string)(nil), "password": json.RawMessage("true")}},
		"that there is one":             {in: m{"hasPassword": true, "passwordChangedAt": time.Unix(0, 0), "secret": nil}},
		"numbers in a list":             {in: m{"a": []int{1, 2}, "b": [][]string{{"password"}}}},
		"an open struct":                {in: m{"a": login{Name: "Jane"}}},
		"an open list":                  {in: m{"a": []any{1, m{"b": 2}}, "c": []string{"password"}}},
		"a typed nil":                   {in: m{"a": (*login)(nil)}},
		"a big number":                  {m{"a": login{"1", "hidden"}, "n": json.Number("12345678901234567890")}, `{"a":{"name":"1","password":"[redacted]"},"n":12345678901234567890}`},
		"a channel":                     {in: m{"a": make(chan int)}},
		"a channel of tokens":           {m{"tokens": make(chan int), "password": make(chan int)}, `{"password":"[redacted]","tokens":"[redacted]"}`},
		"of a pointer":                  {m{"a": []pointerMarshaler{1}}, `{"a":[{"password":"[redacted]"}]}`},
		"in lists of lists":             {m{"a": [][]pointerMarshaler{{1}}}, `{"a":[[{"password":"[redacted]"}]]}`},
		"times by name":                 {in: m{"a": map[string]time.Time{"password": at}, "b": []time.Time{at}, "c": &at}},
		"a time and a secret":           {m{"a": Traits{"password": "hidden", "at": at.UTC()}}, `{"a":{"at":"2026-01-02T03:04:05Z","password":"[redacted]"}}`},
		"Traits by a type":              {m{"a": Traits{"password": "hidden"}}, `{"a":{"password":"[redacted]"}}`},
	}
	secrets := secretkeys.New(append(SecretKeys(), "plan="))
	for name, tt := range tests {
		before, _ := json.Marshal(tt.in)
		c := cleaner{secrets: secrets}
		got, changed := c.cleanValue(tt.in, 0)
		if after, _ := json.Marshal(tt.in); !bytes.Equal(after, before) {
			t.Errorf("%s: the app's value has become %s", name, after)
		}
		if tt.want == "" {
			if changed || reflect.ValueOf(got).Pointer() != reflect.ValueOf(tt.in).Pointer() {
				t.Errorf("%s: changed to %v", name, got)
			}
			continue
		}
		if text, err := json.Marshal(got); err != nil || string(text) != tt.want {
			t.Errorf("%s: %s, want %s", name, text, tt.want)
		}
	}
	c := cleaner{secrets: secrets}
	text, err := json.Marshal(c.clean(deep))
	if err != nil || strings.Contains(string(text), "hidden") {
		t.Errorf("a deep value keeps a secret: %v", err)
	}
}

// The log tells once which key looked like a secret's, and never the value. What is not
// replaced is not told of.
func TestHintOfWhatIsRedacted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		traits Traits
		want   string
	}{
		{"a secret", Traits{"name": "Jane", "login": map[string]any{"password": "hidden"}}, "words=password"},
		{"no secret", Traits{"passwordPolicy": "strict", "hasPassword": true, "promptTokens": 7}, ""},
		{"a token", Traits{"tokens": "hidden"}, "words=\"token=\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			client, err := New(Config{WriteKey: "wk", Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			for _, user := range []string{"u1", "u2"} {
				d := draft{Event: Event{Type: IdentifyEvent, UserID: user, Traits: test.traits}}
				client.redact(&d.Event)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = client.Shutdown(ctx)
			n := strings.Count(log.String(), "[redacted]")
			if n > 1 || (n == 1) != (test.want != "") || !strings.Contains(log.String(), test.want) || strings.Contains(log.String(), "hidden") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// telling is a Logger that tells Klime of each line.
type telling struct {
	slog.Handler

	tell func()
}

func (telling) Enabled(context.Context, slog.Level) bool { return true }

func (h telling) Handle(context.Context, slog.Record) error {
	h.tell()
	return nil
}

// The hint comes under no lock, as the app's Logger may send what is redacted too.
func TestHintInALoggerThatSends(t *testing.T) {
	t.Parallel()
	var client *Client
	lines := 0
	logger := slog.New(telling{slog.DiscardHandler, func() {
		lines++
		_ = client.Identify(context.Background(), "log", Traits{"token": "hidden"})
	}})
	client, err := New(Config{WriteKey: "wk", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	client.cfg.Logger = logger
	_ = client.redactProperty("token", "hidden")
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
	client.cfg.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = client.Shutdown(ctx)
}

// No secret gets through, whatever else a key and a value hold.
func FuzzClean(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":"x"}]}}`, "user")
	f.Fuzz(func(t *testing.T, text, prefix string) {
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			t.Skip("no JSON")
		}
		const hidden = "4f6c1b0e-hidden"
		tree := []any{value, map[string]any{prefix + "-api_key": hidden, prefix + " Password": value, "b": value}}
		r := cleaner{secrets: secretkeys.New(SecretKeys())}
		cleaned := r.clean(map[string]any{"a": tree})
		out, err := json.Marshal(cleaned)
		if err != nil || strings.Contains(string(out), hidden) {
			t.Errorf("%s, error %v", out, err)
		}
	})
}
