package demo

import (
	"errors"
	"strings"
	"testing"
)

func signInAs(t *testing.T, app *App, email string) Session {
	t.Helper()
	s, _, err := app.SignIn(email, Password)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignIn(t *testing.T) {
	app := NewApp()
	for _, test := range []struct {
		email, password string
		user, org       string
		orgs            int
		err             error
	}{
		{"jane@acme.example", Password, "usr_2001", "org_1001", 1, nil},
		{" Alex@Agency.example ", Password, "usr_2006", "org_1001", 2, nil},
		{"sam@sundial.example", Password, "usr_2007", "", 0, nil},
		{"jane@acme.example", "guess", "", "", 0, ErrSignIn},
		{"jane@acme.example", "", "", "", 0, ErrSignIn},
		{"nobody@acme.example", Password, "", "", 0, ErrSignIn},
		{"", Password, "", "", 0, ErrSignIn},
	} {
		s, cookie, err := app.SignIn(test.email, test.password)
		if !errors.Is(err, test.err) || s.User.ID != test.user || s.Org.ID != test.org || len(s.Orgs) != test.orgs {
			t.Errorf("%q, %q: got %+v, %v", test.email, test.password, s, err)
		}
		if err != nil {
			if cookie != nil {
				t.Errorf("%q, %q: got a cookie", test.email, test.password)
			}
			continue
		}
		if again, err := app.Session(cookie.Value); err != nil || again.User != s.User || again.Org != s.Org {
			t.Errorf("%q: the cookie stands for %+v, %v", test.email, again, err)
		}
		if _, err := NewApp().Session(cookie.Value); !errors.Is(err, ErrSignedOut) {
			t.Errorf("%q: another process takes the cookie: %v", test.email, err)
		}
	}
}

func TestUsersEnterTheirOwnCompaniesOnly(t *testing.T) {
	app := NewApp()
	for email, may := range map[string][]string{
		"jane@acme.example":      {"org_1001"},
		"mei@blueharbor.example": {"org_1002"},
		"alex@agency.example":    {"org_1001", "org_1003"},
		"sam@sundial.example":    {},
	} {
		s := signInAs(t, app, email)
		entered := make(map[string]bool)
		for _, id := range may {
			entered[id] = true
		}
		for _, id := range []string{"org_1001", "org_1002", "org_1003", "org_9999", ""} {
			var want error
			if !entered[id] {
				want = ErrForbidden
			}
			if org, err := s.Enter(id); !errors.Is(err, want) || err == nil && org.ID != id {
				t.Errorf("%s enters %q: got %v, %v", email, id, org, err)
			}
			if id == "" {
				continue // this user is staff
			}
			if switched, _, err := app.Switch(s, id); !errors.Is(err, want) || err == nil && switched.Org.ID != id {
				t.Errorf("%s switches to %q: got %v, %v", email, id, switched.Org, err)
			}
		}
	}
}

func TestWhoLeavesACompanyIsOut(t *testing.T) {
	app := NewApp()
	_, cookie, err := app.SignIn("jane@acme.example", Password)
	if err != nil {
		t.Fatal(err)
	}
	delete(app.members, "usr_2001")
	if s, err := app.Session(cookie.Value); err == nil {
		t.Errorf("the old cookie stands for %+v", s)
	}
}

func TestReportsBelongToOneCompany(t *testing.T) {
	app := NewApp()
	r, err := app.GenerateReport("org_1001", "revenue", User{Name: "Jane"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := app.Report("org_1001", r.ID); err != nil || got != r {
		t.Errorf("its own company: got %v, %v", got, err)
	}
	if _, err := app.Report("org_1002", r.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("another company: got %v", err)
	}
	if _, err := app.ExportReport("org_1002", r.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("another company exports: got %v", err)
	}
	if _, err := app.GenerateReport("org_1001", "gossip", User{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown type: got %v", err)
	}
}

func TestReportsAreBounded(t *testing.T) {
	app := NewApp()
	var last Report
	for range 3 * maxReports {
		last, _ = app.GenerateReport("org_1001", "churn", User{})
	}
	if got := app.Reports("org_1001"); len(got) != maxReports || got[0] != last {
		t.Errorf("got %d reports, the first is %v", len(got), got[0])
	}
}

func TestExportFailsNowAndThen(t *testing.T) {
	app := NewApp()
	id := app.Reports("org_1001")[0].ID
	failures := 0
	for range 8 {
		csv, err := app.ExportReport("org_1001", id)
		switch {
		case errors.Is(err, ErrExport) && Status(err) == 500:
			failures++
		case err != nil || !strings.Contains(string(csv), id):
			t.Errorf("got %q, %v", csv, err)
		}
	}
	if failures != 2 {
		t.Errorf("%d of 8 failed", failures)
	}
}

func TestUpdateOrg(t *testing.T) {
	app := NewApp()
	for _, test := range []struct {
		id, name, plan string
		err            error
	}{
		{"org_1003", " Cobalt ", "business", nil},
		{"org_9999", "Cobalt", "business", ErrNotFound},
		{"org_1003", " ", "business", ErrInvalid},
		{"org_1003", strings.Repeat("é", 81), "business", ErrInvalid},
		{"org_1003", strings.Repeat("é", 80), "business", nil},
		{"org_1003", "Cobalt", "free", ErrInvalid},
	} {
		org, err := app.UpdateOrg(test.id, test.name, test.plan)
		if !errors.Is(err, test.err) || err == nil && (org.Name != strings.TrimSpace(test.name) || org.Plan != test.plan) {
			t.Errorf("%q, %q, %q: got %v, %v", test.id, test.name, test.plan, org, err)
		}
	}
}

func TestBillingWebhook(t *testing.T) {
	app := NewApp()
	body, signature := app.BillingRequest("org_1002", "business")
	org, err := app.ChangePlan(body, signature)
	if err != nil || org.Plan != "business" || org.Name != "Blue Harbor Foods" {
		t.Errorf("got %v, %v", org, err)
	}
	for name, wrong := range map[string]string{
		"none": "", "not hex": "zz", "short": signature[:10], "of another body": strings.Repeat("0", len(signature)),
	} {
		if _, err := app.ChangePlan(body, wrong); !errors.Is(err, ErrSignature) {
			t.Errorf("signature %s: got %v", name, err)
		}
	}
	if _, err := app.ChangePlan([]byte(`{"org":"org_1001","plan":"business"}`), signature); !errors.Is(err, ErrSignature) {
		t.Errorf("another body: got %v", err)
	}
	if _, err := app.ChangePlan(app.BillingRequest("org_9999", "business")); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown company: got %v", err)
	}
	if _, err := app.ChangePlan(app.BillingRequest("org_1001", "free")); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown plan: got %v", err)
	}
}

func TestPagesShowNoMarkupOfUsers(t *testing.T) {
	app := NewApp()
	if _, err := app.UpdateOrg("org_1001", "<b>Acme</b>", "business"); err != nil {
		t.Fatal(err)
	}
	s := signInAs(t, app, "alex@agency.example")
	page := Page{Title: "A page", Session: s, Error: "<b>", Reports: app.Reports("org_1001"), Orgs: app.Orgs()}
	for _, name := range []string{"login.html", "dashboard.html", "reports.html", "report.html", "admin.html", "error.html"} {
		var b strings.Builder
		if err := Templates().ExecuteTemplate(&b, name, page); err != nil {
			t.Error(err)
		}
		if got := b.String(); !strings.HasSuffix(strings.TrimSpace(got), "</html>") || strings.Contains(got, "<b>Acme") {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
