package demotest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// kinds returns the kinds of events in the traffic: the event, and the method, route and
// status of its request. They are the same for each framework.
func kinds() []string {
	return []string{
		"identify",
		"group",
		"group by staff",
		"Page Viewed GET / 200",
		"Page Viewed GET /reports 200",
		"Page Viewed GET /reports/{id} 200",
		"API Called POST /reports 303",
		"API Called POST /switch 303",
		"API Called POST /logout 303",
		"API Called GET /api/orgs/{org}/reports 200",
		"API Called GET /api/orgs/{org}/reports 403",
		"API Called POST /api/orgs/{org}/reports 201",
		"API Called GET /api/orgs/{org}/reports/{id} 200",
		"API Called GET /api/orgs/{org}/reports/{id}/export 500",
		"Report Exported GET /api/orgs/{org}/reports/{id}/export 200",
		"Report Generated",
		"User Signed In POST /login 303",
		"Plan Changed",
	}
}

func kind(e ingest.Event) string {
	switch {
	case e.Type == ingest.TypeGroup && e.UserID == "" && e.GroupID == "org_1003":
		return "group by staff"
	case e.Type != ingest.TypeTrack:
		return e.Type
	}
	words := []string{e.Event}
	for _, property := range []string{"method", "route", "status"} {
		if value, ok := e.Properties[property]; ok {
			words = append(words, fmt.Sprint(value))
		}
	}
	return strings.Join(words, " ")
}

// waitForAll waits until each kind of event has arrived.
func waitForAll(t *testing.T, local *ingest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for {
		events := local.Events()
		seen := make(map[string]bool)
		for _, e := range events {
			seen[kind(e)] = true
		}
		missing := slices.DeleteFunc(kinds(), func(kind string) bool { return seen[kind] })
		if len(missing) == 0 {
			return
		}
		// Wait does not look at ctx if enough events have already arrived.
		if err := errors.Join(local.Wait(ctx, len(events)+1), ctx.Err()); err != nil {
			t.Errorf("no %q, but %q: %v", missing, slices.Sorted(maps.Keys(seen)), err)
			return
		}
	}
}

// checkTraffic checks what Klime knows after the sample users have clicked around.
func checkTraffic(t *testing.T, klime *ingest.Server) {
	t.Helper()
	if c := klime.Counts(); c.Rejected+c.Refused+c.Unauthorized+c.Repeated+c.Unlinked > 0 {
		t.Errorf("got %+v", c)
	}
	checkCustomers(t, klime.Customers())
	checkUsers(t, klime.Users())
	checkEvents(t, klime.Events())
}

func checkCustomers(t *testing.T, customers []ingest.Customer) {
	t.Helper()
	want := map[string][]string{
		acme:       {"usr_2001", "usr_2002", "usr_2006"},
		"org_1002": {"usr_2003", "usr_2004"},
		"org_1003": {"usr_2005", "usr_2006"},
	}
	if len(customers) != len(want) {
		t.Errorf("got %d customers", len(customers))
	}
	for _, c := range customers {
		if !slices.Equal(c.Users, want[c.ID]) || c.EventCount == 0 {
			t.Errorf("%s has the users %q and %d events", c.ID, c.Users, c.EventCount)
		}
		for _, trait := range []string{"name", "plan", "industry"} {
			if text, _ := c.Traits[trait].(string); text == "" {
				t.Errorf("%s has no %s", c.ID, trait)
			}
		}
	}
}

func checkUsers(t *testing.T, users []ingest.User) {
	t.Helper()
	if len(users) != 6 {
		t.Errorf("got %d users", len(users))
	}
	for _, u := range users {
		if email, _ := u.Traits["email"].(string); u.Traits["name"] == nil || !strings.Contains(email, "@") || u.EventCount == 0 {
			t.Errorf("got %+v", u)
		}
	}
}

func checkEvents(t *testing.T, events []ingest.Event) {
	t.Helper()
	told := make(map[string]bool)
	for _, e := range events {
		wrong := false
		switch {
		case e.UserID == "usr_2007": // staff
			wrong = true
		case !slices.Contains(kinds(), kind(e)):
			wrong = true
		case e.Type != ingest.TypeTrack:
		case e.Event == "Plan Changed":
			wrong = e.UserID != "" || e.GroupID != "org_1002" || e.Properties["plan"] == nil
		case e.UserID == "":
			wrong = true
		case e.Properties["status"] == float64(http.StatusForbidden):
			wrong = e.GroupID != "" // a company that refuses the user does not get the event
		case e.GroupID == "":
			wrong = true
		case e.Event == "Report Generated":
			wrong = e.Properties["reportType"] == nil
		}
		if wrong && !told[kind(e)] {
			told[kind(e)] = true // reported once for each kind
			t.Errorf("got %s", e.Raw)
		}
	}
}
