package ingest_test

import (
	"iter"
	"reflect"
	"slices"
	"testing"

	"github.com/klimeapp/klime-go/internal/ingest"
)

type traits = map[string]any

type story struct {
	name      string
	calls     []string
	customers []ingest.Customer
	users     []ingest.User
	timelines map[string][]string // names of events, by group
	unlinked  int
}

// stories are sequences of calls about three users, ann, bob and cid, and two groups,
// acme and globex. The expected results were worked out by hand from Klime's description
// of its three calls. The calls of a story are made in every order, with the same result.
func stories() []story {
	return []story{
		{
			name: "a user of one group, a user of two",
			calls: []string{
				event("identify", "1", "09:00", "userId", `"ann"`, "traits", `{"name":"Ann"}`),
				event("group", "2", "09:10", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"name":"Acme Inc"}`),
				event("group", "3", "09:20", "groupId", `"acme"`, "userId", `"bob"`),
				event("group", "4", "09:30", "groupId", `"globex"`, "userId", `"bob"`),
				event("track", "5", "10:00", "event", `"Ann Anywhere"`, "userId", `"ann"`),
				event("track", "6", "11:00", "event", `"Bob Anywhere"`, "userId", `"bob"`),
				event("track", "7", "12:00", "event", `"Bob In Globex"`, "userId", `"bob"`, "groupId", `"globex"`),
			},
			customers: []ingest.Customer{
				{ID: "acme", Traits: traits{"name": "Acme Inc"}, Users: []string{"ann", "bob"}, EventCount: 2, LastSeen: at("11:00")},
				{ID: "globex", Traits: traits{}, Users: []string{"bob"}, EventCount: 2, LastSeen: at("12:00")},
			},
			users: []ingest.User{
				{ID: "ann", Traits: traits{"name": "Ann"}, Groups: []string{"acme"}, EventCount: 1, LastSeen: at("10:00")},
				{ID: "bob", Traits: traits{}, Groups: []string{"acme", "globex"}, EventCount: 2, LastSeen: at("12:00")},
			},
			timelines: map[string][]string{
				"acme":   {"Ann Anywhere", "Bob Anywhere"},
				"globex": {"Bob Anywhere", "Bob In Globex"},
			},
		},
		{
			name: "an event that names a group counts there alone, and links no one",
			calls: []string{
				event("group", "1", "09:00", "groupId", `"acme"`, "userId", `"ann"`),
				event("group", "2", "09:10", "groupId", `"globex"`, "traits", `{"plan":"pro"}`),
				event("track", "3", "10:00", "event", `"Ann In Globex"`, "userId", `"ann"`, "groupId", `"globex"`),
				event("track", "4", "10:10", "event", `"Cid In Acme"`, "userId", `"cid"`, "groupId", `"acme"`),
				event("track", "5", "10:20", "event", `"Cid Anywhere"`, "userId", `"cid"`),
				event("track", "6", "10:30", "event", `"Globex Billed"`, "groupId", `"globex"`),
				event("track", "7", "10:40", "event", `"Ann Anywhere"`, "userId", `"ann"`),
			},
			customers: []ingest.Customer{
				{ID: "acme", Traits: traits{}, Users: []string{"ann"}, EventCount: 2, LastSeen: at("10:40")},
				{ID: "globex", Traits: traits{"plan": "pro"}, EventCount: 2, LastSeen: at("10:30")},
			},
			users: []ingest.User{
				{ID: "ann", Traits: traits{}, Groups: []string{"acme"}, EventCount: 2, LastSeen: at("10:40")},
				{ID: "cid", Traits: traits{}, EventCount: 2, LastSeen: at("10:20")},
			},
			timelines: map[string][]string{
				"acme":   {"Cid In Acme", "Ann Anywhere"},
				"globex": {"Ann In Globex", "Globex Billed"},
			},
			unlinked: 1, // Cid Anywhere
		},
		{
			name: "no customer without group()",
			calls: []string{
				event("identify", "1", "09:00", "userId", `"ann"`, "traits", `{"email":"ann@acme.example"}`),
				event("identify", "2", "09:10", "userId", `"cid"`),
				event("track", "3", "10:00", "event", `"Ann In Acme"`, "userId", `"ann"`, "groupId", `"acme"`),
				event("track", "4", "10:10", "event", `"Acme Billed"`, "groupId", `"acme"`),
				event("track", "5", "10:20", "event", `"Bob Anywhere"`, "userId", `"bob"`),
				event("track", "6", "10:30", "event", `"Cid Anywhere"`, "userId", `"cid"`),
				event("group", "7", "10:40", "groupId", `"globex"`, "userId", `"cid"`),
			},
			customers: []ingest.Customer{
				{ID: "globex", Traits: traits{}, Users: []string{"cid"}, EventCount: 1, LastSeen: at("10:30")},
			},
			users: []ingest.User{
				{ID: "ann", Traits: traits{"email": "ann@acme.example"}, EventCount: 1, LastSeen: at("10:00")},
				{ID: "bob", Traits: traits{}, EventCount: 1, LastSeen: at("10:20")},
				{ID: "cid", Traits: traits{}, Groups: []string{"globex"}, EventCount: 1, LastSeen: at("10:30")},
			},
			timelines: map[string][]string{
				"acme":   nil,
				"globex": {"Cid Anywhere"},
			},
			unlinked: 3, // Ann In Acme, Acme Billed, Bob Anywhere
		},
		{
			name: "traits merge, the newest wins key by key",
			calls: []string{
				event("identify", "1", "09:00", "userId", `"ann"`, "traits", `{"name":"Ann","seats":1,"admin":false}`),
				event("identify", "2", "09:30", "userId", `"ann"`, "traits", `{"admin":true}`),
				event("identify", "3", "09:20", "userId", `"ann"`, "traits", `{"name":"Ann Lee","admin":false}`),
				event("group", "4", "09:00", "groupId", `"acme"`, "traits", `{"name":"Acme","plan":"free"}`),
				event("group", "5", "10:00", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"plan":"pro"}`),
				event("group", "6", "09:30", "groupId", `"acme"`, "traits", `{"name":"Acme Inc","plan":"trial","since":"2024-02-29T00:00:00Z"}`),
				event("group", "7", "11:00", "groupId", `"acme"`),
			},
			customers: []ingest.Customer{
				{ID: "acme", Traits: traits{"name": "Acme Inc", "plan": "pro", "since": "2024-02-29T00:00:00Z"}, Users: []string{"ann"}},
			},
			users: []ingest.User{
				{ID: "ann", Traits: traits{"name": "Ann Lee", "seats": 1.0, "admin": true}, Groups: []string{"acme"}},
			},
			timelines: map[string][]string{"acme": nil},
		},
		{
			name: "three users, two groups, one call of each kind for each",
			calls: []string{
				event("identify", "1", "12:00", "userId", `"bob"`, "traits", `{"name":"Bob"}`, "groupId", `"globex"`), // identify links no one
				event("group", "2", "12:10", "groupId", `"globex"`, "traits", `{"name":"Globex"}`),                    // a webhook
				event("group", "3", "12:20", "groupId", `"acme"`, "userId", `"bob"`),                                  // link only
				event("group", "4", "12:30", "groupId", `"acme"`, "userId", `"bob"`, "traits", `{"name":"Acme"}`),     // once more
				event("track", "5", "08:00", "event", `"Bob Anywhere"`, "userId", `"bob"`),
				event("track", "6", "09:00", "event", `"Ann In Acme"`, "userId", `"ann"`, "groupId", `"acme"`),
				event("track", "7", "07:00", "event", `"Cid In Globex"`, "userId", `"cid"`, "groupId", `"globex"`),
			},
			customers: []ingest.Customer{
				{ID: "acme", Traits: traits{"name": "Acme"}, Users: []string{"bob"}, EventCount: 2, LastSeen: at("09:00")},
				{ID: "globex", Traits: traits{"name": "Globex"}, EventCount: 1, LastSeen: at("07:00")},
			},
			users: []ingest.User{
				{ID: "ann", Traits: traits{}, EventCount: 1, LastSeen: at("09:00")},
				{ID: "bob", Traits: traits{"name": "Bob"}, Groups: []string{"acme"}, EventCount: 1, LastSeen: at("08:00")},
				{ID: "cid", Traits: traits{}, EventCount: 1, LastSeen: at("07:00")},
			},
			timelines: map[string][]string{
				"acme":   {"Bob Anywhere", "Ann In Acme"},
				"globex": {"Cid In Globex"},
			},
		},
	}
}

