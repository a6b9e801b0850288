package klime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// mapClaims is as the JWT libraries have it.
type mapClaims map[string]any

// subject is claims that only tell whose they are.
type subject string

func (s subject) GetSubject() (string, error) {
	if s == "" {
		return "", errors.New("no subject")
	}
	return string(s), nil
}

// panicky is claims whose methods panic, as those of a nil pointer do.
type panicky struct{ *subject }

func (p panicky) MarshalJSON() ([]byte, error) { return json.Marshal(*p.subject) }

// expired is claims that tell whose they were.
type expired struct{}

func (expired) GetSubject() (string, error) { return "u1", errors.New("expired") }

// machine is a named map that also tells a subject.
type machine map[string]any

func (machine) GetSubject() (string, error) { return "machine", nil }

type registered struct {
	Subject string `json:"sub,omitempty"`
}

type structClaims struct {
	registered

	Email string `json:"email"`
	Org   int64  `json:"org_id"` //nolint:tagliatelle // as identity providers name it
	Admin bool   `json:"admin"`
}

type plan string

func TestClaims(t *testing.T) {
	t.Parallel()
	type traits = klime.Traits
	tests := map[string]struct {
		claims any
		names  klime.ClaimNames
		user   klime.User
		groups []klime.Group
	}{
		"OpenID Connect": {
			claims: map[string]any{"sub": "u1", "email": "jane@acme.com", "name": "Jane", "org_id": "g1", "org_name": "Acme", "iat": 1.7e9},
			user:   klime.User{ID: "u1", Traits: traits{"email": "jane@acme.com", "name": "Jane"}},
			groups: []klime.Group{{ID: "g1", Traits: traits{"name": "Acme"}}},
		},
		"a named map":              {claims: mapClaims{"sub": "u1", "org_id": "g1"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}}},
		"a pointer to a map":       {claims: &mapClaims{"sub": "u1"}, user: klime.User{ID: "u1"}},
		"no group":                 {claims: mapClaims{"sub": "u1"}, user: klime.User{ID: "u1"}},
		"nobody":                   {claims: mapClaims{"org_id": "g1", "name": "Jane"}},
		"an empty subject":         {claims: mapClaims{"sub": " ", "org_id": "g1"}},
		"nothing":                  {},
		"a nil map":                {claims: mapClaims(nil)},
		"a nil pointer":            {claims: (*structClaims)(nil)},
		"not claims":               {claims: 42},
		"not encodable":            {claims: struct{ C chan int }{}},
		"GetSubject":               {claims: subject("u1"), user: klime.User{ID: "u1"}},
		"GetSubject with an error": {claims: subject("")},
		"GetSubject with both":     {claims: expired{}},
		"GetSubject not asked":     {claims: machine{}, names: klime.ClaimNames{UserID: "uid"}},
		"GetSubject that panics":   {claims: panicky{}},
		"numbers":                  {claims: mapClaims{"sub": 42.0, "org_id": json.Number("9007199254740993")}, user: klime.User{ID: "42"}, groups: []klime.Group{{ID: "9007199254740993"}}},
		"no IDs":                   {claims: mapClaims{"sub": 1.5}},
		"zero":                     {claims: mapClaims{"sub": 0.0, "org_id": "g1"}},
		"beyond exact":             {claims: mapClaims{"sub": 1e300}},
		"just beyond exact":        {claims: mapClaims{"sub": 9007199254740992.0}},
		"the last exact":           {claims: mapClaims{"sub": 9007199254740991.0}, user: klime.User{ID: "9007199254740991"}},
		"negative":                 {claims: mapClaims{"sub": json.Number("-5")}, user: klime.User{ID: "-5"}},
		"true":                     {claims: mapClaims{"sub": true}},
		"a struct": {
			claims: structClaims{registered{"u1"}, "jane@acme.com", 9007199254740993, true},
			names:  klime.ClaimNames{UserTraits: map[string]string{"isAdmin": "admin", "email": "email", "name": "name"}},
			user:   klime.User{ID: "u1", Traits: traits{"isAdmin": true, "email": "jane@acme.com"}},
			groups: []klime.Group{{ID: "9007199254740993"}},
		},
		"a struct without organisation": {claims: structClaims{registered: registered{"u1"}}, user: klime.User{ID: "u1"}},
		"names of one's own": {
			claims: mapClaims{"uid": "u1", "tenant": "g1", "tier": "pro", "seats": 5.0},
			names:  klime.ClaimNames{UserID: "uid", GroupID: "tenant", GroupTraits: map[string]string{"plan": "tier", "seats": "seats"}},
			user:   klime.User{ID: "u1"},
			groups: []klime.Group{{ID: "g1", Traits: traits{"plan": "pro", "seats": 5.0}}},
		},
		"an ID of one's own is not replaced by the subject": {claims: mapClaims{"sub": "service"}, names: klime.ClaimNames{UserID: "uid"}},
		"no traits wanted": {claims: mapClaims{"sub": "u1", "email": "jane@acme.com"}, names: klime.ClaimNames{UserTraits: map[string]string{}}, user: klime.User{ID: "u1"}},
		"a path":           {claims: mapClaims{"sub": "u1", "o": map[string]any{"id": "g1"}}, names: klime.ClaimNames{GroupID: "o.id"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}}},
		"a name with dots": {claims: mapClaims{"sub": "u1", "https://acme.com/org": "g1"}, names: klime.ClaimNames{GroupID: "https://acme.com/org"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}}},
		"a path into a name with dots": {
			claims: mapClaims{"sub": "u1", "https://acme.com/app": map[string]any{"org_id": "g1", "org.name": "Acme", "a.b": map[string]any{"plan": "pro"}}},
			names: klime.ClaimNames{GroupID: "https://acme.com/app.org_id", GroupTraits: map[string]string{
				"name": "https://acme.com/app.org.name", "plan": "https://acme.com/app.a.b.plan", "none": "https://acme.com/app.org", "other": "https://acme.com",
			}},
			user:   klime.User{ID: "u1"},
			groups: []klime.Group{{ID: "g1", Traits: traits{"name": "Acme", "plan": "pro"}}},
		},
		"a path beside a claim that is no object": {
			claims: mapClaims{"sub": "u1", "a": "text", "a.b": map[string]any{"id": "g1"}},
			names:  klime.ClaimNames{GroupID: "a.b.id"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}},
		},
		"a group twice":            {claims: mapClaims{"sub": "u1", "org_id": []string{"g1", "g1"}, "org_name": "Acme"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1", Traits: traits{"name": "Acme"}}}},
		"no path without a dot":    {claims: mapClaims{"sub": "u1", "o": map[string]any{"gs": "g1"}}, names: klime.ClaimNames{GroupID: "orgs"}, user: klime.User{ID: "u1"}},
		"several groups":           {claims: mapClaims{"sub": "u1", "org_id": []any{"g1", "", nil, "g2"}, "org_name": "Acme"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}, {ID: "g2"}}},
		"a number beyond an int64": {claims: mapClaims{"sub": json.Number("18446744073709551615")}, user: klime.User{ID: "18446744073709551615"}},
		"a number beyond any":      {claims: mapClaims{"sub": json.Number("18446744073709551616")}},
		"several as integers":      {claims: mapClaims{"sub": "u1", "org_id": []int64{1, 2}}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "1"}, {ID: "2"}}},
		"bytes are no list":        {claims: mapClaims{"sub": "u1", "org_id": []byte("g1")}, user: klime.User{ID: "u1"}},
		"a path through named maps": {
			claims: mapClaims{"sub": "u1", "o": mapClaims{"id": "g1"}}, names: klime.ClaimNames{GroupID: "o.id"}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}},
		},
		"traits of any scalar type": {
			claims: mapClaims{"sub": "u1", "a": uint32(4), "b": float32(1.5), "c": plan("pro"), "d": plan(" "), "e": []int{1}, "f": struct{}{}, "g": int8(-1)},
			names:  klime.ClaimNames{UserTraits: map[string]string{"a": "a", "b": "b", "c": "c", "d": "d", "e": "e", "f": "f", "g": "g", "h": "h"}},
			user:   klime.User{ID: "u1", Traits: traits{"a": uint32(4), "b": float32(1.5), "c": plan("pro"), "g": int8(-1)}},
		},
		"several as strings": {claims: mapClaims{"sub": "u1", "org_id": []string{"g1", "g2"}}, user: klime.User{ID: "u1"}, groups: []klime.Group{{ID: "g1"}, {ID: "g2"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user, groups := tt.names.Read(tt.claims)
			if !reflect.DeepEqual(user, tt.user) || !reflect.DeepEqual(groups, tt.groups) {
				t.Errorf("read\n     %+v %+v\nwant %+v %+v", user, groups, tt.user, tt.groups)
			}
		})
	}
}

