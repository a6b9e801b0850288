package klime

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
)

// The plain string keys under which web apps keep the signed-in user and group.
const (
	userKey  = "userId"
	groupKey = "groupId"
)

// identity says whose event it is. An ID that is not known is empty.
type identity struct {
	user, group string
	claim       bool            // the group comes from a resolver or context value, and the app does not vouch for it
	orphaned    bool            // the app has declared the group, and has signed out since the user that it had named
	checked     membershipCheck // why RequireMembership has left the group out, if it has
}

// distrust leaves out a group that is a mere claim if no user is known, or if the app
// has turned the request away.
func (id *identity) distrust(turnedAway bool) {
	if id.claim && (id.user == "" || turnedAway) {
		id.group = ""
	}
}

// complete reports whether both user and group are known.
func (id *identity) complete() bool { return id.user != "" && id.group != "" }

// fill fills in what id lacks from other.
func fill(id *identity, other identity) {
	if id.user == "" {
		id.user = other.user
	}
	if id.group == "" {
		id.group, id.claim = other.group, other.claim
	}
}

// valuer is the part of a context that holds values.
type valuer interface{ Value(key any) any }

// identityIn reads the plain context values.
func identityIn(v valuer, ids *interner) identity {
	if v == nil {
		return identity{}
	}
	user := ask(func(any) answer { return answerOfAny(v.Value(userKey)) }, v, nil)
	group := ask(func(any) answer { return answerOfAny(v.Value(groupKey)) }, v, nil)
	return identity{user: ids.keep(user.known()), group: ids.keep(group.known()), claim: true}
}

// idString turns what an app uses as an ID into the string that is sent. It takes a
// string, an integer, an encoding.TextMarshaler, a fmt.Stringer, or a pointer to one
// of these. For anything else, a zero value, a nil pointer and a blank string it returns "".
func idString(v any) string {
	switch id := v.(type) {
	case nil:
		return ""
	case string:
		return nonBlank(id)
	case int:
		return nonZero(int64(id))
	case int64:
		return nonZero(id)
	}
	value := reflect.ValueOf(v)
	if value.IsZero() || value.Kind() == reflect.Pointer && value.Elem().IsZero() {
		return ""
	}
	switch id := v.(type) {
	case encoding.TextMarshaler:
		if text, err := id.MarshalText(); err == nil {
			return nonBlank(string(text))
		}
		return ""
	case fmt.Stringer:
		return nonBlank(id.String())
	}
	switch {
	case value.Kind() == reflect.Pointer:
		return idString(value.Elem().Interface())
	case value.Kind() == reflect.String:
		return idString(value.String())
	case value.CanInt():
		return strconv.FormatInt(value.Int(), 10)
	case value.CanUint():
		return strconv.FormatUint(value.Uint(), 10)
	default:
		return ""
	}
}

// canBeID reports whether values of v's type can be IDs.
func canBeID(v any) bool {
	switch v.(type) {
	case nil, string, encoding.TextMarshaler, fmt.Stringer:
		return true
	}
	kind := reflect.TypeOf(v)
	if kind.Kind() == reflect.Pointer {
		return canBeID(reflect.Zero(kind.Elem()).Interface())
	}
	return kind.Kind() == reflect.String || reflect.Zero(kind).CanInt() || reflect.Zero(kind).CanUint()
}

func nonBlank(id string) string {
	if isBlank(id) {
		return ""
	}
	return id
}

func nonZero(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}
