package inspector_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/internal/inspector"
)

// sample makes events of some customers and users, in random order, with repeats. None of
// them happens near a window's boundary, so that passing time changes no figure.
func sample(random *rand.Rand, n int) []object {
	now := time.Now().UTC()
	id := 0
	event := func(typ string, rest object) object {
		id++
		hours := random.IntN(40 * 24)
		if random.IntN(2) == 0 {
			hours = random.IntN(30)
		}
		if random.IntN(100) == 0 {
			hours = -5 // a wrong clock
		}
		at := now.Add(-time.Duration(hours)*time.Hour - 30*time.Minute)
		rest["type"], rest["messageId"], rest["timestamp"] = typ, fmt.Sprint(id), at.Format(time.RFC3339Nano)
		rest["context"] = object{"library": object{"name": "go-sdk", "version": "0.1.0"}}
		return rest
	}
	pick := func(prefix string, n int) string { return fmt.Sprintf("%s%d", prefix, random.IntN(n)) }
	var events []object
	for range n {
		var e object
		switch random.IntN(12) {
		case 0:
			e = event("identify", object{"userId": pick("user ", 40), "traits": object{"name": pick("Name ", 9), "email": pick("e", 9) + "@x.example"}})
		case 1:
			e = event("group", object{"groupId": pick("org", 9), "userId": pick("user ", 40)})
		case 2:
			e = event("group", object{"groupId": pick("org", 9), "traits": object{"name": pick("Org & Söhne ", 5), "plan": pick("plan", 3)}})
		case 3, 4, 5, 6:
			e = event("track", object{"event": "API Called", "userId": pick("user ", 40), "properties": object{
				"method": "GET", "route": pick("/r", 3), "status": 200 + 100*random.IntN(4), "durationMs": float64(random.IntN(10_000)) / 10,
			}})
		case 7:
			count := 1 + random.IntN(50)
			e = event("track", object{"event": "API Usage Recorded", "userId": pick("user ", 40), "properties": object{
				"method": "POST", "route": "/rolled", "count": count, "clientErrors": count / 5, "serverErrors": count / 9,
				"durationMsAvg": 5.5, "durationMsP50": 4, "durationMsP95": float64(9 + random.IntN(9)), "durationMsMax": 30 + count, "windowSeconds": 60,
			}})
		case 8:
			e = event("track", object{"event": "Invoice Paid", "groupId": pick("org", 12)})
		default:
			e = event("track", object{"event": pick("Report Generated ", 3), "userId": pick("user ", 40)})
		}
		if e["type"] == "track" && e["groupId"] == nil && random.IntN(3) == 0 {
			e["groupId"] = pick("org", 12)
		}
		events = append(events, e)
		if random.IntN(30) == 0 {
			events = append(events, e) // a repeat
		}
	}
	return events
}

// recount works out by brute force what should be shown, from events as they were sent.
// It shares no code with what it checks.
type recount struct {
	now    time.Time
	events []object // each messageId once
	byUser bool
}

func newRecount(events []object, byUser bool) *recount {
	c := &recount{now: time.Now(), byUser: byUser}
	seen := make(map[any]bool)
	for _, e := range events {
		if !seen[e["messageId"]] {
			seen[e["messageId"]] = true
			c.events = append(c.events, e)
		}
	}
	return c
}

func at(e object) time.Time {
	t, err := time.Parse(time.RFC3339Nano, e["timestamp"].(string))
	if err != nil {
		panic(err)
	}
	return t
}

func text(v any) string { s, _ := v.(string); return s }

// customers returns the number of linked users of each customer.
func (c *recount) customers() map[string]int {
	links := make(map[string]map[string]bool)
	for _, e := range c.events {
		if c.byUser {
			if user := text(e["userId"]); user != "" {
				links[user] = nil
			}
			continue
		}
		if e["type"] != "group" {
			continue
		}
		id := e["groupId"].(string)
		if links[id] == nil {
			links[id] = make(map[string]bool)
		}
		if user := text(e["userId"]); user != "" {
			links[id][user] = true
		}
	}
	counts := make(map[string]int)
	for id, users := range links {
		counts[id] = len(users)
	}
	return counts
}

// of returns the track events that count for a customer, in a span that ends now.
func (c *recount) of(id string, span time.Duration) []object {
	linked := make(map[string]bool)
	for _, e := range c.events {
		if e["type"] == "group" && e["groupId"] == id {
			linked[text(e["userId"])] = true
		}
	}
	var counted []object
	for _, e := range c.events {
		group, user := text(e["groupId"]), text(e["userId"])
		counts := group == id || group == "" && user != "" && linked[user]
		if c.byUser {
			counts = user == id
		}
		if e["type"] == "track" && counts && at(e).After(c.now.Add(-span)) {
			counted = append(counted, e)
		}
	}
	return counted
}

func (c *recount) active(id string, days int) int {
	users := make(map[string]bool)
	for _, e := range c.of(id, time.Duration(days)*24*time.Hour) {
		if user := text(e["userId"]); user != "" {
			users[user] = true
		}
	}
	return len(users)
}

const ever = 1000 * 24 * time.Hour

func spans() map[string]time.Duration {
	return map[string]time.Duration{"5m": 5 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour}
}

func TestFiguresEqualARecount(t *testing.T) {
	for seed := range uint64(4) {
		for _, mode := range []inspector.Mode{inspector.GroupMode, inspector.UserMode} {
			t.Run(fmt.Sprint(mode, seed), func(t *testing.T) {
				events := sample(rand.New(rand.NewPCG(seed, 1)), 1500)
				l := newLocal(t, inspector.Options{Mode: mode})
				l.post(events...)
				c := newRecount(events, mode == inspector.UserMode)
				for window, span := range spans() {
					checkCustomers(t, l, c, window, span)
				}
				for id := range c.customers() {
					checkCustomer(t, l, c, id)
				}
				checkTotals(t, l, c)
			})
		}
	}
}

