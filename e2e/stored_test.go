package e2e

import (
	"fmt"
	"testing"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// object is a JSON object.
type object = map[string]any

// event is a stored event without what differs from run to run and from client to client.
// Empty properties and traits are nil.
type event struct {
	Type       string
	Event      string
	UserID     string
	GroupID    string
	Properties object
	Traits     object
}

// customer is what Klime shows of a customer.
type customer struct {
	ID       string
	Traits   object
	Users    []string
	Events   int
	Timeline []string // names of events, oldest first
}

// user is what Klime shows of a user.
type user struct {
	ID     string
	Traits object
	Groups []string
	Events int
}

// checkSameStored compares all that two clients have stored in two Klimes.
func checkSameStored(t *testing.T, foreign, ours *localKlime) {
	t.Helper()
	a, b := eventsOf(foreign.Events()), eventsOf(ours.Events())
	for i := range min(len(a), len(b)) {
		checkSame(t, fmt.Sprintf("events %d", i), a[i], b[i])
	}
	checkSame(t, "numbers of events", len(a), len(b))
	checkSame(t, "customers", customersOf(foreign), customersOf(ours))
	checkSame(t, "users", usersOf(foreign), usersOf(ours))
	checkSame(t, "counts", foreign.Counts(), ours.Counts())
	for _, c := range foreign.Customers() {
		checkSame(t, "timelines of "+c.ID, eventsOf(foreign.Timeline(c.ID)), eventsOf(ours.Timeline(c.ID)))
	}
}

func eventsOf(stored []ingest.Event) []event {
	events := make([]event, len(stored))
	for i, e := range stored {
		events[i] = event{
			Type: e.Type, Event: e.Event, UserID: e.UserID, GroupID: e.GroupID,
			Properties: orNone(e.Properties), Traits: orNone(e.Traits),
		}
	}
	return events
}

func orNone(m object) object {
	if len(m) == 0 {
		return nil
	}
	return m
}

func customersOf(k *localKlime) []customer {
	stored := k.Customers()
	customers := make([]customer, len(stored))
	for i, c := range stored {
		timeline := []string{}
		for _, e := range k.Timeline(c.ID) {
			timeline = append(timeline, e.Event)
		}
		customers[i] = customer{c.ID, c.Traits, append([]string{}, c.Users...), c.EventCount, timeline}
	}
	return customers
}

func usersOf(k *localKlime) []user {
	stored := k.Users()
	users := make([]user, len(stored))
	for i, u := range stored {
		users[i] = user{u.ID, u.Traits, append([]string{}, u.Groups...), u.EventCount}
	}
	return users
}
