package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/internal/ingest"
)

// buffer may be written to by several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The whole example: sample users click, and their customers are at Klime.
func TestUsageArrivesAtKlime(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KLIME_") {
			t.Setenv(name, "") // the local Klime, with the defaults
		}
	}
	before := runtime.NumGoroutine()
	var stdout, stderr buffer
	d, err := demo.Start(demo.Options{
		Name: "gin", Addr: "127.0.0.1:0", KlimeAddr: "127.0.0.1:0", Pace: 100 * time.Microsecond, Stdout: &stdout, Stderr: &stderr,
	}, newServer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	waitForAll(t, d.Klime)
	stop()
	if err := d.Wait(ctx); err != nil {
		t.Error(err)
	}

	counts := d.Klime.Counts()
	if want := fmt.Sprintf("\n%d events delivered, none lost.\n", counts.Accepted); !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("want %q at the end of:\n%s", want, &stdout)
	}
	if stderr.String() != "" {
		t.Errorf("stderr: %s", &stderr)
	}
	if counts.Rejected+counts.Refused+counts.Unauthorized+counts.Repeated+counts.Unlinked > 0 {
		t.Errorf("got %+v", counts)
	}
	checkCustomers(t, d.Klime)
	checkEvents(t, d.Klime.Events())

	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", after, before, stacks[:runtime.Stack(stacks, true)])
	}
}

// waitForAll waits until each kind of event has arrived.
func waitForAll(t *testing.T, local *ingest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		seen := make(map[string]bool)
		events := local.Events()
		for _, e := range events {
			seen[e.Event] = true
			seen[fmt.Sprint(e.Event, e.Properties["status"])] = true
			seen["edited"] = seen["edited"] || e.Type == ingest.TypeGroup && e.UserID == "" && e.GroupID == "org_1003"
		}
		missing := slices.DeleteFunc([]string{
			"Page Viewed", "API Called", "API Called403", "API Called500", "User Signed In",
			"Report Generated", "Report Exported", "Plan Changed", "edited",
		}, func(name string) bool { return seen[name] })
		if len(missing) == 0 {
			return
		}
		if err := local.Wait(ctx, len(events)+1); err != nil {
			t.Fatalf("no %q: %v", missing, err)
		}
	}
}

func checkCustomers(t *testing.T, local *ingest.Server) {
	t.Helper()
	want := map[string][]string{
		"org_1001": {"usr_2001", "usr_2002", "usr_2006"},
		"org_1002": {"usr_2003", "usr_2004"},
		"org_1003": {"usr_2005", "usr_2006"},
	}
	customers := local.Customers()
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
	users := local.Users()
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
	for _, e := range events {
		route, _ := e.Properties["route"].(string)
		status, _ := e.Properties["status"].(float64)
		wrong := false
		switch {
		case e.UserID == "usr_2007": // staff
			wrong = true
		case e.Type != ingest.TypeTrack:
		case e.Event == "Plan Changed":
			wrong = e.UserID != "" || e.GroupID != "org_1002" || e.Properties["plan"] == nil
		case e.UserID == "":
			wrong = true
		case status == http.StatusForbidden:
			wrong = e.GroupID != "" // nobody's fault but the user's
		case e.GroupID == "":
			wrong = true
		case e.Event == "Report Generated":
			wrong = e.Properties["reportType"] == nil
		default:
			wrong = route == "" || strings.Contains(route, "org_") || strings.Contains(route, "rep_") || status == 0
		}
		if wrong {
			t.Errorf("got %s", e.Raw)
		}
	}
}

// client is a browser without a network.
type client struct {
	t       *testing.T
	router  http.Handler
	session string
}

func newClient(t *testing.T, email string) *client {
	t.Helper()
	c := &client{t: t, router: newRouter(demo.NewApp(), nil)} // a nil client records nothing
	if email != "" {
		c.post("/login", "email="+url.QueryEscape(email)+"&password="+demo.Password, http.StatusSeeOther)
	}
	return c
}

func (c *client) get(path string, want int) string {
	c.t.Helper()
	return c.do(httptest.NewRequest(http.MethodGet, path, nil), want)
}

func (c *client) post(path, form string, want int) string {
	c.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r, want)
}

