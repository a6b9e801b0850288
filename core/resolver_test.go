package klime

import "testing"

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
		{"panics", func(any) any { panic("no session") }, 1, answer{problem: problemPanicked}},
		{"its answer panics", func(any) any { return failing{1} }, 1, answer{problem: problemPanicked}},
		{"knows nobody", func(any) any { return "" }, 1, answer{}},
		{"knows nobody, by pointer", func(any) any { return (*string)(nil) }, 1, answer{}},
		{"bytes that are not UTF-8", func(any) any { return "\xf1" }, 1, answer{problem: problemNotUTF8}},
		{"a Stringer that is not UTF-8", func(any) any { return keeps{"\xf1"} }, 1, answer{problem: problemNotUTF8}},
		{"a type that is no ID", func(any) any { return 1.5 }, 1, answer{"float64", problemWrongType}},
		{"a struct that is no ID", func(any) any { return struct{ ID string }{} }, 1, answer{"struct { ID string }", problemWrongType}},
	}
	for _, tt := range tests {
		if got := ask(resolverOf(tt.resolve), tt.native, nil); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
