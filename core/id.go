package klime

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
)

// isID reports whether id can be sent. Bytes that are not UTF-8 cannot: two IDs that
// differ only there, such as the bytes of two UUIDs, would become one.
func isID(id string) bool { return !isBlank(id) && isUTF8(id) }

// noID says why id is no ID.
func noID(missing error, id string) error {
	if isBlank(id) {
		return missing
	}
	return fmt.Errorf("%w: what was given is not valid UTF-8", missing)
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
