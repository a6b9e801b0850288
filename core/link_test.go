package klime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	klime "github.com/klimeapp/klime-go/core"
)

// summary is what was sent, as "type user/group name".
func summary(events []map[string]any) []string {
	lines := make([]string, len(events))
	for i, event := range events {
		lines[i] = fmt.Sprintf("%v %s", event["type"], who(event))
		if traits, ok := event["traits"].(map[string]any); ok {
			lines[i] += fmt.Sprintf(" %v", traits["name"])
		}
	}
	return lines
}

func named(name any) klime.Traits { return klime.Traits{"name": name} }

// What is sent of a series of links: each fact once, changed traits at once.
func TestLinkSendsWhatIsNew(t *testing.T) {
	t.Parallel()
	jane, acme := klime.User{ID: "u1", Traits: named("Jane")}, klime.Group{ID: "g1", Traits: named("Acme")}
	type call struct {
		user   klime.User
		groups []klime.Group
	}
	link := func(u klime.User, groups ...klime.Group) call { return call{u, groups} }
	tests := []struct {
		name  string
		calls []call
		want  []string
	}{
		{"user and group", []call{link(jane, acme)}, []string{"identify u1/ Jane", "group u1/g1 Acme"}},
		{"the same again", []call{link(jane, acme), link(jane, acme)}, []string{"identify u1/ Jane", "group u1/g1 Acme"}},
		{"a user without traits and groups", []call{link(klime.User{ID: "u1"})}, nil},
		{"no traits: the link alone", []call{link(klime.User{ID: "u1"}, klime.Group{ID: "g1"})}, []string{"group u1/g1"}},
		{"empty traits are none", []call{link(klime.User{ID: "u1", Traits: klime.Traits{}}, klime.Group{ID: "g1", Traits: klime.Traits{}})}, []string{"group u1/g1"}},
		{
			"several groups",
			[]call{link(jane, acme, klime.Group{ID: "g2"}), link(jane, klime.Group{ID: "g2"}, acme)},
			[]string{"identify u1/ Jane", "group u1/g1 Acme", "group u1/g2"},
		},
		{"a group twice in a call", []call{link(klime.User{ID: "u1"}, acme, acme)}, []string{"group u1/g1 Acme"}},
		{
			"another user of the group",
			[]call{link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u2"}, acme)},
			[]string{"group u1/g1 Acme", "group u2/g1 Acme"},
		},
		{
			"changed traits of the user, and back",
			[]call{link(jane), link(klime.User{ID: "u1", Traits: named("Janet")}), link(jane), link(jane)},
			[]string{"identify u1/ Jane", "identify u1/ Janet", "identify u1/ Jane"},
		},
		{
			"changed traits of the group, and back",
			[]call{
				link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u1"}, klime.Group{ID: "g1", Traits: named("Acme Inc")}),
				link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u1"}, acme),
			},
			[]string{"group u1/g1 Acme", "group u1/g1 Acme Inc", "group u1/g1 Acme"},
		},
		{
			"traits of the group that another user's link has changed, and back",
			[]call{
				link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u2"}, klime.Group{ID: "g1", Traits: named("Acme Inc")}),
				link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u1"}, klime.Group{ID: "g1"}),
			},
			[]string{"group u1/g1 Acme", "group u2/g1 Acme Inc", "group u1/g1 Acme"},
		},
		{
			"traits of the group that all users change alike",
			[]call{
				link(klime.User{ID: "u1"}, acme), link(klime.User{ID: "u2"}, acme),
				link(klime.User{ID: "u1"}, klime.Group{ID: "g1", Traits: named("Acme Inc")}),
				link(klime.User{ID: "u2"}, klime.Group{ID: "g1", Traits: named("Acme Inc")}), link(klime.User{ID: "u1"}, klime.Group{ID: "g1", Traits: named("Acme Inc")}),
			},
			[]string{"group u1/g1 Acme", "group u2/g1 Acme", "group u1/g1 Acme Inc", "group u2/g1 Acme Inc"},
		},
		{
			"without traits after a link with them, and with them again",
			[]call{link(jane, acme), link(klime.User{ID: "u1"}, klime.Group{ID: "g1"}), link(jane, acme)},
			[]string{"identify u1/ Jane", "group u1/g1 Acme"},
		},
		{
			"traits that come later",
			[]call{link(klime.User{ID: "u1"}, klime.Group{ID: "g1"}), link(jane, acme)},
			[]string{"group u1/g1", "identify u1/ Jane", "group u1/g1 Acme"},
		},
		{
			"a value of another type is another value",
			[]call{
				link(klime.User{ID: "u1", Traits: named("1")}), link(klime.User{ID: "u1", Traits: named(1)}),
				link(klime.User{ID: "u1", Traits: named(true)}), link(klime.User{ID: "u1", Traits: named(nil)}),
			},
			[]string{"identify u1/ 1", "identify u1/ 1", "identify u1/ true", "identify u1/ <nil>"},
		},
		{
			"users and groups are told apart",
			[]call{link(klime.User{ID: "a", Traits: named("x")}, klime.Group{ID: "bc", Traits: named("x")}), link(klime.User{ID: "ab", Traits: named("x")}, klime.Group{ID: "c", Traits: named("x")})},
			[]string{"identify a/ x", "group a/bc x", "identify ab/ x", "group ab/c x"},
		},
		{
			"even by IDs that try not to be",
			[]call{link(klime.User{ID: "a\x00b", Traits: named("x")}), link(klime.User{ID: "a"}, klime.Group{ID: "b\x00", Traits: named("x")})},
			[]string{"identify a\x00b/ x", "group a/b\x00 x"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			for _, c := range tt.calls {
				if err := client.Link(t.Context(), c.user, c.groups...); err != nil {
					t.Fatal(err)
				}
			}
			if got := summary(wire.events(t, client)); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("sent %q\nwant %q", got, tt.want)
			}
		})
	}
}

