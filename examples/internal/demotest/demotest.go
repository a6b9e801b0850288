// Package demotest tests the example programs. All of them are the same app, so all
// must behave alike and send the same events to Klime.
package demotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/internal/ingest"
)

const timeout = 30 * time.Second

// Run tests an example.
func Run[S demo.Server](t *testing.T, name string, newServer demo.NewServer[S]) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KLIME_") {
			t.Setenv(name, "") // use the local Klime, with the defaults
		}
	}
	start := func(t *testing.T, opts demo.Options) *demo.Demo {
		t.Helper()
		opts.Name, opts.Addr, opts.KlimeAddr = name, "127.0.0.1:0", "127.0.0.1:0"
		d, err := demo.Start(opts, newServer)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Run("usage arrives at Klime", func(t *testing.T) { testTraffic(t, start) })
	for name, test := range visits() {
		t.Run(name, func(t *testing.T) {
			d := start(t, demo.Options{NoTraffic: true, Stdout: io.Discard, Stderr: t.Output()})
			test(newVisitor(t, d))
		})
	}
}

// mainVariable makes a test binary run the program that it tests.
const mainVariable = "KLIME_DEMO_MAIN"

// Main must be called by TestMain, so that Terminate can run the program.
func Main(m *testing.M, program func()) {
	if os.Getenv(mainVariable) != "" {
		_ = os.Unsetenv(mainVariable) // klime.FromEnv would wonder about it
		program()
	}
	os.Exit(m.Run())
}

// Terminate tests the whole program: if it gets SIGTERM amid its traffic, as from an
// orchestrator, it loses nothing and ends in less than 10 s.
func Terminate(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it has no SIGTERM")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	klime := ingest.New(ingest.Options{})
	server := httptest.NewServer(klime)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var stdout bytes.Buffer
	program := exec.CommandContext(ctx, exe, "-addr", "127.0.0.1:0", "-traffic") //nolint:gosec // this program
	program.Env = append(os.Environ(), mainVariable+"=1", "KLIME_WRITE_KEY=key", "KLIME_ENDPOINT="+server.URL)
	program.Stdout, program.Stderr = &stdout, complaints{t}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	const amid = 30 // events
	err = errors.Join(klime.Wait(ctx, amid), program.Process.Signal(syscall.SIGTERM))
	kill := time.AfterFunc(10*time.Second, cancel)
	defer kill.Stop()
	if err := errors.Join(err, program.Wait()); err != nil {
		t.Error(err)
	}
	if want := fmt.Sprintf("\n%d events delivered, none lost.\n", klime.Counts().Accepted); !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("want %q at the end of:\n%s", want, &stdout)
	}
}

// RunRollUp tests an example whose middleware rolls API calls up.
func RunRollUp[S demo.Server](t *testing.T, name string, newServer demo.NewServer[S]) {
	t.Helper()
	const enough = 200 // single events: some rounds of the traffic
	d, err := demo.Start(demo.Options{
		Name: name, Addr: "127.0.0.1:0", KlimeAddr: "127.0.0.1:0", Pace: 100 * time.Microsecond, Stdout: io.Discard, Stderr: complaints{t},
	}, newServer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := d.Klime.Wait(ctx, enough); err != nil {
		t.Fatal(err)
	}
	wait(t, d)
	events, calls, rollUps := 0, 0, 0
	for _, e := range d.Klime.Events() {
		events++
		switch e.Event {
		case "API Called":
			t.Errorf("an API call by itself: %v", e.Properties)
		case "API Usage Recorded":
			rollUps++
			count, _ := e.Properties["count"].(float64)
			calls += int(count)
		}
	}
	t.Logf("%d events, of which %d stand for %d API calls: without RollUp it were %d", events, rollUps, calls, events-rollUps+calls)
	if rollUps == 0 || calls <= rollUps {
		t.Errorf("%d roll-ups for %d API calls", rollUps, calls)
	}
}

// starter starts the example under test.
type starter func(*testing.T, demo.Options) *demo.Demo

// complaints is a writer that fails the test when anything is written to it.
type complaints struct{ t *testing.T }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("stderr: %s", p)
	return len(p), nil
}

// testTraffic runs the whole example: sample users click around, and Klime knows their
// customers.
func testTraffic(t *testing.T, start starter) {
	t.Helper()
	before := len(goroutines())
	var stdout bytes.Buffer
	d := start(t, demo.Options{Pace: 100 * time.Microsecond, Stdout: &stdout, Stderr: complaints{t}})
	waitForAll(t, d.Klime)
	wait(t, d)

	counts := d.Klime.Counts()
	if want := fmt.Sprintf("\n%d events delivered, none lost.\n", counts.Accepted); !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("want %q at the end of:\n%s", want, &stdout)
	}
	if counts.Rejected+counts.Refused+counts.Unauthorized+counts.Repeated+counts.Unlinked > 0 {
		t.Errorf("got %+v", counts)
	}
	checkCustomers(t, d.Klime.Customers())
	checkUsers(t, d.Klime.Users())
	checkEvents(t, d.Klime.Events())
	checkGoroutines(t, before)
}

// wait ends an example.
func wait(t *testing.T, d *demo.Demo) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := d.Wait(ctx); err != nil {
		t.Error(err)
	}
}

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

func checkCustomers(t *testing.T, customers []ingest.Customer) {
	t.Helper()
	want := map[string][]string{
		"org_1001": {"usr_2001", "usr_2002", "usr_2006"},
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

func checkGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for len(goroutines()) > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if after := goroutines(); len(after) > before {
		t.Errorf("%d goroutines, %d before:\n%s", len(after), before, strings.Join(after, "\n\n"))
	}
}

// goroutines returns the stacks of all goroutines, except for those of Fiber's server:
// some of them outlive it, by up to ten seconds or for ever.
func goroutines() []string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	return slices.DeleteFunc(strings.Split(string(all), "\n\n"), func(stack string) bool {
		return strings.Contains(stack, "created by github.com/valyala/fasthttp.")
	})
}

// visitor is a person with a browser that follows no redirects.
type visitor struct {
	t      *testing.T
	demo   *demo.Demo
	client *http.Client
}

func newVisitor(t *testing.T, d *demo.Demo) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	return &visitor{t, d, &http.Client{
		Transport: transport, Jar: jar, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (v *visitor) signIn(email string) {
	v.t.Helper()
	v.post("/login", "email="+email+"&password="+demo.Password, http.StatusSeeOther)
}

// get asks for a page and expects a status.
func (v *visitor) get(path string, want int) string {
	v.t.Helper()
	return v.do(http.MethodGet, path, "", want)
}

// post sends a form, or JSON, and expects a status.
func (v *visitor) post(path, body string, want int) {
	v.t.Helper()
	v.do(http.MethodPost, path, body, want)
}

func (v *visitor) do(method, path, body string, want int) string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.demo.URL+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case method == http.MethodPost:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		v.t.Fatal(err)
	}
	if resp.StatusCode != want {
		v.t.Errorf("%s %s: got %d, want %d: %s", method, path, resp.StatusCode, want, answer)
	}
	return string(answer)
}

// finish ends the example, and checks that Klime has been told of exactly these users
// and groups.
func (v *visitor) finish(users, groups []string) {
	v.t.Helper()
	wait(v.t, v.demo)
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
