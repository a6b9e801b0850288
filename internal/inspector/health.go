package inspector

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// Health is what seems to be wrong with the instrumentation.
type Health struct {
	Findings  []Finding `json:"findings"` // the most severe first
	Libraries []Library `json:"libraries"`
}

// Finding is one kind of mistake.
type Finding struct {
	Kind     string    `json:"kind"`
	Severity string    `json:"severity"` // error: data is lost; warning: figures will be wrong; hint
	Title    string    `json:"title"`
	Advice   string    `json:"advice"`
	Count    int       `json:"count"`    // of all instances
	Examples []Example `json:"examples"` // the first maxExamples
}

// Example is one instance of a mistake.
type Example struct {
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
	Link   string `json:"link,omitempty"` // a page about it
}

// Library is an SDK that has sent events.
type Library struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Track    int       `json:"track"`
	Identify int       `json:"identify"`
	Group    int       `json:"group"`
	Repeats  int       `json:"repeats"`
	LastAt   time.Time `json:"lastAt"` // when its last event arrived
}

// The severities of findings.
const (
	severityError   = "error"
	severityWarning = "warning"
	severityHint    = "hint"
)

const (
	maxExamples = 10
	maxSkew     = 5 * time.Minute // between clocks, until it counts as wrong
	manyNames   = 100             // names of events: more look as if they are built from data
	manyFields  = 150             // names of one event's properties: more look the same
)

// faults is the number of findings, without hints.
func (f *figures) faults() (n int) {
	for _, x := range f.health().Findings {
		if x.Severity != severityHint {
			n++
		}
	}
	return n
}

// examine looks for mistakes in all that is remembered.
func (f *figures) examine() Health {
	h := Health{Findings: []Finding{}, Libraries: f.libraries()}
	fields := f.fields()
	for _, find := range []func() Finding{
		f.rejected, f.refused, f.userIDs, f.groupIDs, f.usersAlone, f.groupsUncalled, f.groupCalls, f.customersUnnamed,
		f.usersUnnamed, f.deferred, f.coarseRoutes, f.badNames, f.tooManyNames, fields.tooMany, fields.conflicts, f.clocks,
	} {
		if finding := find(); finding.Count > 0 {
			if finding.Examples == nil {
				finding.Examples = []Example{}
			}
			h.Findings = append(h.Findings, finding)
		}
	}
	rank := map[string]int{severityError: 0, severityWarning: 1, severityHint: 2}
	slices.SortStableFunc(h.Findings, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return h
}

// example counts an instance, and adds it to the examples if there is room.
func (x *Finding) example(what, detail, link string) {
	x.Count++
	if len(x.Examples) < maxExamples {
		x.Examples = append(x.Examples, Example{what, detail, link})
	}
}

func (f *figures) rejected() Finding {
	x := Finding{
		Kind: "rejected_events", Severity: severityError, Title: "Events were rejected",
		Advice: "They are lost: an SDK does not send them again. The list says what is wrong with each.",
	}
	byCode := make(map[string]int)
	for _, p := range f.snap.Problems {
		if p.Status == 0 {
			byCode[p.Code]++
		}
	}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		x.example(code, plural(byCode[code], "event"), problemsLink(code))
	}
	x.Count = f.snap.Counts.Rejected
	return x
}

func (f *figures) refused() Finding {
	x := Finding{
		Kind: "refused_batches", Severity: severityError, Title: "Batches were refused as a whole",
		Advice: "A wrong write key, or a body that is not a batch, makes an SDK stop sending.",
	}
	byCode := make(map[string]int)
	for _, p := range f.snap.Problems {
		if p.Status != 0 {
			byCode[p.Code]++
		}
	}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		x.example(code, number(byCode[code])+" ×", problemsLink(code))
	}
	x.Count = f.snap.Counts.Refused + f.snap.Counts.Unauthorized
	return x
}

func (f *figures) deferred() Finding {
	return Finding{
		Kind: "deferred_batches", Severity: severityHint, Title: "Batches were asked to wait",
		Advice: "More arrived in a second than -max-rate allows. Nothing is lost: SDKs send them again.",
		Count:  f.snap.Counts.Deferred,
	}
}

func userLink(id string) string     { return "/user?" + url.Values{"id": {handle(id)}}.Encode() }
func customerLink(id string) string { return "/customer?" + url.Values{"id": {handle(id)}}.Encode() }
func problemsLink(code string) string {
	return "/events?" + url.Values{showKey: {"problems"}, "code": {code}}.Encode()
}
func eventsLink(key, value string) string {
	return "/events?" + url.Values{key: {handle(value)}}.Encode()
}