// Traits are the same whatever their order, also within values.
func TestLinkKnowsEqualTraits(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 50 {
		within := map[string]any{}
		for i := range 10 {
			within[fmt.Sprint(i)] = map[string]any{"a": i, "b": []any{map[string]any{"c": 1, "d": 2}}}
		}
		traits := klime.Traits{
			"name": "Jane", "age": 42, "large": int64(1) << 60, "score": 1.5, "admin": true, "since": at,
			"tags": []string{"a", "b"}, "small": int8(1), "none": nil, "within": within, "list": []any{within},
		}
		if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: traits}); err != nil {
			t.Fatal(err)
		}
	}
	wire.one(t, client)
}

// A value is the same in whichever type of Go, if it is on the wire.
func TestLinkKnowsEqualValues(t *testing.T) {
	t.Parallel()
	type (
		plan  string
		seats int
		fact  struct {
			A string `json:"a"`
			B int    `json:"b"`
		}
	)
	five, at := 5, time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600))
	for name, values := range map[string][]any{
		"an integer": {
			5, 5.0, int8(5), int32(5), int64(5), uint(5), uint16(5), uint32(5), uint64(5), float32(5), seats(5), &five, json.Number("5"),
			json.RawMessage("5"), time.Duration(5),
		},
		"zero":             {0, 0.0, float32(0), json.Number("0")},
		"a large integer":  {int64(1e18), 1e18, uint64(1e18), json.Number("1000000000000000000")},
		"a huge integer":   {uint64(math.MaxUint64), json.Number("18446744073709551615")},
		"a float":          {1e300, json.Number("1e+300"), json.RawMessage("1e+300")},
		"a fraction":       {0.1, float32(0.1), json.Number("0.1")},
		"text":             {"pro", plan("pro"), json.RawMessage(`"pro"`)},
		"a boolean":        {true, json.RawMessage("true")},
		"nothing":          {nil, (*int)(nil), (*time.Time)(nil), []time.Time(nil), []string(nil), []any(nil), map[string]any(nil)},
		"a time":           {at, at.UTC(), at.Add(time.Microsecond), &at},
		"a list":           {[]string{"a", "b"}, []any{"a", plan("b")}, [2]string{"a", "b"}},
		"a list of times":  {[]any{at}, []any{&at}, []time.Time{at.Add(time.Microsecond)}},
		"times by name":    {map[string]any{"a": at}, map[string]time.Time{"a": at}, klime.Traits{"a": at.UTC()}},
		"an object":        {map[string]any{"a": "x", "b": 1}, map[string]any{"b": 1.0, "a": plan("x")}, fact{"x", 1}, &fact{"x", 1}},
		"nothing in lists": {[]any{}, []string{}},
	} {
		client, wire := newClient(t)
		for range 2 {
			for _, value := range values {
				if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: klime.Traits{"a": value}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := wire.events(t, client); len(got) != 1 {
			t.Errorf("%s: %d events: %v", name, len(got), got[1]["traits"])
		}
	}
}

// Every change of a trait is seen, whatever its type.
func TestLinkSeesEveryChange(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	values := []any{
		"", "a", 0, 1, int64(2), 0.5, -0.5, true, false, nil, at, at.Add(time.Millisecond), []string{"a"}, []string{"a", "b"},
		[]any{}, map[string]any{"a": 1}, map[string]any{"a": 2}, map[string]any{"b": 2}, uint8(9), float32(9.5), time.Hour,
	}
	for _, value := range values {
		if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: klime.Traits{"a": value, "b": "same"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: klime.Traits{"b": "same"}}); err != nil { // one less
		t.Fatal(err)
	}
	if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: klime.Traits{"c": "same"}}); err != nil { // another key
		t.Fatal(err)
	}
	if got, want := len(wire.events(t, client)), len(values)+2; got != want {
		t.Errorf("%d events, want %d", got, want)
	}
}

func TestLinkTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t, func(cfg *klime.Config) { cfg.LinkTTL = time.Hour })
		link := func() {
			t.Helper()
			if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: named("Jane")}, klime.Group{ID: "g1"}); err != nil {
				t.Fatal(err)
			}
		}
		link()
		time.Sleep(time.Hour - time.Nanosecond)
		link()
		if got := len(wire.events(t, client)); got != 2 {
			t.Errorf("%d events within the hour, want 2", got)
		}
		time.Sleep(time.Nanosecond)
		link()
		link()
		if got := len(wire.events(t, client)); got != 4 {
			t.Errorf("%d events after the hour, want 4", got)
		}
	})
}

func TestLinkAtTheSameTime(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	start := make(chan struct{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			<-start
			if err := client.Link(t.Context(), klime.User{ID: "u1", Traits: named("Jane")}, klime.Group{ID: "g1"}); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	if got := len(wire.events(t, client)); got != 2 {
		t.Errorf("%d events, want one of the user and one of the group", got)
	}
}

// A link that did not get through is not known as sent.
func TestLinkThatFailed(t *testing.T) {
	t.Parallel()
	jane := klime.User{ID: "u1", Traits: named("Jane")}

	t.Run("the queue was full", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize, cfg.BatchSize = 1, 1 })
			held := make(chan struct{})
			wire.answers(func(int) (int, string) { <-held; return http.StatusOK, "" })
			trackDone(t, client, "u2")
			synctest.Wait() // it is in flight, and takes the only place
			if err := client.Link(t.Context(), jane); !errors.Is(err, klime.ErrQueueFull) {
				t.Fatalf("error %v, want ErrQueueFull", err)
			}
			close(held)
			wire.events(t, client)
			if err := client.Link(t.Context(), jane); err != nil {
				t.Fatal(err)
			}
			if got := summary(wire.events(t, client)); len(got) != 2 || got[1] != "identify u1/ Jane" {
				t.Errorf("sent %q", got)
			}
		})
	})

	t.Run("pushed out of the queue", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 1 })
			wire.answers(always(http.StatusServiceUnavailable, ""))
			if err := client.Link(t.Context(), jane); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // it is back, and waits for a retry
			trackDone(t, client, "u2")
			wire.answers(nil)
			wire.one(t, client)
			if err := client.Link(t.Context(), jane); err != nil {
				t.Fatal(err)
			}
			if got := summary(wire.events(t, client)); len(got) != 2 || got[1] != "identify u1/ Jane" {
				t.Errorf("sent %q", got)
			}
		})
	})

	t.Run("rejected by Klime", func(t *testing.T) {
		t.Parallel()
		for _, answer := range []struct {
			status int
			body   string
		}{
			{http.StatusOK, `{"status":"ok","accepted":0,"failed":1,"errors":[{"index":0,"code":"x","message":"y"}]}`},
			{http.StatusBadRequest, `{"message":"no"}`},
		} {
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t)
				wire.answers(always(answer.status, answer.body))
				if err := client.Link(t.Context(), jane); err != nil {
					t.Fatal(err)
				}
				wire.events(t, client)
				synctest.Wait() // until the outcome is known here too
				wire.answers(nil)
				link := func() []string {
					if err := client.Link(t.Context(), jane); err != nil {
						t.Fatal(err)
					}
					return summary(wire.events(t, client))
				}
				if got := link(); len(got) != 0 { // or each request of this user would be refused
					t.Errorf("after a %d: sent at once %q", answer.status, got)
				}
				time.Sleep(time.Minute)
				if got := link(); len(got) != 1 || got[0] != "identify u1/ Jane" {
					t.Errorf("after a %d: sent %q", answer.status, got)
				}
			})
		}
	})

	t.Run("dropped by BeforeSend", func(t *testing.T) {
		t.Parallel()
		for name, drop := range map[string]func() bool{
			"false":   func() bool { return false },
			"a panic": func() bool { panic("a database is away") },
		} {
			synctest.Test(t, func(t *testing.T) {
				drop, asked := drop, 0
				client, wire := newClient(t, func(cfg *klime.Config) {
					cfg.BeforeSend = func(*klime.Event) bool { asked++; return drop() }
				})
				link := func() []string {
					if err := client.Link(t.Context(), jane); err != nil {
						t.Fatal(err)
					}
					return summary(wire.events(t, client))
				}
				link()
				if got := link(); len(got) != 0 || asked != 1 { // or each request would ask
					t.Errorf("after %s: sent at once %q, asked %d times", name, got, asked)
				}
				drop = func() bool { return true }
				time.Sleep(time.Minute)
				link()
				if got := link(); len(got) != 1 || got[0] != "identify u1/ Jane" {
					t.Errorf("after %s: sent %q", name, got)
				}
			})
		}
	})

	t.Run("not valid", func(t *testing.T) {
		t.Parallel()
		client, wire := newClient(t)
		bad := klime.User{ID: "u1", Traits: klime.Traits{"name": make(chan int)}}
		for range 2 {
			if err := client.Link(t.Context(), bad, klime.Group{ID: "g1"}); !errors.Is(err, klime.ErrNotEncodable) {
				t.Errorf("error %v, want ErrNotEncodable each time", err)
			}
		}
		if got := summary(wire.events(t, client)); len(got) != 1 || got[0] != "group u1/g1" {
			t.Errorf("sent %q, want the group all the same, once", got)
		}
	})

	t.Run("the client is shut down", func(t *testing.T) {
		t.Parallel()
		client, _ := newClient(t)
		shutDown(t, client)
		for range 2 {
			if err := client.Link(t.Context(), jane); !errors.Is(err, klime.ErrClosed) {
				t.Errorf("error %v, want ErrClosed each time", err)
			}
		}
	})
}