// checkCustomers compares the list in the API and on the page with a recount.
func checkCustomers(t *testing.T, l *local, c *recount, window string, span time.Duration) {
	t.Helper()
	list := api[inspector.CustomerList](l, "/api/customers", "window", window, "limit", "500")
	page := l.page("/customers", "window", window, "limit", "500")
	want := c.customers()
	if len(list.Items) != len(want) || list.Total != len(want) {
		t.Errorf("%d customers of %d, want %d", len(list.Items), list.Total, len(want))
	}
	for _, got := range list.Items {
		users, known := want[got.ID]
		if !known {
			t.Errorf("%q is no customer", got.ID)
			continue
		}
		expected := []int{users, c.active(got.ID, 1), c.active(got.ID, 7), c.active(got.ID, 30), len(c.of(got.ID, span))}
		if have := []int{got.Users, got.Active1, got.Active7, got.Active30, got.Events}; !slices.Equal(have, expected) {
			t.Errorf("%q in %s: users, active 1, 7, 30 and events are %v, want %v", got.ID, window, have, expected)
		}
		sum := 0
		for _, n := range got.Parts {
			sum += n
		}
		all := c.of(got.ID, ever)
		if sum != got.Events || got.Total != len(all) {
			t.Errorf("%q: parts sum to %d of %d, total %d, want %d", got.ID, sum, got.Events, got.Total, len(all))
		}
		var last time.Time
		for _, e := range all {
			if at(e).After(last) {
				last = at(e)
			}
		}
		if (got.LastSeen == nil) != last.IsZero() || got.LastSeen != nil && !got.LastSeen.Equal(last) {
			t.Errorf("%q: last seen %v, want %v", got.ID, got.LastSeen, last)
		}
		shown := figuresOf(t, page, `<tr data-key="`+html.EscapeString(got.ID)+`">`, `</tr>`)
		onPage := map[string]string{"events": strconv.Itoa(got.Events)}
		if !c.byUser {
			maps.Copy(onPage, map[string]string{
				"users": strconv.Itoa(got.Users), "active1": strconv.Itoa(got.Active1), "active7": strconv.Itoa(got.Active7), "active30": strconv.Itoa(got.Active30),
			})
		}
		if !maps.Equal(shown, onPage) {
			t.Errorf("%q: the page shows %v, the API says %v", got.ID, shown, onPage)
		}
	}
}

var figure = regexp.MustCompile(`data-figure="([^"]+)"[^>]*>([^<]*)<`)

// figuresOf returns the figures between two marks of a page, without commas.
func figuresOf(t *testing.T, page, from, to string) map[string]string {
	t.Helper()
	_, rest, ok := strings.Cut(page, from)
	part, _, _ := strings.Cut(rest, to)
	if !ok {
		t.Fatalf("no %s on the page", from)
	}
	shown := make(map[string]string)
	for _, m := range figure.FindAllStringSubmatch(part, -1) {
		shown[m[1]] = strings.ReplaceAll(m[2], ",", "")
	}
	return shown
}

// checkCustomer compares all about one customer.
func checkCustomer(t *testing.T, l *local, c *recount, id string) {
	t.Helper()
	got := api[inspector.CustomerDetail](l, "/api/customer", "id", id, "window", "7d")
	events := c.of(id, 7*24*time.Hour)

	names, perUser := make(map[string]int), make(map[string]int)
	for _, e := range events {
		names[e["event"].(string)]++
		perUser[text(e["userId"])]++
	}
	for _, n := range got.Names {
		if names[n.Name] != n.Events {
			t.Errorf("%q: %d × %s, want %d", id, n.Events, n.Name, names[n.Name])
		}
		delete(names, n.Name)
	}
	if len(names) > 0 {
		t.Errorf("%q: missing %v", id, names)
	}
	linked := 0
	for _, m := range got.Members {
		if m.Events != perUser[m.ID] {
			t.Errorf("%q: %d events of %q, want %d", id, m.Events, m.ID, perUser[m.ID])
		}
		if m.Linked {
			linked++
		}
	}
	if !c.byUser && linked != got.Users {
		t.Errorf("%q: %d users listed, %d counted", id, linked, got.Users)
	}
	checkUsage(t, id, got.Usage, events)

	shown := figuresOf(t, l.page("/customer", "id", id, "window", "7d"), `<dl class="tiles">`, `</dl>`)
	if n := strconv.Itoa(got.Events); shown["events"] != n {
		t.Errorf("%q: the page shows %s events, the API %s", id, shown["events"], n)
	}
	if n := strconv.Itoa(got.Usage.Total.Count); got.Usage.Total.Count > 0 && shown["requests"] != n {
		t.Errorf("%q: the page shows %s requests, the API %s", id, shown["requests"], n)
	}

	// The timeline, page by page, is all of them once, the newest first.
	walked := walk[inspector.Event](l, "/api/timeline", "customer", id, "limit", "7")
	all := c.of(id, ever)
	ids := make(map[string]bool)
	for i, e := range walked {
		ids[e.MessageID] = true
		if i > 0 && e.Timestamp.After(walked[i-1].Timestamp) {
			t.Errorf("%q: the timeline is not in order", id)
		}
	}
	if len(ids) != len(all) || len(walked) != len(all) {
		t.Errorf("%q: %d events in the timeline, %d different, want %d", id, len(walked), len(ids), len(all))
	}
}

