package klime

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"reflect"
	"slices"
)

// ClaimNames says under which names the claims of a token hold the user and the
// customer. The zero value has the names of OpenID Connect, and those that
// identity providers use for organisations. Where a claim has not the name as it
// stands, dots in it are a path into objects: "o.id" finds {"o":{"id":"org_1"}}, and
// "https://acme.com/app.id" finds {"https://acme.com/app":{"id":"org_1"}}.
type ClaimNames struct {
	UserID      string            // default "sub"
	UserTraits  map[string]string // trait → claim; default email → email, name → name
	GroupID     string            // default "org_id"; the claim may be a list of IDs
	GroupTraits map[string]string // trait → claim, of the group if it is just one; default name → org_name
}

// FromClaims reads what [Link] takes from the claims of a token, under the
// default [ClaimNames].
func FromClaims(claims any) (User, []Group) { return ClaimNames{}.Read(claims) }

// LinkClaims is [Link] of what a verified token says, under the default
// [ClaimNames]. Without a user in it, it does nothing.
func LinkClaims(ctx context.Context, claims any) {
	LinkFunc(ctx, func() (User, []Group) { return FromClaims(claims) })
}

// Read reads what [Link] takes from the claims of a token that your
// authentication has verified. Claims are a map, such as jwt.MapClaims, or
// anything that encodes to a JSON object, such as a struct with
// jwt.RegisteredClaims; without a "sub" among them, a method GetSubject is asked.
// Reading a map costs little; a struct is encoded and decoded for it.
//
// IDs are strings or integers. Traits are strings, numbers and booleans. What is
// empty or of another kind is left out. Without a user ID there is nobody.
func (n ClaimNames) Read(claims any) (User, []Group) {
	fields := claimsOf(claims)
	u := User{ID: claimedID(fields.find(cmp.Or(n.UserID, "sub")))}
	if u.ID == "" && n.UserID == "" {
		u.ID = subjectOf(claims)
	}
	if u.ID == "" {
		return User{}, nil
	}
	u.Traits = fields.traits(n.UserTraits)
	if n.UserTraits == nil {
		u.Traits = fields.traits(map[string]string{"email": "email", "name": "name"})
	}
	var groups []Group
	for _, claim := range listOf(fields.find(cmp.Or(n.GroupID, "org_id"))) {
		id := claimedID(claim)
		known := slices.ContainsFunc(groups, func(g Group) bool { return g.ID == id })
		if id != "" && !known {
			groups = append(groups, Group{ID: id})
		}
	}
	if len(groups) == 1 {
		groups[0].Traits = fields.traits(n.GroupTraits)
		if n.GroupTraits == nil {
			groups[0].Traits = fields.traits(map[string]string{"name": "org_name"})
		}
	}
	return u, groups
}

// claimSet is the claims of a token.
type claimSet map[string]any

func claimsOf(claims any) claimSet {
	if fields, ok := claims.(map[string]any); ok {
		return fields
	}
	asMap := reflect.TypeFor[claimSet]()
	if v := reflect.ValueOf(claims); v.IsValid() && v.CanConvert(asMap) {
		fields, _ := reflect.TypeAssert[claimSet](v.Convert(asMap))
		return fields
	}
	encoded, err := appendAny(nil, claims)
	if err != nil {
		return nil
	}
	var fields claimSet
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber() // an ID may have more digits than a float64
	_ = decoder.Decode(&fields)
	return fields
}

// find returns the claim of that name or at that path, nil if there is none. The
// first parent that is an object is the path's: names of claims may have dots, too.
func (c claimSet) find(name string) any {
	if claim, ok := c[name]; ok {
		return claim
	}
	for dot, char := range name {
		if char != '.' {
			continue
		}
		if inner, ok := c[name[:dot]].(map[string]any); ok {
			return claimSet(inner).find(name[dot+1:])
		}
	}
	return nil
}

// traits reads the traits that have a value.
func (c claimSet) traits(names map[string]string) Traits {
	t := make(Traits, len(names))
	for trait, name := range names {
		switch v := c.find(name).(type) {
		case string:
			if !isBlank(v) {
				t[trait] = v
			}
		case bool, float64, json.Number, int, int64:
			t[trait] = v
		}
	}
	if len(t) == 0 {
		return nil
	}
	return t
}

// claimedID reads an ID: tokens are JSON, whose integers may come as floats.
func claimedID(claim any) string {
	const exactly = 1 << 53 // integers below are exact
	switch v := claim.(type) {
	case float64:
		if v != math.Trunc(v) || math.Abs(v) >= exactly {
			return ""
		}
		return nonZero(int64(v))
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return nonZero(n)
		}
		return ""
	default:
		return ask(answerOfAny, claim).known()
	}
}

func listOf(claim any) []any {
	switch v := claim.(type) {
	case []any:
		return v
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	default:
		return []any{claim}
	}
}

// subjectOf asks the claims of the common JWT libraries.
func subjectOf(claims any) string {
	return ask(func(claims any) answer {
		c, ok := claims.(interface{ GetSubject() (string, error) })
		if !ok {
			return answer{}
		}
		subject, err := c.GetSubject()
		if err != nil {
			return answer{}
		}
		return answerOf(subject)
	}, claims).known()
}