func TestLinkNeedsIDs(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	scope := klime.NewTracker(client).Begin(t.Context())
	if err := client.Link(scope, klime.User{Traits: named("Jane")}, klime.Group{ID: "g1"}); !errors.Is(err, klime.ErrMissingUser) {
		t.Errorf("error %v, want ErrMissingUser", err)
	}
	if got := wire.events(t, client); len(got) != 0 || scope.UserID() != "" || scope.GroupID() != "" {
		t.Errorf("of nobody was sent %v, or taken %s/%s", got, scope.UserID(), scope.GroupID())
	}
	jane := klime.User{ID: "u1", Traits: named("Jane")}
	for _, zero := range []klime.Group{{}, {Traits: klime.Traits{"name": "", "plan": nil, "seats": 0}}} { // a user without a company
		if err := client.Link(scope, jane, zero); err != nil {
			t.Errorf("error %v for a zero group", err)
		}
	}
	for _, none := range []klime.Group{{ID: " "}, {Traits: named("Acme")}} {
		if err := client.Link(scope, jane, none, klime.Group{ID: "g1"}); !errors.Is(err, klime.ErrMissingGroup) {
			t.Errorf("error %v, want ErrMissingGroup", err)
		}
	}
	if got := fmt.Sprint(summary(wire.events(t, client))); got != "[identify u1/ Jane group u1/g1 <nil>]" && got != "[identify u1/ Jane group u1/g1]" {
		t.Errorf("sent %s, want what can be sent", got)
	}
	if scope.UserID() != "u1" || scope.GroupID() != "g1" {
		t.Errorf("the request of %s/%s", scope.UserID(), scope.GroupID())
	}
}

