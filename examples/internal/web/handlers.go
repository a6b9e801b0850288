package web

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/klimeapp/klime-go/examples/internal/demo"
)

// Healthz says that the process is alive.
func Healthz(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ok"))
}

// LoginPage is the form to sign in.
func (s *Site) LoginPage(w http.ResponseWriter, _ *http.Request) {
	s.render(w, http.StatusOK, "login.html", demo.Page{Title: "Sign in"})
}

// SignIn begins a session, and returns it.
func (s *Site) SignIn(w http.ResponseWriter, r *http.Request) (demo.Session, bool) {
	session, cookie, err := s.app.SignIn(r.PostFormValue("email"), r.PostFormValue("password"))
	if err != nil {
		s.render(w, demo.Status(err), "login.html", demo.Page{Title: "Sign in", Error: err.Error()})
		return demo.Session{}, false
	}
	http.SetCookie(w, cookie)
	goHome(w, r, session)
	return session, true
}

// Logout ends the session.
func (s *Site) Logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, demo.SignOutCookie())
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// Switch lets a user go on in another of their companies: the Org of the session that it
// returns.
func (s *Site) Switch(w http.ResponseWriter, r *http.Request) (demo.Session, bool) {
	session, cookie, err := s.app.Switch(Session(r), r.PostFormValue("org"))
	if err != nil {
		s.failPage(w, r, err)
		return demo.Session{}, false
	}
	http.SetCookie(w, cookie)
	goHome(w, r, session)
	return session, true
}

// Dashboard is a customer's first page.
func (s *Site) Dashboard(w http.ResponseWriter, r *http.Request) {
	session := Session(r)
	reports := s.app.Reports(session.Org.ID)
	reports = reports[:min(len(reports), 5)]
	s.render(w, http.StatusOK, "dashboard.html", demo.Page{Title: "Hello " + session.User.Name, Session: session, Reports: reports})
}

// Reports is the page of all reports.
func (s *Site) Reports(w http.ResponseWriter, r *http.Request) {
	session := Session(r)
	reports := s.app.Reports(session.Org.ID)
	s.render(w, http.StatusOK, "reports.html", demo.Page{Title: "Reports", Session: session, Reports: reports})
}

// Report is the page of one report.
func (s *Site) Report(w http.ResponseWriter, r *http.Request) {
	session := Session(r)
	report, err := s.app.Report(session.Org.ID, r.PathValue("id"))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "report.html", demo.Page{Title: "Report " + report.ID, Session: session, Report: report})
}

// Generate makes a report for the session's company.
func (s *Site) Generate(w http.ResponseWriter, r *http.Request) (demo.Report, bool) {
	session := Session(r)
	report, err := s.app.GenerateReport(session.Org.ID, r.PostFormValue("type"), session.User)
	if err != nil {
		s.failPage(w, r, err)
		return demo.Report{}, false
	}
	http.Redirect(w, r, "/reports/"+report.ID, http.StatusSeeOther)
	return report, true
}

// APIReports lists the reports of a company. In all API handlers, the path names the
// company.
func (s *Site) APIReports(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.app.Reports(r.PathValue("org")))
}

// APIReport returns a report.
func (s *Site) APIReport(w http.ResponseWriter, r *http.Request) {
	report, err := s.app.Report(r.PathValue("org"), r.PathValue("id"))
	if err != nil {
		failAPI(w, err)
		return
	}
	writeJSON(w, http.StatusOK, report)
}

// APIExport returns a report as CSV.
func (s *Site) APIExport(w http.ResponseWriter, r *http.Request) {
	csv, err := s.app.ExportReport(r.PathValue("org"), r.PathValue("id"))
	if err != nil {
		failAPI(w, err) // now and then it fails: an "API Called" with status 500, not a "Report Exported"
		return
	}
	write(w, http.StatusOK, "text/csv; charset=utf-8", csv)
}

// APIGenerate makes a report.
func (s *Site) APIGenerate(w http.ResponseWriter, r *http.Request) (demo.Report, bool) {
	var input struct {
		Type string `json:"type"`
	}
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
		failAPI(w, demo.ErrInvalid)
		return demo.Report{}, false
	}
	report, err := s.app.GenerateReport(r.PathValue("org"), input.Type, Session(r).User)
	if err != nil {
		failAPI(w, err)
		return demo.Report{}, false
	}
	writeJSON(w, http.StatusCreated, report)
	return report, true
}

// Admin is the page of all companies, for staff.
func (s *Site) Admin(w http.ResponseWriter, r *http.Request) {
	s.render(w, http.StatusOK, "admin.html", demo.Page{Title: "Companies", Session: Session(r), Orgs: s.app.Orgs()})
}

// UpdateOrg lets staff edit a company, and returns it.
func (s *Site) UpdateOrg(w http.ResponseWriter, r *http.Request) (demo.Org, bool) {
	org, err := s.app.UpdateOrg(r.PathValue("org"), r.PostFormValue("name"), r.PostFormValue("plan"))
	if err != nil {
		s.failPage(w, r, err)
		return demo.Org{}, false
	}
	goHome(w, r, Session(r))
	return org, true
}

// ChangePlan is the billing service's webhook. It returns the company with the
// plan that it has now.
func (s *Site) ChangePlan(w http.ResponseWriter, r *http.Request) (demo.Org, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		failAPI(w, demo.ErrInvalid)
		return demo.Org{}, false
	}
	org, err := s.app.ChangePlan(body, r.Header.Get(demo.BillingSignature))
	if err != nil {
		failAPI(w, err)
		return demo.Org{}, false
	}
	w.WriteHeader(http.StatusNoContent)
	return org, true
}