func TestLinkOfClaims(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		for _, claims := range []mapClaims{{"iat": 1.7e9}, {"sub": "u1", "org_id": "g1", "org_name": "Acme"}} {
			klime.LinkFunc(ctx, func() (klime.User, []klime.Group) { return klime.FromClaims(claims) })
		}
	})
	got := fmt.Sprint(summary(wire.events(t, client)))
	if want := "[group u1/g1 Acme track u1/g1]"; got != want || client.Stats().Invalid != 0 {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// Whatever a token holds, what is read from it can be linked or is nobody.
func FuzzClaims(f *testing.F) {
	f.Add(`{"sub":"u1","org_id":"g1"}`, "sub", "org_id")
	f.Add(`{"a":{"b":[1,2.5,null,{}]}}`, "a.b", "a.b.c")
	f.Add(`{"a.b":{"c":"u1","d.e":"g1"}}`, "a.b.c", "a.b.d.e")
	client, _ := newClient(f)
	f.Fuzz(func(t *testing.T, token, user, group string) {
		var claims map[string]any
		if json.Unmarshal([]byte(token), &claims) != nil {
			t.Skip("no token")
		}
		u, groups := klime.ClaimNames{UserID: user, GroupID: group, UserTraits: map[string]string{"a": group}}.Read(claims)
		if u.ID == "" {
			if len(groups) != 0 || u.Traits != nil {
				t.Errorf("nobody with %v %v", u, groups)
			}
			return
		}
		if err := client.Link(t.Context(), u, groups...); err != nil && !errors.Is(err, klime.ErrEventTooLarge) {
			t.Errorf("Link: %v", err)
		}
	})
}