// A Link's group is that of its user: it does not go over to another.
func TestLinkedGroupStaysWithItsUser(t *testing.T) {
	t.Parallel()
	for want, calls := range map[string][]func(context.Context){
		"jane/acme":    {link("jane", "acme"), link("jane")},
		"mei/":         {link("jane", "acme"), link("mei")},
		"alex/":        {link("jane", "acme"), link("alex", "cobalt", "globex")},
		"sam/":         {link("jane", "acme"), setUser("sam")},
		"/":            {link("jane", "acme"), setUser("")},
		"jane/cobalt":  {link("jane"), link("jane", "cobalt")},
		"jane/globex":  {link("jane", "acme"), link("jane", "globex")},
		"jane/":        {link("jane", "acme"), link("jane", "globex", "cobalt")},
		"sam/globex":   {link("jane", "acme"), setUser("sam"), setGroup("globex")},
		"jane/initech": {setGroup("initech"), link("jane", "acme")},
	} {
		client, _ := newClient(t)
		scope := klime.NewTracker(client).Begin(t.Context())
		for _, call := range calls {
			call(scope)
		}
		if got := scope.UserID() + "/" + scope.GroupID(); got != want {
			t.Errorf("request of %s, want %s", got, want)
		}
	}
}

// In user mode groups are left out: of what is sent, and of the request.
func TestLinkInUserMode(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, userMode)
	scope := klime.NewTracker(client).Begin(t.Context())
	if err := client.Link(scope, klime.User{ID: "u1", Traits: named("Jane")}, klime.Group{ID: "g1"}); err != nil {
		t.Fatal(err)
	}
	if got := summary(wire.events(t, client)); len(got) != 1 || got[0] != "identify u1/ Jane" {
		t.Errorf("sent %q", got)
	}
	if scope.UserID() != "u1" || scope.GroupID() != "" {
		t.Errorf("request of %s/%s", scope.UserID(), scope.GroupID())
	}
}

// A Link of many groups takes no longer than in proportion: it does not copy the list for
// each of them, nor again if the request has it already.
func TestLinkOfManyGroups(t *testing.T) {
	client, _ := newClient(t)
	tracker := klime.NewTracker(client, klime.RequireMembership())
	groups := make([]klime.Group, 100)
	for i := range groups {
		groups[i].ID = fmt.Sprint("g", (i*37)%len(groups)) // in no order
	}
	link := func(ctx context.Context) {
		if err := client.Link(ctx, klime.User{ID: "u1"}, groups...); err != nil {
			t.Fatal(err)
		}
	}
	link(t.Context())                                 // from now on the facts are known as sent
	if err := client.Flush(t.Context()); err != nil { // or delivery would allocate meanwhile
		t.Fatal(err)
	}
	var scope *klime.Scope
	first := testing.AllocsPerRun(100, func() { scope = tracker.Begin(t.Context()); link(scope) })
	again := testing.AllocsPerRun(100, func() { link(scope) })
	if most := 60.0; first > most || again > 0 { // IDs that share a slot of the interner are copied each time
		t.Errorf("%v allocations, want at most %v; again %v, want none", first, most, again)
	}
	for i := range groups {
		klime.SetGroup(scope, groups[i].ID)
		if got := scope.GroupID(); got != groups[i].ID {
			t.Errorf("not a member of %s", groups[i].ID)
		}
	}
	klime.SetGroup(scope, "g100")
	if got := scope.GroupID(); got != "" {
		t.Errorf("a member of %s", got)
	}
}

