package klime

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSecretKeys(t *testing.T) {
	t.Parallel()
	secrets := []string{
		"password", "Password", "PASSWORD", "userPassword", "password_hash", "db-password", "password2", "oldPassword2", "passwd", "pwd",
		"secret", "clientSecret", "CLIENT_SECRET", "authorization", "Authorization", "X-Authorization", "proxy-authorization",
		"cookie", "Set-Cookie", "sessionCookie", "apiKey", "APIKey", "API_KEY", "x-api-key", "stripeApiKey", "apikey", "userAPIKey2",
		"accessToken", "access_token", "ACCESS-TOKEN", "accesstoken", "refreshToken", "idToken", "csrf.token", "token", "Token", "jwt",
		"cardNumber", "card_number", "creditCard", "creditCardLast4", "cvv", "CVC", "ssn", "userSSN", "SSN", "socialSecurity", "iban", "privateKey",
		"passwords", "accessTokens", "cardNumbers", "apiKeys", "oauthToken", "userToken", "xsrf-token", "verificationToken", "idTokens", "mfaCode",
		"securityCode", "bearer", "pin", "clientsecret", "secretkey", "privateKeys", "jwts",
		"credentials", "session id", "sessionId", "user.password", "пароль password",
		"passWord", "pass_word", "userPassWord", "PassWords", "pASSWORD", "APIkey", "apiKeY", "apiKEYs", "sessionIDs", "sESSION_iD", "ApIkEy2", "iBAN", "toKen",
		"acceSSkey", "old-pass-word-hash", "p.a.s.s.w.o.r.d", "пароль_pass-word",
	}
	public := []string{
		"", "tokensUsed", "tokenCount", "scorecard", "cardinality", "passwordless", "pass", "passed", "secretary", "key", "keyId",
		"api", "apiVersion", "apiKeynote", "monkey", "keyboard", "accessLevel", "cookieless", "authorized", "author", "authorId", "session", "lesson",
		"classname", "assn", "pinned", "accountNumber", "taxId", "reportType", "amount", "cardType", "customerNumber", "email", "name", "tokenizer", "tokens used", "tokenType",
		"passport", "compass", "api keyboard", "apiKeyboard", "compassWord", "bypass_word", "pass wordy", "toKenType", "map_inner", "spin", "topIn",
		"capikeys", "accessKeynote",
	}
	r := newRedactor(SecretKeys())
	for range 2 { // the second time from memory
		for _, key := range secrets {
			if r.secrecyOf(key) == notSecret {
				t.Errorf("%q is not secret", key)
			}
		}
		for _, key := range public {
			if r.secrecyOf(key) != notSecret {
				t.Errorf("%q is secret", key)
			}
		}
	}
	if none := newRedactor([]string{}); none.secrecyOf("password") != notSecret {
		t.Error("an empty list names something")
	}
	own := newRedactor(append(SecretKeys(), "employee number", "plan=", "sub plan=", " ", "=", " -="))
	for key, want := range map[string]bool{"employeeNumber": true, "employee": false, "plan": true, "oldPlan": true, "planName": false, "subplan": true, "subplanName": false, "password": true, "other": false} {
		if (own.secrecyOf(key) == secret) != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
}

// An entry matches singular and plural, and may be either.
func TestSecretKeysInThePlural(t *testing.T) {
	t.Parallel()
	for entry, keys := range map[string]struct{ secret, public []string }{
		"salary":        {[]string{"salary", "salaries", "monthlySalaries", "SALARIES", "salariesPaid"}, []string{"salaried", "celery"}},
		"address":       {[]string{"address", "addresses", "home_addresses", "addressesOf"}, []string{"addressee", "dress"}},
		"home address":  {[]string{"homeAddresses", "homeaddresses", "HOMEADDRESSES", "homeaddress"}, []string{"homeaddressee"}},
		"base salary":   {[]string{"basesalaries", "BASESALARIES", "baseSALaries"}, []string{"basesalaried"}},
		"base salaries": {[]string{"basesalary", "baseSalary", "basesalaries"}, nil},
		"taxes":         {[]string{"tax", "taxes", "TaxesPaid", "taxID"}, []string{"taxi", "taxis", "syntaxes"}},
		"bonus":         {[]string{"bonus", "bonuses", "yearlyBonuses"}, []string{"bonsai"}},
		"cookies":       {[]string{"cookie", "cookies", "SetCookie"}, []string{"cook", "cooks"}},
		"licence":       {[]string{"licence", "licences"}, []string{"licensee"}},
		"pass word":     {[]string{"passwords", "passWord", "pass-words"}, []string{"passes", "wordPasses"}},
		"hash":          {[]string{"hash", "hashes", "fileHashes"}, []string{"hashed"}},
		"batch":         {[]string{"batch", "batches", "BATCHES"}, []string{"batched"}},
		"box":           {[]string{"box", "boxes"}, []string{"boxed"}},
		"pass":          {[]string{"pass", "passes"}, []string{"passed"}},
		"phrase":        {[]string{"phrase", "phrases", "pHRASE", "phRases"}, []string{"phrased"}},
	} {
		r := newRedactor([]string{entry})
		for _, key := range keys.secret {
			if r.secrecyOf(key) != secret {
				t.Errorf("%q: %q is not secret", entry, key)
			}
		}
		for _, key := range keys.public {
			if r.secrecyOf(key) != notSecret {
				t.Errorf("%q: %q is secret", entry, key)
			}
		}
	}
}

// What is remembered of keys is bounded, as callers may choose them. One that is too long
// to be remembered may still be secret.
func TestKnownKeys(t *testing.T) {
	t.Parallel()
	r := newRedactor(SecretKeys())
	for i := range 2 * maxKnownKeys {
		for _, length := range []int{1, maxKnownKeyBytes, 10_000} {
			key := strings.Repeat("k", length) + strconv.Itoa(i) + " password"
			if r.secrecyOf(key) != secret {
				t.Errorf("%.20q is not secret", key)
			}
		}
	}
	n := 0
	r.known.Range(func(key, _ any) bool {
		if n++; len(key.(string)) > maxKnownKeyBytes {
			t.Errorf("remembers a key of %d bytes", len(key.(string)))
		}
		return true
	})
	if n != maxKnownKeys {
		t.Errorf("remembers %d keys, want %d", n, maxKnownKeys)
	}
}

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
		"of a pointer":                  {m{"a": []pointerMarshaler{1}}, `{"a":[{"password":"[redacted]"}]}`},
		"in lists of lists":             {m{"a": [][]pointerMarshaler{{1}}}, `{"a":[[{"password":"[redacted]"}]]}`},
		"times by name":                 {in: m{"a": map[string]time.Time{"password": at}, "b": []time.Time{at}, "c": &at}},
		"a time and a secret":           {m{"a": Traits{"password": "hidden", "at": at.UTC()}}, `{"a":{"at":"2026-01-02T03:04:05Z","password":"[redacted]"}}`},
		"Traits by a type":              {m{"a": Traits{"password": "hidden"}}, `{"a":{"password":"[redacted]"}}`},
	}
	r := newRedactor(append(SecretKeys(), "plan="))
	for name, tt := range tests {
		before, _ := json.Marshal(tt.in)
		c := cleaner{redactor: r}
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
	text, err := json.Marshal(r.clean(deep))
	if err != nil || strings.Contains(string(text), "hidden") {
		t.Errorf("a deep value keeps a secret: %v", err)
	}
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
		r := newRedactor(SecretKeys())
		cleaned := r.clean(map[string]any{"a": []any{value, map[string]any{prefix + "-api_key": hidden, prefix + " Password": value, "b": value}}})
		out, err := json.Marshal(cleaned)
		if err != nil || strings.Contains(string(out), hidden) {
			t.Errorf("%s, error %v", out, err)
		}
	})
}
