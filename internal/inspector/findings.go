package inspector

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/klimeapp/klime-go/internal/ingest"
)

func (f *figures) rejected() Finding {
	x := Finding{
		Kind: "rejected_events", Severity: severityError, Title: "Events were rejected",
		Advice: "They are lost: an SDK does not send them again. The list says what is wrong with each.",
	}
	byCode := f.problemCodes(false)
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
	byCode := f.problemCodes(true)
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		x.example(code, number(byCode[code])+" ×", problemsLink(code))
	}
	x.Count = f.snap.Counts.Refused + f.snap.Counts.Unauthorized
	return x
}

// problemCodes counts the remembered problems, of whole batches or of events, by code.
func (f *figures) problemCodes(ofBatches bool) map[string]int {
	byCode := make(map[string]int)
	for _, p := range f.snap.Problems {
		if (p.Status != 0) == ofBatches {
			byCode[p.Code]++
		}
	}
	return byCode
}

func (f *figures) deferred() Finding {
	return Finding{
		Kind: "deferred_batches", Severity: severityHint, Title: "Batches were asked to wait",
		Advice: "More arrived in a second than -max-rate allows. Nothing is lost: SDKs send them again.",
		Count:  f.snap.Counts.Deferred,
	}
}

func (f *figures) userIDs() Finding {
	x := Finding{
		Kind: "user_ids", Severity: severityWarning, Title: "User IDs that will not last",
		Advice: "A user whose ID changes is another user from then on. Use a stable key, such as the one in your database.",
	}
	for _, id := range slices.Sorted(maps.Keys(f.snap.Users)) {
		if fault := idFault(id, f.snap.Users[id].Traits.Text(nameKey), "user"); fault != "" {
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
	for _, id := range slices.Sorted(maps.Keys(f.snap.Groups)) {
		if fault := idFault(id, f.snap.Groups[id].Traits.Text(nameKey), "customer"); fault != "" {
			x.example(id, fault, f.groupLink(id))
		}
	}
	return x
}

func (f *figures) usersAlone() Finding {
	x := Finding{
		Kind: "users_without_group", Severity: severityWarning, Title: "Users without a customer",
		Advice: "Their events count for no customer, unless an event names a group. Call group() with the user, or Link, when they sign in. " +
			"If your customers are single people, start with -mode user.",
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

// unsetTimes looks for timestamps that are no times at all: Go's zero time, seconds of 0, or seconds
// that were taken for milliseconds.
func (f *figures) unsetTimes() Finding {
	x := Finding{
		Kind: "unset_timestamps", Severity: severityWarning, Title: "Events from before 1971",
		Advice: "Their timestamp looks like one that was never set, or like seconds that were taken for milliseconds: they are in no window.",
	}
	for _, r := range f.snap.Records {
		if r.Timestamp.Year() < 1971 {
			x.example(nameOf(r.Type, r.Event.Event), clock(r.Timestamp), fmt.Sprintf("/events?seq=%d", r.Seq))
		}
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