func TestAttributionInEveryOrder(t *testing.T) {
	t.Parallel()
	for _, story := range stories() {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			told := 0
			for calls := range permutations(story.calls) {
				s := ingest.New(ingest.Options{})
				told++
				cut := told % (len(calls) + 1) // in two batches, cut at varying places
				post(t, s, calls[:cut]...)
				post(t, s, calls[cut:]...)

				if got := s.Customers(); !reflect.DeepEqual(got, story.customers) {
					t.Fatalf("customers:\n got %+v\nwant %+v\nafter %q", got, story.customers, calls)
				}
				if got := s.Users(); !reflect.DeepEqual(got, story.users) {
					t.Fatalf("users:\n got %+v\nwant %+v\nafter %q", got, story.users, calls)
				}
				for id, want := range story.timelines {
					if got := names(s.Timeline(id)); !slices.Equal(got, want) {
						t.Fatalf("timeline of %s: %q, want %q, after %q", id, got, want, calls)
					}
				}
				if got := s.Counts().Unlinked; got != story.unlinked {
					t.Fatalf("%d events unlinked, want %d, after %q", got, story.unlinked, calls)
				}
			}
			if told != 5040 {
				t.Fatalf("told in %d orders, want 7! = 5040", told)
			}
		})
	}
}

// permutations yields all orders of items, all in the same slice.
func permutations(items []string) iter.Seq[[]string] {
	items = slices.Clone(items)
	return func(yield func([]string) bool) {
		var permute func(k int) bool
		permute = func(k int) bool {
			if k == len(items) {
				return yield(items)
			}
			for i := k; i < len(items); i++ {
				items[k], items[i] = items[i], items[k]
				ok := permute(k + 1)
				items[k], items[i] = items[i], items[k]
				if !ok {
					return false
				}
			}
			return true
		}
		permute(0)
	}
}

