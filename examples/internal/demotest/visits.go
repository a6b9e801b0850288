package demotest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/klimeapp/klime-go/examples/internal/demo"
)

// visits returns tests of who may do what, and of which users and groups Klime is told.
func visits() map[string]func(*visitor) {
	return map[string]func(*visitor){
		"nobody signed in":      nobody,
		"user of one company":   userOfOne,
		"user of two companies": userOfTwo,
		"staff":                 staff,
	}
}

func nobody(v *visitor) {
	v.t.Helper()
	v.get("/healthz", http.StatusOK)
	v.get("/login", http.StatusOK)
	for _, path := range []string{"/", "/reports", "/reports/rep_3001"} {
		v.get(path, http.StatusSeeOther)
	}
	v.get("/nowhere", http.StatusNotFound)
	v.get("/api/orgs/org_1001/reports", http.StatusUnauthorized)
	v.get("/admin", http.StatusForbidden)
	v.post("/admin/orgs/org_1001", "name=Mine&plan=business", http.StatusForbidden)
	v.post("/webhooks/billing", `{"org":"org_1001","plan":"trial"}`, http.StatusUnauthorized)
	v.post("/login", "email=jane@acme.example&password=guess", http.StatusUnauthorized)
	v.get("/", http.StatusSeeOther) // a wrong password begins no session
	v.finish(nil, nil)
}

func userOfOne(v *visitor) {
	v.t.Helper()
	v.signIn("jane@acme.example")
	if page := v.get("/", http.StatusOK); !strings.Contains(page, "Acme Robotics") || strings.Contains(page, "/switch") {
		v.t.Errorf("got %s", page)
	}
	v.get("/reports", http.StatusOK)
	v.get("/reports/rep_3001", http.StatusOK)
	v.get("/reports/rep_3004", http.StatusNotFound) // Blue Harbor's report
	v.post("/reports", "type=churn", http.StatusSeeOther)
	v.post("/reports", "type=gossip", http.StatusBadRequest)
	v.get("/api/orgs/org_1001/reports", http.StatusOK)
	v.post("/api/orgs/org_1001/reports", `{"type":"churn"}`, http.StatusCreated)
	v.post("/api/orgs/org_1001/reports", `{"type":7}`, http.StatusBadRequest)
	v.get("/api/orgs/org_1001/reports/rep_3001", http.StatusOK)
	v.get("/api/orgs/org_1001/reports/rep_3004", http.StatusNotFound)
	v.get("/api/orgs/org_1001/nowhere", http.StatusNotFound)
	for _, org := range []string{"org_1002", "org_1003", "org_9999"} {
		v.get("/api/orgs/"+org+"/reports", http.StatusForbidden)
		v.get("/api/orgs/"+org+"/reports/rep_3004", http.StatusForbidden)
		v.get("/api/orgs/"+org+"/reports/rep_3004/export", http.StatusForbidden)
		v.post("/api/orgs/"+org+"/reports", `{"type":"churn"}`, http.StatusForbidden)
		v.post("/switch", "org="+org, http.StatusForbidden)
	}
	v.get("/admin", http.StatusForbidden)
	v.post("/admin/orgs/org_1001", "name=Acme&plan=business", http.StatusForbidden)
	v.post("/logout", "", http.StatusSeeOther)
	v.get("/", http.StatusSeeOther)
	v.finish([]string{"usr_2001"}, []string{acme})
}

func userOfTwo(v *visitor) {
	v.t.Helper()
	v.signIn("alex@agency.example")
	if page := v.get("/", http.StatusOK); !strings.Contains(page, "Acme Robotics is on") || !strings.Contains(page, "/switch") {
		v.t.Errorf("got %s", page)
	}
	v.get("/api/orgs/org_1003/reports", http.StatusOK) // the API needs no switch
	v.post("/switch", "org=org_1003", http.StatusSeeOther)
	if page := v.get("/", http.StatusOK); !strings.Contains(page, "Cobalt Health is on") {
		v.t.Errorf("got %s", page)
	}
	v.post("/switch", "org=org_1002", http.StatusForbidden)
	v.finish([]string{"usr_2006"}, []string{acme, "org_1003"})
	for _, e := range v.demo.Klime.Events() {
		switch kind(e) {
		case "API Called GET /api/orgs/{org}/reports 200", "API Called POST /switch 303":
			if e.GroupID == acme { // where the session was when they began
				v.t.Errorf("got %s", e.Raw)
			}
		}
	}
}

func staff(v *visitor) {
	v.t.Helper()
	v.signIn("sam@sundial.example")
	v.get("/", http.StatusSeeOther)
	v.post("/admin/orgs/org_1002", "name=Blue+Harbour&plan=business", http.StatusSeeOther)
	if page := v.get("/admin", http.StatusOK); !strings.Contains(page, "Blue Harbour") {
		v.t.Errorf("got %s", page)
	}
	v.post("/admin/orgs/org_1002", "name=&plan=business", http.StatusBadRequest)
	v.post("/admin/orgs/org_9999", "name=Who&plan=business", http.StatusNotFound)
	v.get("/api/orgs/org_1002/reports", http.StatusForbidden)
	v.finish(nil, []string{"org_1002"}) // the company that was edited
}

// largeBody is not for Fiber: its server closes the connection without reading the body, and
// it depends on chance whether the answer arrives.
func largeBody(v *visitor) {
	v.t.Helper()
	v.signIn("jane@acme.example")
	spaces := strings.Repeat(" ", demo.MaxBody)
	v.post("/api/orgs/org_1001/reports", `{"type":"churn"`+spaces+`}`, http.StatusBadRequest)
	v.post("/webhooks/billing", `{"org":"org_1001"`+spaces+`}`, http.StatusBadRequest)
	v.finish([]string{"usr_2001"}, []string{acme})
}

// visitor is a person who uses an example.
type visitor struct {
	*Browser

	demo *demo.Demo
	stop func()
}

func (v *visitor) signIn(email string) {
	v.t.Helper()
	v.post("/login", "email="+email+"&password="+demo.Password, http.StatusSeeOther)
}

// get asks for a page and expects a status.
func (v *visitor) get(path string, want int) string {
	v.t.Helper()
	return v.Do(http.MethodGet, v.demo.URL+path, "", nil, want)
}

// post sends a form, or JSON, and expects a status.
func (v *visitor) post(path, body string, want int) {
	v.t.Helper()
	v.Do(http.MethodPost, v.demo.URL+path, body, nil, want)
}

// finish ends the example, and checks that Klime has been told of exactly these users
// and groups.
func (v *visitor) finish(users, groups []string) {
	v.t.Helper()
	v.stop()
	gotUsers, gotGroups := make(map[string]bool), make(map[string]bool)
	for _, e := range v.demo.Klime.Events() {
		gotUsers[e.UserID] = true
		gotGroups[e.GroupID] = true
	}
	delete(gotUsers, "")
	delete(gotGroups, "")
	if got := slices.Sorted(maps.Keys(gotUsers)); !slices.Equal(got, users) {
		v.t.Errorf("Klime has been told of the users %q, want %q", got, users)
	}
	if got := slices.Sorted(maps.Keys(gotGroups)); !slices.Equal(got, groups) {
		v.t.Errorf("Klime has been told of the groups %q, want %q", got, groups)
	}
}
