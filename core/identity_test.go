package klime

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

type (
	customerID string
	rowID      int32
	flags      uint16
	uuid       [16]byte // as in google/uuid: both String and MarshalText
	textID     struct{ text string }
	brokenText struct{ n int }
	shownID    struct{ n int }
	blankID    struct{ n int }
	pointerID  struct{ n int }
	failing    struct{ n int }
)

func (u uuid) String() string                 { return fmt.Sprintf("%x", u[:]) }
func (u uuid) MarshalText() ([]byte, error)   { return []byte(u.String()), nil }
func (i textID) MarshalText() ([]byte, error) { return []byte(i.text), nil }
func (brokenText) MarshalText() ([]byte, error) {
	return []byte("half"), errors.New("no text")
}
func (brokenText) String() string   { return "not to be used" }
func (i shownID) String() string    { return fmt.Sprint("id-", i.n) }
func (blankID) String() string      { return " \t" }
func (i *pointerID) String() string { return fmt.Sprint("id-", i.n) } // panics on nil
func (failing) String() string      { panic("no session") }

func TestIDString(t *testing.T) {
	t.Parallel()
	one, some, none := 1, "u1", ""
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nil", nil, ""},
		{"string", "u1", "u1"},
		{"empty string", "", ""},
		{"named string", customerID("c1"), "c1"},
		{"empty named string", customerID(""), ""},
		{"int", 42, "42"},
		{"negative int", -42, "-42"},
		{"int 0", 0, ""},
		{"int8", int8(-128), "-128"},
		{"int64", int64(1) << 62, "4611686018427387904"},
		{"int64 0", int64(0), ""},
		{"named int", rowID(7), "7"},
		{"named int 0", rowID(0), ""},
		{"uint", uint(7), "7"},
		{"uint64", ^uint64(0), "18446744073709551615"},
		{"named uint", flags(7), "7"},
		{"uint 0", uint(0), ""},
		{"uuid", uuid{15: 1}, "00000000000000000000000000000001"},
		{"zero uuid", uuid{}, ""},
		{"pointer to uuid", &uuid{15: 1}, "00000000000000000000000000000001"},
		{"pointer to zero uuid", &uuid{}, ""},
		{"typed nil uuid", (*uuid)(nil), ""},
		{"text", textID{"t1"}, "t1"},
		{"zero text", textID{}, ""},
		{"blank text", textID{" "}, ""},
		{"blank Stringer", blankID{1}, ""},
		{"text that fails", brokenText{1}, ""},
		{"Stringer", shownID{1}, "id-1"},
		{"zero Stringer", shownID{}, ""},
		{"Stringer by pointer", &pointerID{1}, "id-1"},
		{"typed nil Stringer by pointer", (*pointerID)(nil), ""},
		{"pointer to a zero Stringer", &pointerID{}, ""},
		{"big.Int", big.NewInt(7), "7"},
		{"zero big.Int", new(big.Int), ""},
		{"duration, a Stringer", time.Second, "1s"},
		{"float", 1.5, ""},
		{"bool", true, ""},
		{"struct", struct{ ID string }{"u1"}, ""},
		{"map", map[string]any{"id": "u1"}, ""},
		{"bytes", []byte("u1"), ""},
		{"func", func() string { return "u1" }, ""},
		{"error", errors.New("u1"), ""},
		{"white space", " \t", ""},
		{"pointer to string, a nullable column", &some, "u1"},
		{"pointer to an empty string", &none, ""},
		{"nil pointer to string", (*string)(nil), ""},
		{"pointer to int", &one, "1"},
	}
	for _, tt := range tests {
		if got := idString(tt.in); got != tt.want {
			t.Errorf("%s: idString(%#v) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// Some frameworks reuse the memory of their strings for the next request: what is
// kept of an ID is a copy, of one that comes again the same.
func TestInterner(t *testing.T) {
	t.Parallel()
	ids := newInterner()
	for _, in := range []*interner{nil, ids} {
		memory := []byte("u1" + strings.Repeat("-", maxInternLen))
		for _, reused := range []string{unsafe.String(&memory[0], 2), unsafe.String(&memory[0], len(memory))} {
			want := strings.Clone(reused)
			var kept []string
			for _, v := range []any{reused, customerID(reused), textID{reused}, keeps{reused}} {
				kept = append(kept, in.keep(idString(v)))
			}
			copy(memory, "xx")
			for i, id := range kept {
				if id != want {
					t.Errorf("ID %d became %q", i, id)
				}
			}
			copy(memory, "u1")
		}
	}
	if a, b := ids.keep("u1"), ids.keep(strings.Clone("u1")); unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("an ID that comes again is copied again")
	}
	for i := range 10 * internSlots { // whatever falls into the same slot
		if id := strconv.Itoa(i); ids.keep(id) != id {
			t.Fatalf("%s became another", id)
		}
	}
}

type keeps struct{ text string }

func (k keeps) String() string { return k.text }

// A resolver that panics, or whose answer does, has found nobody.
func TestAsk(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		resolve func(any) any
		native  any
		want    answer
	}{
		{"no resolver", nil, 1, answer{}},
		{"no request", func(any) any { return "u1" }, nil, answer{}},
		{"asked with the request", func(native any) any { return native }, "u1", answer{id: "u1"}},
		{"panics", func(any) any { panic("no session") }, 1, answer{problem: panicked}},
		{"its answer panics", func(any) any { return failing{1} }, 1, answer{problem: panicked}},
		{"knows nobody", func(any) any { return "" }, 1, answer{}},
		{"knows nobody, by pointer", func(any) any { return (*string)(nil) }, 1, answer{}},
		{"bytes that are not UTF-8", func(any) any { return "\xf1" }, 1, answer{problem: notUTF8}},
		{"a Stringer that is not UTF-8", func(any) any { return keeps{"\xf1"} }, 1, answer{problem: notUTF8}},
		{"a type that is no ID", func(any) any { return 1.5 }, 1, answer{"float64", wrongType}},
		{"a struct that is no ID", func(any) any { return struct{ ID string }{} }, 1, answer{"struct { ID string }", wrongType}},
	}
	for _, tt := range tests {
		if got := ask(resolverOf(tt.resolve), tt.native, nil); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

type valuesOf map[any]any

func (v valuesOf) Value(key any) any { return v[key] }

type valuesPanic struct{}

func (valuesPanic) Value(any) any { panic("recycled") }

// The plain values userId and groupId are a claim; one that panics is none,
// and does not hide the other.
func TestIdentityInValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   valuer
		want identity
	}{
		{"no values", nil, identity{}},
		{"neither", valuesOf{}, identity{claim: true}},
		{"both", valuesOf{"userId": 7, "groupId": "g1"}, identity{user: "7", group: "g1", claim: true}},
		{"other keys", valuesOf{"userID": 7, "user_id": 7}, identity{claim: true}},
		{"the ID panics", valuesOf{"userId": failing{1}, "groupId": "g1"}, identity{user: "", group: "g1", claim: true}},
		{"the values panic", valuesPanic{}, identity{claim: true}},
	}
	for _, tt := range tests {
		if got := identityIn(tt.in, newInterner()); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// A claimed group counts with a known user, and not where the app turned the
// request away.
func TestTrusted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   identity
		x    Exchange
		want string
	}{
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 200}, "u/g"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 0}, "u/g"},
		{identity{user: "", group: "g", claim: true}, Exchange{Status: 200}, "/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 401}, "u/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 403}, "u/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 404}, "u/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 400}, "u/g"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 500}, "u/g"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 200, GRPCStatus: "0"}, "u/g"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 200, GRPCStatus: "5"}, "u/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 200, GRPCStatus: "7"}, "u/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 200, GRPCStatus: "16"}, "u/"},
		{identity{user: "u", group: "g", claim: true}, Exchange{Status: 200, GRPCStatus: "13"}, "u/g"},
		{identity{user: "u", group: "g", claim: false}, Exchange{Status: 401}, "u/g"},
		{identity{user: "", group: "g", claim: false}, Exchange{Status: 200}, "/g"},
		{identity{user: "", group: "g", claim: false}, Exchange{Status: 404}, "/g"},
	}
	for _, tt := range tests {
		got := tt.in
		got.distrust(tt.x.turnsAway())
		if got.user+"/"+got.group != tt.want {
			t.Errorf("%+v at %d, gRPC %q: %s/%s, want %s", tt.in, tt.x.Status, tt.x.GRPCStatus, got.user, got.group, tt.want)
		}
	}
}