func TestEqualTimestamps(t *testing.T) {
	s := ingest.New(ingest.Options{})
	post(t, s,
		event("group", "1", "09:00", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"plan":"free"}`),
		event("group", "2", "09:00", "groupId", `"acme"`, "userId", `"bob"`, "traits", `{"plan":"pro"}`),
		event("track", "3", "10:00", "event", `"First"`, "userId", `"bob"`),
		event("track", "4", "10:00", "event", `"Second"`, "userId", `"ann"`),
		event("track", "5", "10:00", "event", `"Third"`, "groupId", `"acme"`))
	c, _ := customer(s, "acme")
	if c.Traits["plan"] != "pro" {
		t.Errorf("plan is %v, want that of the later arrival", c.Traits["plan"])
	}
	if got, want := names(s.Timeline("acme")), []string{"First", "Second", "Third"}; !slices.Equal(got, want) {
		t.Errorf("timeline %q, want the order of arrival %q", got, want)
	}
}

func TestReturnedValuesBelongToTheCaller(t *testing.T) {
	s := ingest.New(ingest.Options{})
	post(t, s,
		event("identify", "1", "09:00", "userId", `"ann"`, "traits", `{"tags":["a"]}`),
		event("group", "2", "09:00", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"tags":["a"]}`),
		event("track", "3", "09:00", "event", `"Opened"`, "userId", `"ann"`, "properties", `{"tags":["a"]}`))
	type state struct {
		Events, Timeline []ingest.Event
		Customers        []ingest.Customer
		Users            []ingest.User
	}
	look := func() state {
		return state{s.Events(), s.Timeline("acme"), s.Customers(), s.Users()}
	}
	want, got := look(), look()
	for _, tags := range []any{
		got.Events[2].Properties["tags"], got.Timeline[0].Properties["tags"],
		got.Customers[0].Traits["tags"], got.Users[0].Traits["tags"],
	} {
		tags.([]any)[0] = "altered"
	}
	clear(got.Customers[0].Traits)
	clear(got.Customers[0].Users)
	clear(got.Users[0].Traits)
	clear(got.Users[0].Groups)
	clear(got.Events[2].Raw)
	clear(got.Timeline[0].Raw)
	if got := look(); !reflect.DeepEqual(got, want) {
		t.Errorf("altered from outside:\n got %+v\nwant %+v", got, want)
	}
}
