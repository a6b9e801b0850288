package klime

import "testing"

type valuesOf map[any]any

func (v valuesOf) Value(key any) any { return v[key] }

type valuesPanic struct{}

func (valuesPanic) Value(any) any { panic("recycled") }

// The plain values userId and groupId are not trusted; one that panics is none,
// and does not hide the other.
func TestIdentityInValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   valuer
		want identity
	}{
		{"no values", nil, identity{}},
		{"neither", valuesOf{}, identity{untrusted: true}},
		{"both", valuesOf{"userId": 7, "groupId": "g1"}, identity{user: "7", group: "g1", untrusted: true}},
		{"other keys", valuesOf{"userID": 7, "user_id": 7}, identity{untrusted: true}},
		{"the ID panics", valuesOf{"userId": failing{1}, "groupId": "g1"}, identity{user: "", group: "g1", untrusted: true}},
		{"the values panic", valuesPanic{}, identity{untrusted: true}},
	}
	for _, tt := range tests {
		var got identity
		if got.fillIn(tt.in, nil); got != tt.want {
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
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200}, "u/g"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 0}, "u/g"},
		{identity{user: "", group: "g", untrusted: true}, Exchange{Status: 200}, "/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 401}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 403}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 404}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 400}, "u/g"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 500}, "u/g"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200, GRPCStatus: "0"}, "u/g"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200, GRPCStatus: "5"}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200, GRPCStatus: "7"}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200, GRPCStatus: "12"}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200, GRPCStatus: "16"}, "u/"},
		{identity{user: "u", group: "g", untrusted: true}, Exchange{Status: 200, GRPCStatus: "13"}, "u/g"},
		{identity{user: "u", group: "g", untrusted: false}, Exchange{Status: 401}, "u/g"},
		{identity{user: "", group: "g", untrusted: false}, Exchange{Status: 200}, "/g"},
		{identity{user: "", group: "g", untrusted: false}, Exchange{Status: 404}, "/g"},
	}
	for _, tt := range tests {
		got := tt.in
		got.distrust(tt.x.turnsAway())
		if got.user+"/"+got.group != tt.want {
			t.Errorf("%+v at %d, gRPC %q: %s/%s, want %s", tt.in, tt.x.Status, tt.x.GRPCStatus, got.user, got.group, tt.want)
		}
	}
}

// Only a user who is linked to several groups, of which none is the active one, is undecided.
func TestUndecided(t *testing.T) {
	t.Parallel()
	several := membership{user: "u", groups: []string{"g1", "g2"}}
	one := membership{user: "u", groups: []string{"g1"}, active: "g1"}
	for name, test := range map[string]struct {
		in   knowledge
		want bool
	}{
		"linked to several":             {knowledge{declared: identity{user: "u"}, members: several}, true},
		"linked to one":                 {knowledge{declared: identity{user: "u"}, members: one}, false},
		"another user":                  {knowledge{declared: identity{user: "v"}, members: several}, false},
		"not linked":                    {knowledge{declared: identity{user: "u"}, members: membership{user: "u"}}, false},
		"nobody":                        {knowledge{}, false},
		"the app has said which":        {knowledge{declared: identity{user: "u", group: "g1"}, hasGroup: true, members: several}, false},
		"the app has said that none is": {knowledge{declared: identity{user: "u"}, hasGroup: true, members: several}, false},
	} {
		if got := test.in.isUndecided(); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Plain values are read without an allocation, also those that cannot be IDs.
func TestPlainValuesAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector")
	}
	client, err := New(Config{WriteKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Shutdown(t.Context()) })
	scope := NewTracker(client).Begin(t.Context())
	for _, v := range []valuesOf{{userKey: "u1", groupKey: "g1"}, {userKey: 1.5, groupKey: &struct{ ID string }{}}, {groupKey: "\xf1"}} {
		if got := testing.AllocsPerRun(200, func() {
			var id identity
			id.fillIn(v, scope)
		}); got != 0 {
			t.Errorf("%v: %v allocations", v, got)
		}
	}
}