// checkUsage compares requests with a recount of raw events and roll-ups.
func checkUsage(t *testing.T, id string, got inspector.Usage, events []object) {
	t.Helper()
	type sums struct {
		count, clients, servers int
		total, most             float64
		single                  []float64
		p95                     float64 // of roll-ups, times their count
		rolled                  int
	}
	routes := make(map[string]*sums)
	all := &sums{}
	for _, e := range events {
		p, _ := e["properties"].(object)
		if p["method"] == nil {
			continue
		}
		key := p["method"].(string) + " " + p["route"].(string)
		if routes[key] == nil {
			routes[key] = &sums{}
		}
		for _, s := range []*sums{routes[key], all} {
			if n, ok := p["count"].(int); ok {
				s.count += n
				s.clients += p["clientErrors"].(int)
				s.servers += p["serverErrors"].(int)
				s.total += 5.5 * float64(n)
				s.most = max(s.most, float64(p["durationMsMax"].(int)))
				s.p95 += p["durationMsP95"].(float64) * float64(n)
				s.rolled += n
				continue
			}
			s.count++
			switch status := p["status"].(int); {
			case status >= 500:
				s.servers++
			case status >= 400:
				s.clients++
			}
			ms := p["durationMs"].(float64)
			s.total += ms
			s.most = max(s.most, ms)
			s.single = append(s.single, ms)
		}
	}
	check := func(name string, q inspector.Requests, s *sums) {
		if q.Count != s.count || q.ClientErrors != s.clients || q.ServerErrors != s.servers || q.Timed != s.count {
			t.Errorf("%q %s: got %+v, want %+v", id, name, q, s)
		}
		if s.count == 0 {
			return
		}
		slices.Sort(s.single)
		p95 := 0.0
		if n := len(s.single); n > 0 {
			rank := n * 95 / 100
			if n*95%100 == 0 {
				rank--
			}
			p95 = s.single[rank]
		}
		p95 = (p95*float64(len(s.single)) + s.p95) / float64(s.count)
		for figure, pair := range map[string][2]float64{
			"average": {q.Avg, s.total / float64(s.count)}, "max": {q.Max, s.most}, "p95": {q.P95, p95},
			"error rate": {q.ErrorRate, float64(s.clients+s.servers) / float64(s.count)},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-6*(1+pair[1]) {
				t.Errorf("%q %s: %s is %v, want %v", id, name, figure, pair[0], pair[1])
			}
		}
	}
	check("all", got.Total, all)
	if len(got.Routes) != len(routes) || got.Rolled != all.rolled {
		t.Errorf("%q: %d routes, %d rolled up; want %d and %d", id, len(got.Routes), got.Rolled, len(routes), all.rolled)
	}
	for _, q := range got.Routes {
		check(q.Route, q, cmp.Or(routes[q.Method+" "+q.Route], &sums{}))
	}
	requests, errors := 0, 0
	for i := range got.Parts {
		requests += got.Parts[i]
		errors += got.Errors[i]
	}
	if requests != all.count || errors != all.clients+all.servers {
		t.Errorf("%q: the chart has %d requests and %d errors", id, requests, errors)
	}
}

func checkTotals(t *testing.T, l *local, c *recount) {
	t.Helper()
	s := api[inspector.Summary](l, "/api/summary")
	unlinked := 0
	shown := make(map[any]bool)
	for id := range c.customers() {
		for _, e := range c.of(id, ever) {
			shown[e["messageId"]] = true
		}
	}
	users := make(map[string]bool)
	for _, e := range c.events {
		if e["type"] == "track" && !shown[e["messageId"]] {
			unlinked++
		}
		if user := text(e["userId"]); user != "" {
			users[user] = true
		}
	}
	if s.Accepted != len(c.events) || s.Events != len(c.events) || s.Unlinked != unlinked || s.Users != len(users) || s.Customers != len(c.customers()) {
		t.Errorf("got %+v, want %d events, %d unlinked, %d users", s, len(c.events), unlinked, len(users))
	}
	list := api[inspector.UserList](l, "/api/users", "limit", "500", "window", "30d")
	if list.Total != len(users) {
		t.Errorf("%d users listed", list.Total)
	}
	for _, u := range list.Items {
		n := 0
		for _, e := range c.events {
			if e["type"] == "track" && e["userId"] == u.ID {
				n++
			}
		}
		if u.Total != n {
			t.Errorf("%q: %d events, want %d", u.ID, u.Total, n)
		}
	}
}

// Forgotten events are in no figure of a window, but still in the totals.
func TestFiguresAfterForgetting(t *testing.T) {
	engine := ingestWith(3)
	l := &local{inspector.New(engine, inspector.Options{}), t, engine}
	l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "userId": "ann"})
	for i := range 5 {
		l.post(object{"type": "track", "messageId": fmt.Sprint(i), "timestamp": now(), "event": "Report Generated", "userId": "ann"})
	}
	c := api[inspector.CustomerDetail](l, "/api/customer", "id", "acme")
	if c.Events != 3 || c.Total != 5 || c.Users != 1 || len(c.Members) != 1 || c.Members[0].Events != 3 {
		t.Errorf("got %+v", c)
	}
	for i := range 5 {
		l.post(object{"type": "group", "messageId": fmt.Sprint("g", i), "timestamp": now(), "groupId": fmt.Sprint("org_", i)})
	}
	for i := range 4 {
		l.post(object{"type": "identify", "messageId": fmt.Sprint("u", i), "timestamp": now(), "userId": fmt.Sprint("usr_", i)})
	}
	page := l.page("/customers")
	for _, text := range []string{"newest 3 events, up to 256 MiB", "12 older events forgotten", "2 users forgotten", "3 groups forgotten"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not tell %q: %s", text, page)
		}
	}
	if s := api[inspector.Summary](l, "/api/summary"); s.Forgotten != 12 || s.LostUsers != 2 || s.LostGroups != 3 {
		t.Errorf("got %+v", s)
	}
}

// If a user or customer was forgotten and is named again, only events from then on count:
// a window never has more events than the total.
func TestForgottenAndNamedAgain(t *testing.T) {
	for _, tt := range []struct {
		path, key, call string
		mode            inspector.Mode
	}{
		{"/api/user", "userId", "identify", inspector.GroupMode},
		{"/api/customer", "userId", "identify", inspector.UserMode},
		{"/api/customer", "groupId", "group", inspector.GroupMode},
	} {
		t.Run(tt.path+" of "+tt.key, func(t *testing.T) {
			engine := ingest.New(ingest.Options{MaxBytes: 1 << 20})
			l := &local{inspector.New(engine, inspector.Options{Mode: tt.mode}), t, engine}
			n := 0
			event := func(typ, id string) object {
				n++
				return object{"type": typ, "messageId": fmt.Sprint(n), "timestamp": now(), tt.key: id, "event": "Report Generated"}
			}
			events := []object{event(tt.call, "one")}
			for range 10 {
				events = append(events, event("track", "one"))
			}
			for i := range 3000 {
				events = append(events, event(tt.call, fmt.Sprint("other", i)))
			}
			l.post(events...)
			if w := l.serve("GET", tt.path+"?id=one"); w.Code != 404 {
				t.Fatalf("it is not forgotten: %s", w.Body)
			}
			l.post(event(tt.call, "one"), event("track", "one"))
			d := api[inspector.Customer](l, tt.path, "id", "one")
			names := api[inspector.UserDetail](l, tt.path, "id", "one").Names
			if d.Events != 1 || d.Total != 1 || names[0].Events != 1 {
				t.Errorf("%d events, %d ever, by name %v; want 1", d.Events, d.Total, names)
			}
			if total := api[inspector.List[inspector.Event]](l, "/api/events", "type", "track").Total; total != 11 {
				t.Errorf("%d events are remembered, want all 11", total)
			}
		})
	}
}

