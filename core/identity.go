package klime

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
)

// The plain string keys under which web apps keep who is signed in.
const (
	userKey  = "userId"
	groupKey = "groupId"
)

// identity is whose event it is; an ID that is not known is empty.
type identity struct {
	user, group string
	claim       bool    // the group is a resolver's word, not the app's
	verdict     verdict // why the group was left out, if it was for RequireMembership
}

// trusted returns the identity without a group that is a mere claim, where the
// claim does not count: without a known user, or when the app turned the
// request away.
func (id identity) trusted(status int) identity {
	if !id.claim {
		return id
	}
	if id.user == "" || turnsAway(status) {
		id.group = ""
	}
	return id
}

// turnsAway reports the answers that tell a caller off: what it has claimed need not
// be so.
func turnsAway(status int) bool { return status == 401 || status == 403 || status == 404 }

// complete reports whether nothing is left to ask for.
func (id identity) complete() bool { return id.user != "" && id.group != "" }

// fill fills in what id lacks.
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
	user := ask(func(any) answer { return answerOfAny(v.Value(userKey)) }, v)
	group := ask(func(any) answer { return answerOfAny(v.Value(groupKey)) }, v)
	return identity{user: ids.keep(user.known()), group: ids.keep(group.known()), claim: true}
}

// idString turns what an app uses as an ID into the string that is sent: a
// string, an integer, an encoding.TextMarshaler or a fmt.Stringer, or a pointer
// to one. A zero value, white space, a nil pointer and anything else is no ID.
func idString(v any) string {
	switch id := v.(type) {
	case nil:
		return ""
	case string:
		if isBlank(id) {
			return ""
		}
		return id
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
			return string(text)
		}
		return ""
	case fmt.Stringer:
		return id.String()
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

// canBeID reports whether some value of v's type is an ID.
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

func nonZero(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}
