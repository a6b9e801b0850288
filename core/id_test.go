package klime

import (
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"
)

type (
	customerID string
	rowID      int32
	flags      uint16
	binaryUUID [16]byte // as in google/uuid: both String and MarshalText
	textID     struct{ text string }
	brokenText struct{ n int }
	brokenName string
	shownID    struct{ n int }
	blankID    struct{ n int }
	pointerID  struct{ n int }
	failing    struct{ n int }
)

func (u binaryUUID) String() string               { return fmt.Sprintf("%x", u[:]) }
func (u binaryUUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
func (i textID) MarshalText() ([]byte, error)     { return []byte(i.text), nil }
func (brokenText) MarshalText() ([]byte, error) {
	return []byte("half"), errors.New("no text")
}
func (brokenText) String() string   { return "not to be used" }
func (i shownID) String() string    { return fmt.Sprint("id-", i.n) }
func (blankID) String() string      { return " \t" }
func (i *pointerID) String() string { return fmt.Sprint("id-", i.n) } // panics on nil
func (failing) String() string      { panic("no session") }

func (brokenName) MarshalText() ([]byte, error) { return nil, errors.New("no text") }

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
		{"uuid", binaryUUID{15: 1}, "00000000000000000000000000000001"},
		{"zero uuid", binaryUUID{}, ""},
		{"pointer to uuid", &binaryUUID{15: 1}, "00000000000000000000000000000001"},
		{"pointer to zero uuid", &binaryUUID{}, ""},
		{"typed nil uuid", (*binaryUUID)(nil), ""},
		{"text", textID{"t1"}, "t1"},
		{"zero text", textID{}, ""},
		{"blank text", textID{" "}, ""},
		{"blank Stringer", blankID{1}, ""},
		{"text that fails", brokenText{1}, ""},
		{"named string whose text fails", brokenName("n1"), ""},
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

type keeps struct{ text string }

func (k keeps) String() string { return k.text }
