package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"
)

const requestTimeout = 10 * time.Second

// traffic makes the requests of people and programs that use the app over HTTP, one
// request after the other.
type traffic struct {
	visitors  []*visitor
	transport *http.Transport
	pace      time.Duration // between two requests
	complain  func(error)   // called with unexpected answers
}

// visitor is a person with a browser, or a program. It goes through its script
// again and again.
type visitor struct {
	email  string
	org    string // replaces {org} in paths
	every  int    // makes a request in every nth round
	script []step

	app    *App
	base   string
	client *http.Client // with cookies of its own
	next   int          // step of the script
	report string       // the last one seen; replaces {report} in paths
}

// step is one request.
type step func(context.Context, *visitor) error

// newTraffic returns the sample traffic for an app that is served at base.
func newTraffic(app *App, base string, pace time.Duration, noPages bool, complain func(error)) *traffic {
	work := []step{
		signIn, get("/"), get("/reports"), listReports, get("/reports/{report}"),
		get("/api/orgs/{org}/reports/{report}"), export, generate("revenue"), get("/"), signOut,
	}
	glance := []step{signIn, get("/"), signOut}
	integration := []step{signIn, listReports, export, create("inventory"), listReports, export, signOut}
	agency := []step{
		signIn, get("/"), generate("churn"), listReports, export,
		switchTo(cobalt), get("/"), generate("revenue"), listReports, get("/reports/{report}"),
		get("/api/orgs/"+blueHarbor+"/reports", http.StatusForbidden), // not one of theirs
		switchTo(acme), signOut,
	}
	staff := []step{
		signIn, get("/admin"), edit(cobalt, "Cobalt Health", "starter"),
		get("/admin"), edit(cobalt, "Cobalt Health", "trial"), signOut,
	}
	billing := []step{bill(blueHarbor, "business"), bill(blueHarbor, "starter")}

	t := &traffic{transport: &http.Transport{}, pace: pace, complain: complain}
	t.visitors = []*visitor{
		{email: "jane@acme.example", org: acme, every: 1, script: work},
		{email: "mei@blueharbor.example", org: blueHarbor, every: 1, script: work},
		{email: "alex@agency.example", org: acme, every: 1, script: agency},
		{email: "raj@acme.example", org: acme, every: 2, script: integration},
		{email: "tom@blueharbor.example", org: blueHarbor, every: 3, script: glance},
		{email: "ada@cobalt.example", org: cobalt, every: 4, script: glance}, // a customer gone quiet
		{email: "sam@sundial.example", every: 5, script: staff},
		{every: 5, script: billing},
		{every: 5, script: []step{get("/healthz")}},
	}
	if noPages {
		t.visitors = []*visitor{{every: 1, script: billing}}
	}
	for _, v := range t.visitors {
		jar, _ := cookiejar.New(nil) // cannot fail
		v.app, v.base = app, base
		v.client = &http.Client{
			Transport: t.transport, Jar: jar, Timeout: requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return t
}

// run makes requests until stop is closed. The last one is not cut short, unless ctx ends.
func (t *traffic) run(ctx context.Context, stop <-chan struct{}) {
	defer t.transport.CloseIdleConnections()
	ticker := time.NewTicker(t.pace)
	defer ticker.Stop()
	for round := 0; ; round++ {
		for _, v := range t.visitors {
			if round%v.every != 0 {
				continue
			}
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			step := v.script[v.next]
			v.next = (v.next + 1) % len(v.script)
			if err := step(ctx, v); err != nil {
				t.complain(fmt.Errorf("sample traffic: %w", err))
			}
		}
	}
}

func signIn(ctx context.Context, v *visitor) error {
	form := url.Values{"email": {v.email}, "password": {Password}}
	_, err := v.postForm(ctx, "/login", form)
	return err
}

func signOut(ctx context.Context, v *visitor) error {
	_, err := v.postForm(ctx, "/logout", nil)
	return err
}

// get opens a page or calls the API, and expects 200 or one of the given statuses.
func get(path string, want ...int) step {
	if len(want) == 0 {
		want = []int{http.StatusOK}
	}
	return func(ctx context.Context, v *visitor) error {
		_, err := v.do(ctx, http.MethodGet, path, nil, nil, want...)
		return err
	}
}

func listReports(ctx context.Context, v *visitor) error {
	body, err := v.do(ctx, http.MethodGet, "/api/orgs/{org}/reports", nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	var reports []Report
	if err := json.Unmarshal(body, &reports); err != nil {
		return err
	}
	if len(reports) == 0 {
		return errors.New("no reports")
	}
	v.report = reports[0].ID
	return nil
}

// export fails now and then, which the visitor expects.
func export(ctx context.Context, v *visitor) error {
	return get("/api/orgs/{org}/reports/{report}/export", http.StatusOK, http.StatusInternalServerError)(ctx, v)
}

func generate(kind string) step {
	return func(ctx context.Context, v *visitor) error {
		_, err := v.postForm(ctx, "/reports", url.Values{"type": {kind}})
		return err
	}
}

// create generates a report by the API.
func create(kind string) step {
	return func(ctx context.Context, v *visitor) error {
		header := http.Header{"Content-Type": {"application/json"}}
		body := fmt.Appendf(nil, `{"type":%q}`, kind)
		_, err := v.do(ctx, http.MethodPost, "/api/orgs/{org}/reports", header, body, http.StatusCreated)
		return err
	}
}

func switchTo(org string) step {
	return func(ctx context.Context, v *visitor) error {
		_, err := v.postForm(ctx, "/switch", url.Values{"org": {org}})
		v.org = org
		return err
	}
}

// edit changes a customer, as staff do.
func edit(org, name, plan string) step {
	return func(ctx context.Context, v *visitor) error {
		_, err := v.postForm(ctx, "/admin/orgs/"+org, url.Values{"name": {name}, "plan": {plan}})
		return err
	}
}

// bill calls the webhook, as the billing service does.
func bill(org, plan string) step {
	return func(ctx context.Context, v *visitor) error {
		body, signature := v.app.BillingRequest(org, plan)
		header := http.Header{"Content-Type": {"application/json"}, BillingSignature: {signature}}
		_, err := v.do(ctx, http.MethodPost, "/webhooks/billing", header, body, http.StatusNoContent)
		return err
	}
}

// postForm sends a form, which is always answered with a redirect to a page.
func (v *visitor) postForm(ctx context.Context, path string, form url.Values) ([]byte, error) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return v.do(ctx, http.MethodPost, path, header, []byte(form.Encode()), http.StatusSeeOther)
}

// do makes a request and returns the answer's body.
func (v *visitor) do(ctx context.Context, method, path string, header http.Header, body []byte, want ...int) ([]byte, error) {
	path = strings.NewReplacer("{org}", v.org, "{report}", v.report).Replace(path)
	req, err := http.NewRequestWithContext(ctx, method, v.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(want, resp.StatusCode) {
		return nil, fmt.Errorf("%s %s: status %d", method, path, resp.StatusCode)
	}
	return answer, nil
}