func TestSearchSortAndPages(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	for i, name := range []string{"Acme", "beta", "Čez", "", "Delta"} {
		traits := object{"plan": []string{"pro", "free"}[i%2]}
		if name != "" {
			traits["name"] = name
		}
		l.post(object{"type": "group", "messageId": fmt.Sprint("g", i), "timestamp": now(), "groupId": fmt.Sprint("c", i), "traits": traits})
		for j := range i {
			l.post(object{"type": "track", "messageId": fmt.Sprint(i, "-", j), "timestamp": now(), "groupId": fmt.Sprint("c", i), "event": "Invoice Paid"})
		}
	}
	for _, tt := range []struct {
		query []string
		want  []string
	}{
		{nil, []string{"c4", "c3", "c2", "c1", "c0"}},
		{[]string{"limit", "2"}, []string{"c4", "c3", "c2", "c1", "c0"}},
		{[]string{"sort", "events", "order", "asc", "limit", "1"}, []string{"c0", "c1", "c2", "c3", "c4"}},
		{[]string{"sort", "name"}, []string{"c0", "c1", "c3", "c4", "c2"}},
		{[]string{"sort", "name", "order", "desc"}, []string{"c2", "c4", "c3", "c1", "c0"}},
		{[]string{"sort", "plan"}, []string{"c1", "c3", "c0", "c2", "c4"}},
		{[]string{"q", "ČEZ"}, []string{"c2"}},
		{[]string{"q", "pro"}, []string{"c4", "c2", "c0"}},
		{[]string{"q", "C3"}, []string{"c3"}},
		{[]string{"q", "nothing"}, nil},
		{[]string{"page", "9"}, nil},
		{[]string{"page", "", "limit", "", "sort", "", "window", ""}, []string{"c4", "c3", "c2", "c1", "c0"}},
	} {
		var got []string
		for _, c := range walk[inspector.Customer](l, "/api/customers", tt.query...) {
			got = append(got, c.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.query, got, tt.want)
		}
	}
	if page := l.page("/customers", "q", "nothing"); !strings.Contains(page, "No customer matches") {
		t.Error("nothing is said of a search without result")
	}
}

func TestEventsFiltersAndPages(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	l.post(
		object{"type": "identify", "messageId": "1", "timestamp": now(), "userId": "ann", "traits": object{"name": "Ann"}},
		object{"type": "track", "messageId": "2", "timestamp": now(), "userId": "ann", "event": "Report Generated", "properties": object{"Kind": "Revenue"}},
		object{"type": "track", "messageId": "3", "timestamp": now(), "userId": "bob", "groupId": "acme", "event": "Invoice Paid",
			"context": object{"trace": object{"traceId": "4bf92f"}}},
		object{"type": "group", "messageId": "4", "timestamp": now(), "groupId": "acme", "userId": "bob"},
		object{"type": "track", "messageId": "2", "timestamp": now(), "userId": "ann", "event": "Report Generated"})
	for _, tt := range []struct {
		query []string
		want  []int
	}{
		{nil, []int{4, 3, 2, 1}},
		{[]string{"limit", "1"}, []int{4, 3, 2, 1}},
		{[]string{"limit", "3"}, []int{4, 3, 2, 1}},
		{[]string{"before", "3"}, []int{2, 1}},
		{[]string{"type", "track"}, []int{3, 2}},
		{[]string{"user", "ann"}, []int{2, 1}},
		{[]string{"group", "acme"}, []int{4, 3}},
		{[]string{"event", "Invoice Paid"}, []int{3}},
		{[]string{"trace", "4bf92f"}, []int{3}},
		{[]string{"show", "repeated"}, []int{2}},
		{[]string{"q", "revenue"}, []int{2}},
		{[]string{"q", "nothing"}, nil},
	} {
		var got []int
		for _, e := range walk[inspector.Event](l, "/api/events", tt.query...) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.query, got, tt.want)
		}
	}
	e := api[inspector.Event](l, "/api/event", "seq", "2")
	if e.MessageID != "2" || e.Repeats != 1 || e.Event != "Report Generated" {
		t.Errorf("got %+v", e)
	}
	for _, path := range []string{"/api/event?seq=99", "/api/event/json?seq=99", "/api/customer?id=none", "/api/user?id=none", "/api/timeline?customer=none", "/customer?id=none", "/user", "/nowhere"} {
		if w := l.serve("GET", path); w.Code != 404 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

// A page shows as active only the filters that its list follows.
func TestActiveFilters(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	l.postRaw(`{"batch":[{}]}`)
	for show, want := range map[string][]string{"": {"user: ann"}, "problems": {"code: missing_message_id"}} {
		page := l.page("/events", "show", show, "user", "ann", "code", "missing_message_id")
		for _, filter := range []string{"user: ann", "code: missing_message_id"} {
			if strings.Contains(page, filter) != slices.Contains(want, filter) {
				t.Errorf("show=%s: want the filters %q:\n%s", show, want, page)
			}
		}
	}
}

// A page past the end is the last one: the list may be shorter than when the link was
// made.
func TestPagePastTheEnd(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	for i := range 5 {
		l.post(object{"type": "group", "messageId": fmt.Sprint(i), "timestamp": now(), "groupId": fmt.Sprint("org_", i), "userId": fmt.Sprint("usr_", i)})
		l.postRaw(`{"batch":[{}]}`)
	}
	for _, path := range []string{"/customers", "/users", "/events?show=problems"} {
		for _, number := range []string{"3", "4", "9", "1000000"} {
			u, err := url.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			page := html.UnescapeString(l.page(u.Path, "show", u.Query().Get("show"), "limit", "2", "page", number))
			if !strings.Contains(page, "5–5 of 5") || !strings.Contains(page, "page=2") || strings.Contains(page, "Next →") || strings.Contains(page, "No such user") {
				t.Errorf("%s, page %s, is not the last", path, number)
			}
		}
	}
	if page := l.page("/customers", "page", "9"); !strings.Contains(page, "org_4") || strings.Contains(page, "No customer matches") {
		t.Error("the only page is not shown")
	}
	if page := l.page("/users", "q", "nobody", "page", "9"); !strings.Contains(page, "No such user") {
		t.Error("nothing is said of a search without result")
	}
}

// Unknown paths of the query API, and methods other than GET, are answered in JSON too.
func TestWrongPathsAndMethods(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api", 404},
		{"GET", "/api/", 404},
		{"GET", "/api/nothing", 404},
		{"GET", "/api/event/nothing", 404},
		{"POST", "/api/nothing", 404},
		{"POST", "/api/summary", 405},
		{"DELETE", "/api/event/json", 405},
		{"HEAD", "/api/summary", 200},
	} {
		w := l.serve(tt.method, tt.path)
		var got struct{ Error string }
		err := json.Unmarshal(w.Body.Bytes(), &got)
		if w.Code != tt.status || w.Header().Get("Content-Type") != "application/json" || tt.status != 200 && (err != nil || got.Error == "") {
			t.Errorf("%s %s: status %d: %s", tt.method, tt.path, w.Code, w.Body)
		}
		if w.Header().Get("Allow") != map[int]string{405: "GET, HEAD"}[tt.status] {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, w.Header().Get("Allow"))
		}
	}
}