func (f *figures) userIDs() Finding {
	x := Finding{
		Kind: "user_ids", Severity: severityWarning, Title: "User IDs that will not last",
		Advice: "A user whose ID changes is another user from then on. Use a stable key, such as the one in your database.",
	}
	for _, id := range slices.Sorted(maps.Keys(f.snap.Users)) {
		u := f.snap.Users[id]
		fault := idFault(id)
		if fault == "" && id == u.Traits.Text(nameKey) {
			fault = "is the user's name, and names change"
		}
		if fault != "" {
			x.example(id, fault, userLink(id))
		}
	}
	return x
}

func (f *figures) groupIDs() Finding {
	x := Finding{
		Kind: "group_ids", Severity: severityWarning, Title: "Group IDs that will not last",
		Advice: "A customer whose ID changes is another customer from then on. Use a stable key, such as the one in your database.",
	}
	if f.mode == UserMode {
		return x
	}
	for _, id := range slices.Sorted(maps.Keys(f.snap.Groups)) {
		g := f.snap.Groups[id]
		fault := idFault(id)
		if fault == "" && id == g.Traits.Text(nameKey) {
			fault = "is the customer's name, and names change"
		}
		if fault != "" {
			x.example(id, fault, f.groupLink(id))
		}
	}
	return x
}

// groupLink leads to the customer's page, or, if the group is not a customer, to its
// events.
func (f *figures) groupLink(id string) string {
	if f.customers[id] != nil {
		return customerLink(id)
	}
	return eventsLink("group", id)
}

func (f *figures) usersAlone() Finding {
	x := Finding{
		Kind: "users_without_group", Severity: severityWarning, Title: "Users without a customer",
		Advice: "Their events count for no customer, unless an event names a group. Call group() with the user, or Link, when they sign in. " +
			"If your customers are single people, start with -mode user.",
	}
	if f.mode == UserMode {
		return x
	}
	for _, id := range slices.Sorted(maps.Keys(f.snap.Users)) {
		if u := f.snap.Users[id]; len(u.Groups) == 0 {
			x.example(id, plural(u.EventCount, "event"), userLink(id))
		}
	}
	return x
}

func (f *figures) groupsUncalled() Finding {
	x := Finding{
		Kind: "groups_without_call", Severity: severityWarning, Title: "Groups that are not customers",
		Advice: "Events name them, but group() was never called for them: their events are shown nowhere.",
	}
	if f.mode == UserMode {
		return x
	}
	for _, id := range slices.Sorted(maps.Keys(f.snap.Groups)) {
		if g := f.snap.Groups[id]; !g.Customer && g.EventCount > 0 {
			x.example(id, plural(g.EventCount, "event"), eventsLink("group", id))
		}
	}
	return x
}

func (f *figures) groupCalls() Finding {
	x := Finding{
		Kind: "groups_in_user_mode", Severity: severityWarning, Title: "group() is called in user mode",
		Advice: "Customers are single people here, and groups are not used. If your customers are companies, start with -mode group.",
	}
	if f.mode != UserMode {
		return x
	}
	for _, id := range slices.Sorted(maps.Keys(f.snap.Groups)) {
		if f.snap.Groups[id].Customer {
			x.example(id, "", eventsLink("group", id))
		}
	}
	return x
}

func (f *figures) customersUnnamed() Finding {
	x := Finding{
		Kind: "customers_without_name", Severity: severityHint, Title: "Customers without a name",
		Advice: "Klime shows and searches the trait name. Until they have one, they are shown by their ID.",
	}
	if f.mode == UserMode {
		return x
	}
	for _, id := range slices.Sorted(maps.Keys(f.customers)) {
		if f.customers[id].name() == "" {
			x.example(id, "", customerLink(id))
		}
	}
	return x
}

func (f *figures) usersUnnamed() Finding {
	x := Finding{
		Kind: "users_without_name", Severity: severityHint, Title: "Users without name and e-mail address",
		Advice: "Klime shows and searches the traits name and email. Send them with identify().",
	}
	for _, id := range slices.Sorted(maps.Keys(f.users)) {
		if a := f.users[id]; a.name() == "" && a.traits.Text(emailKey) == "" {
			x.example(id, "", userLink(id))
		}
	}
	return x
}

// manyCalls is how many API calls it takes until their routes are looked at.
const manyCalls = 20

