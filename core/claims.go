package klime

import (
	"cmp"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// ClaimNames says which claims of a token hold the user and the customer. The zero value
// uses the names of OpenID Connect, and those that identity providers use for
// organisations. If no claim has exactly the given name, dots in it are taken as a path
// into objects: "o.id" finds {"o":{"id":"org_1"}}, and "https://acme.com/app.id" finds
// {"https://acme.com/app":{"id":"org_1"}}.
type ClaimNames struct {
	UserID      string            // default "sub"
	UserTraits  map[string]string // trait → claim; default email → email, name → name
	GroupID     string            // default "org_id"; the claim may be a list of IDs
	GroupTraits map[string]string // trait → claim, used if there is exactly one group; default name → org_name
}

// FromClaims reads the arguments of [Link] from the claims of a token, with the default
// [ClaimNames]. A function given to [LinkFunc] may return them as they are.
func FromClaims(claims any) (User, []Group) { return ClaimNames{}.Read(claims) }

// Read reads the arguments of [Link] from the claims of a token that your authentication
// has verified. Claims are a map, such as jwt.MapClaims, or anything that encodes to a
// JSON object, such as a struct with jwt.RegisteredClaims. If UserID is not set and the
// claim "sub" holds no ID, a method GetSubject is called. Reading a map costs little; a
// struct is encoded to JSON and decoded again.
//
// IDs are strings or integers. Traits are strings, numbers and booleans. Empty and other
// values are left out. Without a user ID, Read returns a zero User and no groups.
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

// claimSet holds the claims of a token.
type claimSet map[string]any

func claimsOf(claims any) claimSet {
	if fields, ok := asClaimSet(claims); ok {
		return fields
	}
	encoded, err := appendAny(nil, claims)
	if err != nil {
		return nil
	}
	var fields claimSet
	_ = decodeJSON(encoded, &fields)
	return fields
}

// asClaimSet returns claims that are a map, whatever its type is called.
func asClaimSet(claims any) (fields claimSet, ok bool) {
	if m, is := claims.(map[string]any); is {
		return m, true
	}
	asMap := reflect.TypeFor[claimSet]()
	if v := reflect.ValueOf(claims); v.IsValid() && v.CanConvert(asMap) {
		return reflect.TypeAssert[claimSet](v.Convert(asMap))
	}
	return nil, false
}

// find returns the claim with that name or at that path, nil if there is none. Names of
// claims may contain dots too, so the path goes through the first prefix, up to a dot,
// that names an object.
func (c claimSet) find(name string) any {
	if claim, ok := c[name]; ok {
		return claim
	}
	for dot, char := range name {
		if char != '.' {
			continue
		}
		if inner, ok := asClaimSet(c[name[:dot]]); ok {
			return inner.find(name[dot+1:])
		}
	}
	return nil
}

// traits returns the traits that have a value, nil if none has.
func (c claimSet) traits(names map[string]string) Traits {
	t := make(Traits, len(names))
	for trait, name := range names {
		claim := c.find(name)
		switch v := reflect.ValueOf(claim); {
		case v.Kind() == reflect.String && isBlank(v.String()):
		case v.Kind() == reflect.String, v.Kind() == reflect.Bool, v.CanInt(), v.CanUint(), v.CanFloat():
			t[trait] = claim
		}
	}
	if len(t) == 0 {
		return nil
	}
	return t
}

// maxExact is how far float64 tells integers apart.
const maxExact = 1 << 53

// claimedID reads an ID. An integer may come as a float64, as encoding/json decodes it.
func claimedID(claim any) string {
	switch v := claim.(type) {
	case float64:
		if v != math.Trunc(v) || math.Abs(v) >= maxExact {
			return ""
		}
		return nonZero(int64(v))
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return nonZero(n)
		}
		n, err := strconv.ParseUint(v.String(), 10, 64) // beyond an int64
		if err != nil {
			return ""
		}
		return claimedID(n)
	default:
		return ask(answerOfAny, claim, nil).known()
	}
}

// listOf returns the values of a claim that may be a list.
func listOf(claim any) []any {
	if list, ok := claim.([]any); ok {
		return list
	}
	v := reflect.ValueOf(claim)
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8 { // bytes are no list
		return []any{claim}
	}
	list := make([]any, v.Len())
	for i := range list {
		list[i] = v.Index(i).Interface()
	}
	return list
}

// subjectOf calls GetSubject, which the claims of the common JWT libraries have.
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
	}, claims, nil).known()
}