// A list without items is an empty array, never null: scripts need no special case.
func TestListsAreNeverNull(t *testing.T) {
	for _, mode := range []inspector.Mode{inspector.GroupMode, inspector.UserMode} {
		for _, known := range []bool{false, true} {
			l := newLocal(t, inspector.Options{Mode: mode})
			paths := []string{"/api/customers", "/api/users", "/api/events", "/api/problems", "/api/health"}
			if known {
				l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "traits": object{"name": "Acme"}},
					object{"type": "identify", "messageId": "i", "timestamp": now(), "userId": "ann", "traits": object{"name": "Ann"}})
				id := map[inspector.Mode]string{inspector.GroupMode: "acme", inspector.UserMode: "ann"}[mode]
				paths = append(paths, "/api/customers?q=nothing", "/api/users?q=nothing", "/api/events?q=nothing", "/api/problems?code=none",
					"/api/customer?id="+id, "/api/timeline?customer="+id, "/api/user?id=ann")
			}
			for _, path := range paths {
				body := l.serve("GET", path).Body.String()
				if nulls := regexp.MustCompile(`"\w+":null`).FindAllString(body, -1); slices.ContainsFunc(nulls, func(s string) bool { return s != `"lastSeen":null` }) {
					t.Errorf("%s in %s mode: %q", path, mode, nulls)
				}
			}
		}
	}
}

// Pages search for a long text as the API does, and keep it in the search field. Only
// their links, of which there are many, have just its beginning.
func TestLongSearch(t *testing.T) {
	for _, n := range []int{300, 301, 2000, 10_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			l := newLocal(t, inspector.Options{})
			text := strings.Repeat("é", n/2) + strings.Repeat("x", n%2)
			l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "userId": "ann", "traits": object{"name": text}},
				object{"type": "identify", "messageId": "i", "timestamp": now(), "userId": "ann", "traits": object{"name": text}},
				object{"type": "group", "messageId": "h", "timestamp": now(), "groupId": "other"})
			for path, rows := range map[string]int{"customers": 1, "users": 1, "events": 2} {
				if total := api[inspector.List[any]](l, "/api/"+path, "q", text).Total; total != rows {
					t.Errorf("/api/%s finds %d, want %d", path, total, rows)
				}
				page := l.page("/"+path, "q", text)
				if !strings.Contains(page, fmt.Sprintf(`data-total="%d"`, rows)) || !strings.Contains(page, `value="`+text+`"`) {
					t.Errorf("/%s does not find or keep a text of %d bytes", path, n)
				}
				links := 0
				for _, link := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
					u, err := url.Parse(html.UnescapeString(link[1]))
					if err != nil {
						t.Fatal(err)
					}
					if q := u.Query().Get("q"); q != "" {
						links++
						if q != text[:min(n, 2000)] {
							t.Errorf("a link of /%s searches for %d bytes", path, len(q))
						}
					}
				}
				if links == 0 {
					t.Errorf("no link of /%s keeps the search", path)
				}
			}
			next := api[inspector.List[any]](l, "/api/events", "q", text, "limit", "1").Next
			if u, err := url.Parse(next); err != nil || u.Query().Get("q") != text {
				t.Error("the next part is of another search")
			}
		})
	}
}

// The API shows an event byte by byte as it was sent. The page shows it indented, and
// loses nothing.
func TestExactJSON(t *testing.T) {
	raw := `{"type":"track","messageId":"m", "timestamp":"` + now() + `","event":"Report Generated","userId":"u",
		"properties":{"big":12345678901234567890.10,"dup":1,"dup":2,"esc":"\u003c\/\u00e9"}, "future":[ ]}`
	l := newLocal(t, inspector.Options{})
	l.postRaw(`{"batch":[` + raw + `]}`)
	if got := l.serve("GET", "/api/event/json?seq=1"); got.Body.String() != raw || got.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %s", got.Body)
	}
	page := html.UnescapeString(l.page("/events", "seq", "1"))
	for _, part := range []string{`"big": 12345678901234567890.10`, `"dup": 1`, `"dup": 2`, `"esc": "\u003c\/\u00e9"`} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	var sent, got any
	_ = json.Unmarshal([]byte(raw), &sent)
	_ = json.Unmarshal(api[inspector.Event](l, "/api/event", "seq", "1").JSON, &got)
	if !reflect.DeepEqual(got, sent) {
		t.Errorf("got %v", got)
	}
}

// Invalid UTF-8 is stored as it came, and does not make a list invalid.
func TestInvalidUTF8(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	raw := `{"type":"track","messageId":"m","timestamp":"` + now() + `","event":"A` + "\xff\xfe" + `B","userId":"u` + "\xc3" + `","properties":{"` + "\xe2\x82" + `":1}}`
	l.postRaw(`{"batch":[` + raw + `]}`)
	l.serve("POST", "/v1/batch")
	l.postRaw(`{"batch":[{"type":"` + "\xff" + `"}]}`)
	for _, path := range []string{"/api/events", "/api/event?seq=1", "/api/users", "/api/user?id=u%EF%BF%BD", "/api/problems", "/api/health", "/events", "/events?seq=1", "/users", "/events?show=problems"} {
		if w := l.serve("GET", path); w.Code != 200 || !utf8.Valid(w.Body.Bytes()) {
			t.Errorf("%s: status %d, valid %t", path, w.Code, utf8.Valid(w.Body.Bytes()))
		}
	}
	if got := l.serve("GET", "/api/event/json?seq=1").Body.String(); got != raw {
		t.Errorf("got %q", got)
	}
}