// coarseRoutes looks for API calls that cannot be told apart by what they do. A few are
// meant, and those that were refused may not have come to the router.
func (f *figures) coarseRoutes() Finding {
	x := Finding{
		Kind: "coarse_routes", Severity: severityHint, Title: "Requests whose route says little",
		Advice: "Many API calls have no route, or one that ends in /*: a router inside another knows more. Put the middleware around the " +
			"inner one too; with another router than the framework's own, say what its route is. For Connect and gRPC, register each " +
			"call. If the handlers take the rest of the path themselves, nothing is wrong.",
	}
	type call struct{ name, method, route string }
	all, coarse := 0, make(map[call]int)
	for _, r := range f.snap.Records {
		u, name := r.Usage, r.Event.Event
		if u == nil || name != "API Called" && name != "API Usage Recorded" || // a page for all paths is an app in the browser
			r.Library.Name != "go-sdk" || u.ClientErrors+u.ServerErrors == u.Count {
			continue
		}
		all += u.Count
		if u.Route == "" || strings.HasSuffix(u.Route, "/*") {
			coarse[call{name, u.Method, cmp.Or(u.Route, "(none)")}] += u.Count
			x.Count += u.Count
		}
	}
	if all < manyCalls || x.Count*5 < all {
		return Finding{}
	}
	for _, c := range slices.SortedFunc(maps.Keys(coarse), func(a, b call) int {
		return cmp.Or(cmp.Compare(coarse[b], coarse[a]), cmp.Compare(a.route, b.route), cmp.Compare(a.method, b.method),
			cmp.Compare(a.name, b.name))
	}) {
		if len(x.Examples) == maxExamples {
			break
		}
		x.Examples = append(x.Examples, Example{c.method + " " + c.route, plural(coarse[c], "request"), eventsLink("event", c.name)})
	}
	return x
}

// nameOf is the name of a track event, or else the name of the call.
func nameOf(typ, name string) string {
	switch typ {
	case ingest.TypeIdentify:
		return "identify()"
	case ingest.TypeGroup:
		return "group()"
	default:
		return name
	}
}

// eventNames are the names of the remembered track events, sorted.
func (f *figures) eventNames() []string {
	names := make(map[string]bool)
	for i := range f.snap.Kinds {
		if k := &f.snap.Kinds[i]; k.Type == ingest.TypeTrack {
			names[k.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (f *figures) badNames() Finding {
	x := Finding{
		Kind: "event_names", Severity: severityHint, Title: "Event names that break the convention",
		Advice: "Names are Object + Action in the past tense, each word with a capital: “Report Generated”, “User Invited”.",
	}
	for _, name := range f.eventNames() {
		if fault := nameFault(name); fault != "" {
			x.example(name, fault, eventsLink("event", name))
		}
	}
	return x
}

func (f *figures) tooManyNames() Finding {
	x := Finding{
		Kind: "many_event_names", Severity: severityWarning, Title: "Very many event names",
		Advice: "A name that is built from data cannot be counted. Use few names, and put what varies into properties.",
	}
	if n := len(f.eventNames()); n > manyNames {
		x.Count = n
	}
	return x
}

func (f *figures) clocks() Finding {
	x := Finding{
		Kind: "clocks", Severity: severityWarning, Title: "Events from the future",
		Advice: "Their timestamp is later than their arrival: the sender's clock or time zone is wrong.",
	}
	for _, r := range f.snap.Records {
		if ahead := r.Timestamp.Sub(r.ReceivedAt); ahead > maxSkew {
			x.example(nameOf(r.Type, r.Event.Event), "by "+skew(ahead), fmt.Sprintf("/events?seq=%d", r.Seq))
		}
	}
	return x
}

// skew writes how wrong a clock is. The minutes beside the hours tell a time zone from
// a wrong clock.
func skew(d time.Duration) string {
	d = d.Round(time.Minute)
	if minutes := d % time.Hour / time.Minute; d >= time.Hour && d < 24*time.Hour && minutes > 0 {
		return fmt.Sprintf("%d h %d min", d/time.Hour, minutes)
	}
	return roughly(d)
}

func (f *figures) libraries() []Library {
	byName := make(map[ingest.Library]*Library)
	var l *Library
	for _, r := range f.snap.Records {
		if l == nil || l.Name != r.Library.Name || l.Version != r.Library.Version { // otherwise it is the same as of the event before
			l = byName[r.Library]
		}
		if l == nil {
			l = &Library{Name: r.Library.Name, Version: r.Library.Version}
			byName[r.Library] = l
		}
		switch r.Type {
		case ingest.TypeTrack:
			l.Track++
		case ingest.TypeIdentify:
			l.Identify++
		case ingest.TypeGroup:
			l.Group++
		}
		l.Repeats += r.Repeats()
		if r.ReceivedAt.After(l.LastAt) {
			l.LastAt = r.ReceivedAt
		}
	}
	all := make([]Library, 0, len(byName))
	for _, l := range byName {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b Library) int {
		return cmp.Or(cmp.Compare(b.Track+b.Identify+b.Group, a.Track+a.Identify+a.Group),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return all[:min(len(all), maxLibraries)]
}

// maxLibraries bounds the list, as senders can make up names.
const maxLibraries = 50

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "ch") {
		what += "e"
	}
	return number(n) + " " + what + "s"
}
