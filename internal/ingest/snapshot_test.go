package ingest_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/klimeapp/klime-go/internal/ingest"
)

func TestSnapshot(t *testing.T) {
	s := ingest.New(ingest.Options{})
	post(t, s,
		event("group", "1", "09:00", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"name":"Acme","seats":12}`),
		event("track", "2", "09:10", "event", `"Opened"`, "userId", `"ann"`),
		event("track", "3", "09:20", "event", `"Billed"`, "groupId", `"globex"`))
	before := s.Snapshot()
	if again := s.Snapshot(); again != before {
		t.Error("another snapshot of the same")
	}
	post(t, s,
		event("group", "4", "09:30", "groupId", `"acme"`, "userId", `"bob"`, "traits", `{"name":"Acme Inc"}`),
		event("track", "2", "09:10", "event", `"Opened"`, "userId", `"ann"`))

	// An earlier snapshot does not change.
	acme := before.Groups["acme"]
	if got := acme.Traits.Text("name"); got != "Acme" || !slices.Equal(acme.Users, []string{"ann"}) || len(before.Records) != 3 {
		t.Errorf("the snapshot has changed: %q, %q, %d records", got, acme.Users, len(before.Records))
	}
	after := s.Snapshot()
	acme = after.Groups["acme"]
	if got := acme.Traits.Text("name"); got != "Acme Inc" || !slices.Equal(acme.Users, []string{"ann", "bob"}) || acme.EventCount != 1 ||
		!acme.LastSeen.Equal(at("09:10")) || !acme.Customer || acme.Traits.Text("seats") != "12" {
		t.Errorf("acme: %+v", acme)
	}
	if g := after.Groups["globex"]; g.Customer || g.EventCount != 1 {
		t.Errorf("globex: %+v", g)
	}
	if u := after.Users["ann"]; !slices.Equal(u.Groups, []string{"acme"}) || u.EventCount != 1 {
		t.Errorf("ann: %+v", u)
	}
	if after.Version <= before.Version || after.Records[1].Repeats() != 1 || after.Records[0].Repeats() != 0 {
		t.Errorf("versions %d and %d, repeats %d", before.Version, after.Version, after.Records[1].Repeats())
	}
}

func TestProblems(t *testing.T) {
	s := ingest.New(ingest.Options{WriteKey: "key"})
	long := `{"type":"identify", "pad":"` + strings.Repeat("é", 10_000) + `"}`
	serve(s, "POST", "/v1/batch", batch(`7`, event("track", "1", "09:00", "userId", `"ann"`), long),
		"Authorization", "Bearer key", "User-Agent", strings.Repeat("a", 500))
	serve(s, "POST", "/v1/batch", `nonsense`, "Authorization", "Bearer key")
	serve(s, "POST", "/v1/batch", batch(), "Authorization", "Bearer other")

	problems := s.Snapshot().Problems
	if len(problems) != 5 {
		t.Fatalf("%d problems, want 5", len(problems))
	}
	for i, want := range []struct {
		status, index int
		code, raw     string
	}{
		{0, 0, ingest.CodeInvalidEvent, `7`},
		{0, 1, ingest.CodeMissingEvent, event("track", "1", "09:00", "userId", `"ann"`)},
		{0, 2, ingest.CodeMissingMessageID, long[:8<<10-1]}, // cut at the boundary of a character
		{400, 0, ingest.CodeInvalidJSON, ""},
		{401, 0, ingest.CodeUnauthorized, ""},
	} {
		p := problems[i]
		if p.Seq != i+1 || p.Status != want.status || p.Index != want.index || p.Code != want.code || p.Text != want.raw ||
			p.Cut != (i == 2) || p.Message == "" || p.At.IsZero() || len(p.Sender) > 200 {
			t.Errorf("problem %d: %d %d %s %d bytes %.100s, want %d %d %s %d bytes", i, p.Status, p.Index, p.Code, len(p.Text), p.Text,
				want.status, want.index, want.code, len(want.raw))
		}
	}

	for i := range 1100 {
		send(t, s, batch(fmt.Sprint(i)))
	}
	problems = s.Snapshot().Problems
	if len(problems) != 1000 || problems[0].Seq != 106 || problems[999].Text != "1099" {
		t.Errorf("%d problems, from %d", len(problems), problems[0].Seq)
	}
}

func TestUsage(t *testing.T) {
	one := func(clientErrors, serverErrors int, ms float64) *ingest.Usage {
		return &ingest.Usage{
			Method: "GET", Route: "/a", Count: 1, ClientErrors: clientErrors, ServerErrors: serverErrors,
			Timed: ms > 0, Avg: ms, P50: ms, P95: ms, Max: ms,
		}
	}
	for properties, want := range map[string]*ingest.Usage{
		`{"method":"GET","route":"/a","status":200,"durationMs":1.5}`:                                  one(0, 0, 1.5),
		`{"method":"GET","route":"/a","status":404,"durationMs":1}`:                                    one(1, 0, 1),
		`{"method":"GET","route":"/a","status":500,"durationMs":1}`:                                    one(0, 1, 1),
		`{"method":"GET","route":"/a","status":101,"protocol":"websocket","openMs":9000}`:              one(0, 0, 0),
		`{"method":"GET","route":"/a","aborted":true}`:                                                 one(0, 0, 0),
		`{"method":"GET","status":200,"count":7}`:                                                      {Method: "GET", Count: 1},
		`{"method":"GET","route":"/a"}`:                                                                nil,
		`{"method":"card","status":200}`:                                                               nil,
		`{"method":7,"status":200}`:                                                                    nil,
		`{"status":200,"durationMs":1}`:                                                                nil,
		`{"method":"GET","route":"/a","windowSeconds":60}`:                                             nil,
		`{"method":"GET","route":"/a","windowSeconds":60,"count":-3}`:                                  nil,
		`{"method":"GET","route":"/a","windowSeconds":60,"count":2,"clientErrors":9,"serverErrors":9}`: {Method: "GET", Route: "/a", Count: 2, ClientErrors: 2, RolledUp: true},
		`{"method":"GET","route":"/a","windowSeconds":60,"count":1e300}`:                               {Method: "GET", Route: "/a", Count: min(1e12, math.MaxInt/1000), RolledUp: true},
		`{"method":"GET","route":"/a","count":10,"clientErrors":2,"serverErrors":1,"durationMsAvg":5,"durationMsP50":4,
			"durationMsP95":9,"durationMsMax":11,"windowStart":"2026-11-23T09:00:00Z","windowSeconds":60}`: {
			Method: "GET", Route: "/a", Count: 10, ClientErrors: 2, ServerErrors: 1, RolledUp: true, Timed: true, Avg: 5, P50: 4, P95: 9, Max: 11,
		},
	} {
		s := ingest.New(ingest.Options{})
		post(t, s, event("track", "1", "09:00", "event", `"Any Name"`, "userId", `"ann"`, "properties", properties))
		if got := s.Snapshot().Records[0].Usage; !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", properties, got, want)
		}
	}
}

func TestWhatIsFoundInAnEvent(t *testing.T) {
	s := ingest.New(ingest.Options{MaxEvents: 2})
	context := `{"library":{"name":"go-sdk","version":"0.1.0"},"trace":{"traceId":"4bf92f"}}`
	for i := range 3 {
		post(t, s, event("track", fmt.Sprint(i), "09:00", "event", `"Opened"`, "userId", `"ann"`,
			"properties", `{"b":1.5,"a":"x","c":null,"d":[],"e":{},"f":true}`, "context", context))
	}
	snap := s.Snapshot()
	r := snap.Records[1]
	want := []ingest.Field{{"a", "string"}, {"b", "number"}, {"d", "array"}, {"e", "object"}, {"f", "boolean"}}
	if r.Library != (ingest.Library{Name: "go-sdk", Version: "0.1.0"}) || r.TraceID != "4bf92f" {
		t.Errorf("got %+v, %q", r.Library, r.TraceID)
	}
	if k := snap.Kinds; len(k) != 1 || k[0].Count != 2 || k[0].Type != "track" || k[0].Name != "Opened" || !reflect.DeepEqual(k[0].Fields, want) {
		t.Errorf("got %+v", k)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ingest.New(ingest.Options{WriteKey: "key"})
		changed, stop := s.Watch()
		told := func() bool {
			select {
			case <-changed:
				return true
			default:
				return false
			}
		}
		if told() {
			t.Error("told before anything changed")
		}
		for i := range 3 {
			post(t, s, event("identify", fmt.Sprint(i), "09:00", "userId", `"ann"`))
		}
		if !told() || told() {
			t.Error("want to be told once of what changed since")
		}
		serve(s, "POST", "/v1/batch", batch(), "Authorization", "Bearer other")
		if !told() {
			t.Error("not told of a refused batch")
		}
		stop()
		post(t, s, event("identify", "9", "09:00", "userId", `"ann"`))
		if told() {
			t.Error("told after stop")
		}
	})
}

// What is known of users and groups is bounded too, however many traits and links they
// have, and however long their IDs are.
func TestMemoryOfUsersAndGroups(t *testing.T) {
	const bound = 100_000
	text := strings.Repeat("x", 1000)
	for name, tell := range map[string]func(i int) string{
		"traits of users": func(i int) string {
			return event("identify", fmt.Sprint(i), "09:00", "userId", fmt.Sprintf(`"u%d"`, i%50), "traits", fmt.Sprintf(`{"t%d":%q}`, i, text))
		},
		"traits of one user": func(i int) string {
			return event("identify", fmt.Sprint(i), "09:00", "userId", `"u"`, "traits", fmt.Sprintf(`{"t%d":%q}`, i, text))
		},
		"traits of groups": func(i int) string {
			return event("group", fmt.Sprint(i), "09:00", "groupId", fmt.Sprintf(`"g%d"`, i%50), "traits", fmt.Sprintf(`{"t%d":%q}`, i, text))
		},
		"long IDs": func(i int) string {
			return event("identify", fmt.Sprint(i), "09:00", "userId", fmt.Sprintf(`"%s%d"`, text, i))
		},
		"links": func(i int) string {
			return event("group", fmt.Sprint(i), "09:00", "groupId", fmt.Sprintf(`"g%d"`, i%20), "userId", fmt.Sprintf(`"u%d"`, i/20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ingest.New(ingest.Options{MaxBytes: bound})
			for i := range 2000 {
				post(t, s, tell(i))
			}
			snap := s.Snapshot()
			known, links, total := 0, 0, 0
			for id, u := range snap.Users {
				known += len(id)
				links += len(u.Groups)
				total += len(u.Groups)
				for key, trait := range u.Traits {
					known += len(key) + len(trait.Value)
				}
			}
			for id, g := range snap.Groups {
				known += len(id)
				links -= len(g.Users)
				for key, trait := range g.Traits {
					known += len(key) + len(trait.Value)
				}
			}
			if known+100*total > bound || links != 0 || len(snap.Users)+len(snap.Groups) == 0 {
				t.Errorf("%d bytes of %d users and %d groups are remembered, links differ by %d", known, len(snap.Users), len(snap.Groups), links)
			}
			if len(snap.Users)+len(snap.Groups) > 300 {
				t.Errorf("%d users and %d groups are remembered", len(snap.Users), len(snap.Groups))
			}
		})
	}
}