func TestTraceLinks(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, tt := range []struct{ url, id, want string }{
		{"http://127.0.0.1:8082/traces/", id, `href="http://127.0.0.1:8082/traces/` + id + `"`},
		{"", id, ""},
		{"http://127.0.0.1:8082/traces/", "../" + id[3:], ""},
		{"http://127.0.0.1:8082/traces/", "4bf9", ""},
		{"http://127.0.0.1:8082/traces/", id + "00", ""},
	} {
		l := newLocal(t, inspector.Options{TraceURL: tt.url})
		l.post(object{"type": "track", "messageId": "1", "timestamp": now(), "userId": "u", "event": "Report Generated", "context": object{"trace": object{"traceId": tt.id}}})
		for path, n := range map[string]int{"/events": 1, "/events?seq=1": 2, "/user?id=u": 1} {
			page := l.page(path)
			if got := strings.Count(page, tt.want); tt.want != "" && got != n || tt.want == "" && strings.Contains(page, `rel="noopener"`) {
				t.Errorf("%q, %q: %s has %d links", tt.url, tt.id, path, got)
			}
		}
	}
}

// The API refuses wrong parameters, so that a script never gets an answer to another
// question. Pages ignore them, as links may be old.
func TestWrongParameters(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	l.post(object{"type": "group", "messageId": "1", "timestamp": now(), "groupId": "acme", "userId": "ann"})
	for target, want := range map[string]string{
		"/api/customers?limit=0":                   "limit must be a whole number from 1 to 500",
		"/api/customers?limit=501":                 "limit must be a whole number from 1 to 500",
		"/api/customers?limit=ten":                 "limit must be a whole number from 1 to 500",
		"/api/customers?limit=1.5":                 "limit must be a whole number from 1 to 500",
		"/api/customers?page=0":                    "page must be a whole number from 1 to 1000000",
		"/api/customers?page=-1":                   "page must be a whole number from 1 to 1000000",
		"/api/customers?page=99999999999999999999": "page must be a whole number from 1 to 1000000",
		"/api/customers?window=90d":                "window must be one of 5m, 1h, 24h, 7d, 30d",
		"/api/customers?sort=groups":               "sort must be one of active1, active30, active7, email, events, name, plan, seen, users",
		"/api/users?sort=plan":                     "sort must be one of email, events, groups, name, seen",
		"/api/users?order=up":                      "order must be one of asc, desc",
		"/api/users?show=all":                      "show must be one of alone",
		"/api/events?type=page":                    "type must be one of track, identify, group",
		"/api/events?before=0":                     "before must be a whole number from 1 to 9223372036854775807",
		"/api/events?customer=acme":                `there is no parameter "customer" here, but before, event, group, limit, q, show, trace, type, user`,
		"/api/timeline?customer=acme&at=now":       "at must be a whole number from -9223372036854775807 to 9223372036854775807",
		"/api/timeline?customer=acme&before=7":     "before needs at: take both from next",
		"/api/timeline?customer=acme&at=7":         "at needs before: take both from next",
		"/api/timeline?customer=acme&before=7&at=": "before needs at: take both from next",
		"/api/timeline":                            "customer is missing",
		"/api/customer":                            "id is missing",
		"/api/customer?id=":                        "id is missing",
		"/api/user?id=ann&id=bob":                  "id is there more than once",
		"/api/events?type=track&type=":             "type is there more than once",
		"/api/user?ID=ann":                         `there is no parameter "ID" here, but id, window`,
		"/api/event":                               "seq is missing",
		"/api/event/json?seq=first":                "seq must be a whole number from 1 to 9223372036854775807",
		"/api/problems?status=401":                 `there is no parameter "status" here, but code, limit, page`,
		"/api/summary?window=7d":                   "there are no parameters here",
		"/api/health?x":                            "there are no parameters here",
		"/api/customers?q=%zz":                     `the query is malformed: invalid URL escape "%zz"`,
		"/api/customers?q=a;sort=name":             "the query is malformed: invalid semicolon separator in query",
	} {
		w := l.serve("GET", target)
		var got struct{ Error string }
		_ = json.Unmarshal(w.Body.Bytes(), &got)
		if w.Code != 400 || got.Error != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, %s; want %s", target, w.Code, w.Body, want)
		}
		page := strings.Replace(target, "/api", "", 1)
		if w := l.serve("GET", page); strings.HasPrefix(page, "/customers") && w.Code != 200 {
			t.Errorf("%s: status %d", page, w.Code)
		}
	}
}