func (c *client) do(r *http.Request, want int) string {
	c.t.Helper()
	if c.session != "" {
		r.AddCookie(&http.Cookie{Name: demo.SessionCookie, Value: c.session})
	}
	w := httptest.NewRecorder()
	c.router.ServeHTTP(w, r)
	if w.Code != want {
		c.t.Errorf("%s %s: got %d, want %d", r.Method, r.URL.Path, w.Code, want)
	}
	for _, cookie := range w.Result().Cookies() {
		c.session = cookie.Value
	}
	return w.Body.String()
}

func TestNobodySignedIn(t *testing.T) {
	c := newClient(t, "")
	c.get("/healthz", http.StatusOK)
	c.get("/login", http.StatusOK)
	for _, path := range []string{"/", "/reports", "/reports/rep_3001"} {
		c.get(path, http.StatusSeeOther)
	}
	c.get("/api/orgs/org_1001/reports", http.StatusUnauthorized)
	c.get("/admin", http.StatusForbidden)
	c.post("/admin/orgs/org_1001", "name=Mine&plan=business", http.StatusForbidden)
	c.post("/webhooks/billing", `{"org":"org_1001","plan":"trial"}`, http.StatusForbidden)
	c.post("/login", "email=jane@acme.example&password=guess", http.StatusUnauthorized)
	if c.session != "" {
		t.Error("the wrong password begins a session")
	}
	c.session = "forged.cookie"
	c.get("/api/orgs/org_1001/reports", http.StatusUnauthorized)
}

func TestUserOfOneCompany(t *testing.T) {
	c := newClient(t, "jane@acme.example")
	if page := c.get("/", http.StatusOK); !strings.Contains(page, "Acme Robotics") || strings.Contains(page, "/switch") {
		t.Errorf("got %s", page)
	}
	c.get("/reports", http.StatusOK)
	c.get("/reports/rep_3001", http.StatusOK)
	c.get("/reports/rep_3004", http.StatusNotFound) // Blue Harbor's
	c.post("/reports", "type=churn", http.StatusSeeOther)
	c.post("/reports", "type=gossip", http.StatusBadRequest)
	c.get("/api/orgs/org_1001/reports", http.StatusOK)
	c.get("/api/orgs/org_1001/reports/rep_3001", http.StatusOK)
	c.get("/api/orgs/org_1001/reports/rep_3004", http.StatusNotFound)
	for _, org := range []string{"org_1002", "org_1003", "org_9999"} {
		c.get("/api/orgs/"+org+"/reports", http.StatusForbidden)
		c.get("/api/orgs/"+org+"/reports/rep_3004", http.StatusForbidden)
		c.get("/api/orgs/"+org+"/reports/rep_3004/export", http.StatusForbidden)
		c.post("/api/orgs/"+org+"/reports", `{"type":"churn"}`, http.StatusForbidden)
		c.post("/switch", "org="+org, http.StatusForbidden)
	}
	c.get("/admin", http.StatusForbidden)
	c.post("/admin/orgs/org_1001", "name=Acme&plan=business", http.StatusForbidden)
	c.post("/logout", "", http.StatusSeeOther)
	c.get("/", http.StatusSeeOther)
}

func TestUserOfTwoCompanies(t *testing.T) {
	c := newClient(t, "alex@agency.example")
	if page := c.get("/", http.StatusOK); !strings.Contains(page, "Acme Robotics is on") || !strings.Contains(page, "/switch") {
		t.Errorf("got %s", page)
	}
	c.get("/api/orgs/org_1003/reports", http.StatusOK) // the API needs no switch
	c.post("/switch", "org=org_1003", http.StatusSeeOther)
	if page := c.get("/", http.StatusOK); !strings.Contains(page, "Cobalt Health is on") {
		t.Errorf("got %s", page)
	}
	c.post("/switch", "org=org_1002", http.StatusForbidden)
}

func TestStaff(t *testing.T) {
	c := newClient(t, "sam@sundial.example")
	c.get("/", http.StatusSeeOther)
	c.post("/admin/orgs/org_1002", "name=Blue+Harbour&plan=business", http.StatusSeeOther)
	if page := c.get("/admin", http.StatusOK); !strings.Contains(page, "Blue Harbour") {
		t.Errorf("got %s", page)
	}
	c.post("/admin/orgs/org_1002", "name=&plan=business", http.StatusBadRequest)
	c.post("/admin/orgs/org_9999", "name=Who&plan=business", http.StatusNotFound)
	c.get("/api/orgs/org_1002/reports", http.StatusForbidden)
}