// repeatedLink returns a Link that stands in front of every request, which has been sent
// before.
func repeatedLink(tb testing.TB, groups int) (request func()) {
	tb.Helper()
	client, _ := newClient(tb)
	tracker := klime.NewTracker(client)
	user := klime.User{ID: "u1", Traits: klime.Traits{"email": "jane@acme.com", "name": "Jane", "age": 42}}
	list := make([]klime.Group, groups)
	for i := range list {
		list[i] = klime.Group{ID: fmt.Sprint("g", i), Traits: klime.Traits{"name": "Acme Inc", "plan": "pro"}}
	}
	request = func() {
		if err := client.Link(tracker.Begin(tb.Context()), user, list...); err != nil {
			tb.Fatal(err)
		}
	}
	request()
	if err := client.Flush(tb.Context()); err != nil { // or delivery would allocate meanwhile
		tb.Fatal(err)
	}
	return request
}

func BenchmarkLinkRepeated(b *testing.B) {
	for _, groups := range []int{1, 3} {
		b.Run(fmt.Sprint("groups=", groups), func(b *testing.B) {
			request := repeatedLink(b, groups)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}

// Beside the scope, which the request has anyway, only several groups allocate: their list.
func TestLinkRepeatedAllocations(t *testing.T) {
	for groups, most := range map[int]float64{1: 1, 3: 2} {
		least := math.Inf(1)
		for range 3 { // of a client whose interner has a slot for each of the IDs
			least = min(least, testing.AllocsPerRun(100, repeatedLink(t, groups)))
		}
		if least > most {
			t.Errorf("%d groups: %v allocations, want at most %v", groups, least, most)
		}
	}
}

// brokenSpan panics once, in the app's own code.
type brokenSpan struct {
	noop.Span

	broken bool
}

func (s *brokenSpan) SpanContext() trace.SpanContext { return spanContext(1) }

func (s *brokenSpan) Parent() trace.SpanContext {
	if s.broken {
		s.broken = false
		panic("the app's bug")
	}
	return trace.SpanContext{}
}

// A Link under a span that panics is not known as sent.
func TestLinkUnderABrokenSpan(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	ctx := trace.ContextWithSpan(t.Context(), &brokenSpan{broken: true})
	link := func() error { return client.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}) }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic: this shows nothing")
			}
		}()
		_ = link()
	}()
	if err := link(); err != nil {
		t.Fatal(err)
	}
	wire.one(t, client)
}

// A value that cannot be encoded, but is a secret and so not sent, makes no traits new.
func TestLinkWithAnOddSecret(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	for range 100 {
		user := klime.User{ID: "u1", Traits: klime.Traits{"name": "Ann", "plan": "pro", "password": func() {}}}
		if err := client.Link(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(wire.events(t, client)); got != 1 {
		t.Errorf("%d events", got)
	}
}

// A middleware that maps an empty session to a user and a group has found nobody.
func TestLinkFuncOfNobody(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.LinkFunc(ctx, func() (klime.User, []klime.Group) {
			return klime.User{Traits: klime.Traits{"email": ""}}, []klime.Group{{Traits: klime.Traits{"name": "", "seats": 0}}}
		})
	})
	if got := wire.events(t, client); len(got) > 0 || client.Stats().Invalid > 0 {
		t.Errorf("sent %q, %d invalid", summary(got), client.Stats().Invalid)
	}
}