// Events may have timestamps far in the past or the future: each is listed once and
// counted where it belongs, and nothing breaks.
func TestFarTimes(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme"})
	times := []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1066-10-14T09:00:00Z", "1969-12-31T23:59:59.9999995Z", "1970-01-01T00:00:00Z", now(), "2099-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"}
	for i, at := range times {
		l.post(object{"type": "track", "messageId": fmt.Sprint(i), "timestamp": at, "groupId": "acme", "userId": fmt.Sprint("usr_", i), "event": "Report Generated"})
	}
	walked := walk[inspector.Event](l, "/api/timeline", "customer", "acme", "limit", "1")
	for i, e := range walked {
		if want := fmt.Sprint(len(times) - 1 - i); e.MessageID != want {
			t.Errorf("%d in the timeline is %s, want %s", i, e.MessageID, want)
		}
	}
	if len(walked) != len(times) {
		t.Errorf("%d events in the timeline, want %d", len(walked), len(times))
	}
	for _, window := range []string{"5m", "1h", "24h", "7d", "30d"} {
		c := api[inspector.CustomerDetail](l, "/api/customer", "id", "acme", "window", window)
		if c.Events != 3 || c.Parts[len(c.Parts)-1] < 2 || c.Active30 != 3 { // of now, and of the future
			t.Errorf("%s: %d events, %v, %d active", window, c.Events, c.Parts, c.Active30)
		}
	}
	for _, path := range []string{"/customers", "/customer?id=acme", "/events", "/events?seq=9", "/users", "/health", "/api/events", "/api/customers", "/api/users"} {
		if w := l.serve("GET", path); w.Code != 200 || w.Body.Len() < 100 {
			t.Errorf("%s: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
}

// Links name the time of an event in microseconds, and timestamps may be finer.
func TestTimelineWithinAMicrosecond(t *testing.T) {
	for _, start := range []string{"0000-12-31T23:59:59.", "1969-12-31T23:59:59.", "2026-01-02T03:04:05."} {
		l := newLocal(t, inspector.Options{})
		l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme"})
		nanos := []int{900, 100, 500, 999, 0, 500, 1000, 999, 1001, 2000} // in order of arrival
		for i, ns := range nanos {
			l.post(object{"type": "track", "messageId": fmt.Sprint(i), "timestamp": fmt.Sprintf("%s%09dZ", start, ns), "groupId": "acme", "event": "Report Generated"})
		}
		want := []string{"9", "8", "6", "7", "5", "4", "3", "2", "1", "0"} // the last to arrive first, within a microsecond
		for limit := 1; limit <= len(nanos)+1; limit++ {
			var got []string
			for _, e := range walk[inspector.Event](l, "/api/timeline", "customer", "acme", "limit", fmt.Sprint(limit)) {
				got = append(got, e.MessageID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %d at a time: %v, want %v", start, limit, got, want)
			}
		}
	}
}

// A timestamp that was never set is often Go's zero time. It is one like others.
func TestZeroTime(t *testing.T) {
	for _, at := range []string{"0000-06-01T00:00:00Z", "0001-01-01T00:00:00Z"} {
		for _, first := range []string{at, now()} { // of two events, in either order
			l := newLocal(t, inspector.Options{})
			l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "userId": "ann"},
				object{"type": "group", "messageId": "h", "timestamp": now(), "groupId": "idle", "userId": "bob"},
				object{"type": "track", "messageId": "0", "timestamp": at, "groupId": "idle", "event": "Report Generated"},
				object{"type": "track", "messageId": "1", "timestamp": first, "groupId": "other", "userId": "ann", "event": "Report Generated"},
				object{"type": "track", "messageId": "2", "timestamp": at, "userId": "ann", "event": "Report Generated"},
				object{"type": "track", "messageId": "3", "timestamp": at, "groupId": "acme", "userId": "eve", "event": "Report Generated"})
			if first == at {
				l.post(object{"type": "track", "messageId": "4", "timestamp": now(), "groupId": "other", "userId": "ann", "event": "Report Generated"})
			}
			c := api[inspector.CustomerDetail](l, "/api/customer", "id", "acme")
			if c.Window.Name != "30d" || c.Window.All || c.Events != 0 || c.Total != 2 || c.Active30 != 0 {
				t.Errorf("%s, then %s: customer %+v", first, at, c)
			}
			if api[inspector.CustomerDetail](l, "/api/customer", "id", "acme", "window", "1h").Window.All {
				t.Errorf("%s, then %s: an hour holds all", first, at)
			}
			seen := []*time.Time{c.LastSeen, api[inspector.CustomerDetail](l, "/api/customer", "id", "idle").LastSeen}
			for _, m := range c.Members {
				seen = append(seen, m.LastSeen)
			}
			if len(seen) != 4 {
				t.Errorf("%s, then %s: members %+v", first, at, c.Members)
			}
			for _, last := range seen {
				if last == nil || last.Format(time.RFC3339) != at {
					t.Errorf("%s, then %s: last seen %v", first, at, last)
				}
			}
			if strings.Contains(l.page("/customer", "id", "acme"), "never") {
				t.Errorf("%s, then %s: the page says never", first, at)
			}
			users := api[inspector.UserList](l, "/api/users", "sort", "seen", "order", "asc").Items
			if users[0].ID != "bob" || users[0].LastSeen != nil || users[1].ID != "eve" || users[1].LastSeen == nil || users[2].ID != "ann" {
				t.Errorf("%s, then %s: users %+v", first, at, users)
			}
		}
	}
}

// A page says that a window holds all events only if it does.
func TestWhatWindowsHold(t *testing.T) {
	const holdsAll, older = "which holds all that are remembered", "older ones are not counted"
	for _, tt := range []struct {
		age         time.Duration // of the oldest event
		asked, want string        // names of windows
		auto, all   bool
	}{
		{time.Minute, "", "5m", true, true},
		{2 * time.Hour, "", "24h", true, true},
		{40 * 24 * time.Hour, "", "30d", true, false},
		{time.Minute, "1h", "1h", false, true},
		{2 * time.Hour, "1h", "1h", false, false},
	} {
		t.Run(fmt.Sprint(tt.age, tt.asked), func(t *testing.T) {
			l := newLocal(t, inspector.Options{})
			l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "userId": "ann"},
				object{"type": "track", "messageId": "t", "timestamp": time.Now().Add(-tt.age).UTC().Format(time.RFC3339), "userId": "ann", "event": "Report Generated"})
			list := api[inspector.CustomerList](l, "/api/customers", "window", tt.asked)
			events := map[bool]int{true: 1}[tt.all]
			if w := list.Window; w.Name != tt.want || w.Auto != tt.auto || w.All != tt.all || list.Items[0].Events != events || list.Items[0].Total != 1 {
				t.Errorf("got %+v", list)
			}
			for _, path := range []string{"/customers", "/users"} {
				page := l.page(path, "window", tt.asked)
				if strings.Contains(page, holdsAll) != tt.all || strings.Contains(page, older) == tt.all {
					t.Errorf("%s says of older events something else", path)
				}
			}
		})
	}
}

// Percentiles are marked as approximate unless they are of single requests alone, or of one
// roll-up alone.
func TestApproximatePercentiles(t *testing.T) {
	for _, tt := range []struct {
		single, rolled int // events
		want           bool
	}{
		{1, 0, false},
		{2, 0, false},
		{0, 1, false},
		{1, 1, true},
		{2, 1, true},
		{0, 2, true},
	} {
		t.Run(fmt.Sprintf("%d single, %d rolled up", tt.single, tt.rolled), func(t *testing.T) {
			l := newLocal(t, inspector.Options{})
			l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "userId": "ann"})
			for i := range tt.single {
				l.post(object{"type": "track", "messageId": fmt.Sprint("s", i), "timestamp": now(), "userId": "ann", "event": "API Called", "properties": object{
					"method": "GET", "route": "/reports", "status": 200, "durationMs": 7.5,
				}})
			}
			for i := range tt.rolled {
				l.post(object{"type": "track", "messageId": fmt.Sprint("r", i), "timestamp": now(), "userId": "ann", "event": "API Usage Recorded", "properties": object{
					"method": "GET", "route": "/reports", "count": 4, "clientErrors": 0, "serverErrors": 0, "windowStart": now(), "windowSeconds": 60,
					"durationMsAvg": 5.5, "durationMsP50": 5.5, "durationMsP95": 8.5, "durationMsMax": 9.5,
				}})
			}
			usage := api[inspector.CustomerDetail](l, "/api/customer", "id", "acme").Usage
			if usage.Total.Count != tt.single+4*tt.rolled || usage.Total.Approximate != tt.want || usage.Routes[0].Approximate != tt.want {
				t.Errorf("got %+v", usage)
			}
			if page := l.page("/customer", "id", "acme"); strings.Contains(page, "≈") != tt.want {
				t.Errorf("the page marks the figures otherwise")
			}
		})
	}
}

// The events of one user count for all of the user's groups, but are not copied to each:
// ten thousand events for a thousand groups would be ten million.
func TestOneUserOfManyGroups(t *testing.T) {
	const groups, events = 1000, 10_000
	l := newLocal(t, inspector.Options{})
	all := make([]object, 0, groups+events)
	for i := range groups {
		all = append(all, object{"type": "group", "messageId": fmt.Sprint("g", i), "timestamp": now(), "groupId": fmt.Sprint("org_", i), "userId": "ann"})
	}
	for i := range events {
		all = append(all, object{"type": "track", "messageId": fmt.Sprint(i), "timestamp": now(), "userId": "ann", "event": "Report Generated"})
	}
	l.post(all...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	list := api[inspector.CustomerList](l, "/api/customers", "limit", "500", "window", "30d")
	runtime.ReadMemStats(&after)
	for _, c := range list.Items {
		if c.Events != events || c.Active1 != 1 || c.Parts[len(c.Parts)-1] != events {
			t.Fatalf("got %+v", c)
		}
	}
	// How high the highest column is, said where it cannot be taken for a time.
	if page := l.page("/customer", "id", "org_1", "window", "30d"); !strings.Contains(page, "<small>events, peak 10,000</small>") {
		t.Errorf("no peak on the page:\n%s", page)
	}
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 20 {
		t.Errorf("the list takes %d MiB", mib)
	}
}

// A page says how many of a user's groups it leaves out.
func TestUserOfManyGroupsOnThePage(t *testing.T) {
	l := newLocal(t, inspector.Options{})
	for i := range 60 {
		l.post(object{"type": "group", "messageId": fmt.Sprint(i), "timestamp": now(), "groupId": fmt.Sprint("org_", i), "userId": "ann"})
	}
	page := l.page("/user", "id", "ann")
	if n := strings.Count(page, `<li><a href="/customer?id=org_`); n == 60 || !strings.Contains(page, fmt.Sprintf("… and %d more", 60-n)) {
		t.Errorf("%d of 60 groups are listed:\n%s", n, page)
	}
}

// A group leads to its customer, or else to its events, never to a user of the same ID.
func TestGroupLinks(t *testing.T) {
	for _, tt := range []struct {
		mode  inspector.Mode
		group string
		want  string
	}{
		{inspector.GroupMode, "acme", "/customer?id=acme"},
		{inspector.GroupMode, "uncalled", "/events?group=uncalled"},
		{inspector.UserMode, "acme", "/events?group=acme"},
		{inspector.UserMode, "ann", "/events?group=ann"},
	} {
		l := newLocal(t, inspector.Options{Mode: tt.mode})
		l.post(object{"type": "group", "messageId": "g", "timestamp": now(), "groupId": "acme", "userId": "ann", "traits": object{"name": "Acme"}},
			object{"type": "track", "messageId": "t", "timestamp": now(), "groupId": tt.group, "userId": "ann", "event": "Report Generated"})
		for _, path := range []string{"/events?seq=2&type=track", "/user?id=ann&seq=2"} {
			page, link := l.page(path), fmt.Sprintf(`<a href=%q><bdi>%s</bdi>`, tt.want, tt.group)
			want := 1 // in the event's details
			if tt.mode == inspector.GroupMode {
				want++ // and in the list
			}
			if n := strings.Count(page, link); n != want {
				t.Errorf("%s, %s, %s: %d times %s", tt.mode, path, tt.group, n, link)
			}
		}
		if answer := l.serve("GET", tt.want); answer.Code != 200 || !strings.Contains(answer.Body.String(), "Report Generated") {
			t.Errorf("%s: %s: status %d", tt.mode, tt.want, answer.Code)
		}
	}
}

// A page that is missing says why.
func TestUnknownAccounts(t *testing.T) {
	const uncalled, unnamed = "was not called for it yet", "no event has named it yet"
	for _, tt := range []struct {
		mode       inspector.Mode
		path, want string
	}{
		{inspector.GroupMode, "/customer?id=acme", uncalled},
		{inspector.GroupMode, "/user?id=ann", unnamed},
		{inspector.UserMode, "/customer?id=ann", unnamed},
		{inspector.UserMode, "/user?id=ann", unnamed},
	} {
		w := newLocal(t, inspector.Options{Mode: tt.mode}).serve("GET", tt.path)
		other := map[string]string{uncalled: unnamed, unnamed: uncalled}[tt.want]
		if w.Code != 404 || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(w.Body.String(), other) {
			t.Errorf("%s, %s: status %d, want %q", tt.mode, tt.path, w.Code, tt.want)
		}
	}
}

// In user mode, a track event is unlinked if it names no user. That does not change when it
// is forgotten.
func TestUnlinkedInUserMode(t *testing.T) {
	engine := ingestWith(2)
	l := &local{inspector.New(engine, inspector.Options{Mode: inspector.UserMode}), t, engine}
	l.post(
		object{"type": "track", "messageId": "1", "timestamp": now(), "groupId": "acme", "event": "Invoice Paid"},
		object{"type": "track", "messageId": "2", "timestamp": now(), "userId": "ann", "groupId": "acme", "event": "Invoice Paid"},
		object{"type": "track", "messageId": "3", "timestamp": now(), "groupId": "acme", "event": "Invoice Paid"},
		object{"type": "track", "messageId": "4", "timestamp": now(), "groupId": "acme", "event": "Invoice Paid"},
		object{"type": "group", "messageId": "5", "timestamp": now(), "groupId": "acme", "event": "has no meaning here"})
	if n := api[inspector.Summary](l, "/api/summary").Unlinked; n != 3 {
		t.Errorf("%d are unlinked, want 3", n)
	}
}
