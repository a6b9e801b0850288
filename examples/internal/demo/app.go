// Package demo is what the example programs share: a small reporting product called
// Sundial, sample traffic, a local Klime, and how all of it starts and stops. It knows
// no web framework: each example adds its own, and the code that a real app would also
// have.
package demo

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The errors of an App. Status maps them to HTTP statuses.
var (
	ErrSignIn    = errors.New("wrong e-mail address or password")
	ErrSignedOut = errors.New("not signed in")
	ErrSignature = errors.New("wrong signature")
	ErrForbidden = errors.New("this is another company's")
	ErrNotFound  = errors.New("there is no such thing")
	ErrInvalid   = errors.New("not a valid value")
	ErrExport    = errors.New("the export service is down")
)

// Status returns the HTTP status for an error of an [App].
func Status(err error) int {
	switch {
	case errors.Is(err, ErrSignIn), errors.Is(err, ErrSignedOut), errors.Is(err, ErrSignature):
		return http.StatusUnauthorized
	case errors.Is(err, ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	default:
		return http.StatusInternalServerError
	}
}

// MaxBody is the size of the largest request, in bytes.
const MaxBody = 64 << 10

// Password is the password of every user. (A real app stores a hash for each.)
const Password = "sundial"

// User is a person who signs in.
type User struct {
	ID    string
	Email string
	Name  string
	Since time.Time
	Staff bool // works for Sundial and belongs to no customer
}

// Org is a company that pays for Sundial: a customer.
type Org struct {
	ID       string
	Name     string
	Plan     string
	Industry string
}

// Report is what Sundial makes for its customers.
type Report struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Author    string    `json:"author"`
	CreatedAt time.Time `json:"createdAt"`
	Total     int       `json:"total"`
}

// ReportTypes returns the types that [App.GenerateReport] accepts.
func ReportTypes() []string { return []string{"revenue", "churn", "inventory"} }

// Plans returns the plans that a company can have.
func Plans() []string { return []string{"trial", "starter", "business"} }

// The IDs of the companies. Unlike names, IDs never change.
const (
	acme       = "org_1001"
	blueHarbor = "org_1002"
	cobalt     = "org_1003"
)

const (
	maxReports  = 20 // for each company; the oldest makes room
	maxName     = 80 // characters of a company's name
	exportFails = 4  // every 4th export fails
)

// App is the product behind the web pages: users, companies, memberships and reports.
// It is safe for concurrent use.
type App struct {
	sessions sealer
	billing  signer

	mu      sync.Mutex
	users   []User
	orgs    []Org
	members map[string][]string // user ID → company IDs; users start in the first
	reports map[string][]Report // company ID → reports, newest first
	made    int                 // number of reports so far
	exports int
}

// NewApp returns an App with some users, companies and reports. Its sessions
// are signed with a random key and thus end with the process.
func NewApp() *App {
	since := func(month time.Month) time.Time { return time.Date(2025, month, 3, 9, 0, 0, 0, time.UTC) }
	a := &App{
		sessions: sealer{signer{key: []byte(rand.Text())}, sessionTTL},
		billing:  signer{key: []byte(rand.Text())},
		orgs: []Org{
			{ID: acme, Name: "Acme Robotics", Plan: "business", Industry: "manufacturing"},
			{ID: blueHarbor, Name: "Blue Harbor Foods", Plan: "starter", Industry: "food"},
			{ID: cobalt, Name: "Cobalt Health", Plan: "trial", Industry: "health care"},
		},
		users: []User{
			{ID: "usr_2001", Email: "jane@acme.example", Name: "Jane Cooper", Since: since(time.January)},
			{ID: "usr_2002", Email: "raj@acme.example", Name: "Raj Patel", Since: since(time.March)},
			{ID: "usr_2003", Email: "mei@blueharbor.example", Name: "Mei Tanaka", Since: since(time.April)},
			{ID: "usr_2004", Email: "tom@blueharbor.example", Name: "Tom Berg", Since: since(time.April)},
			{ID: "usr_2005", Email: "ada@cobalt.example", Name: "Ada Silva", Since: since(time.June)},
			{ID: "usr_2006", Email: "alex@agency.example", Name: "Alex Moreau", Since: since(time.February)},
			{ID: "usr_2007", Email: "sam@sundial.example", Name: "Sam Lee", Since: since(time.January), Staff: true},
		},
		members: map[string][]string{
			"usr_2001": {acme},
			"usr_2002": {acme},
			"usr_2003": {blueHarbor},
			"usr_2004": {blueHarbor},
			"usr_2005": {cobalt},
			"usr_2006": {acme, cobalt}, // works for two customers
		},
		reports: make(map[string][]Report),
	}
	for _, org := range a.orgs {
		for _, kind := range ReportTypes() {
			a.addReport(org.ID, kind, "Sundial")
		}
	}
	return a
}

// Session is who makes a request, and for which company.
type Session struct {
	User User
	Org  Org   // where the user is working now; zero for staff
	Orgs []Org // all companies the user belongs to
}

// SignedIn reports whether anybody is signed in.
func (s Session) SignedIn() bool { return s.User.ID != "" }

// Home is the path of the page where the user begins.
func (s Session) Home() string {
	if s.User.Staff {
		return "/admin"
	}
	return "/"
}

// SignIn checks a password and begins a session.
func (a *App) SignIn(email, password string) (Session, *http.Cookie, error) {
	right := subtle.ConstantTimeCompare([]byte(password), []byte(Password)) == 1
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.users, func(u User) bool { return strings.EqualFold(u.Email, strings.TrimSpace(email)) })
	if i < 0 || !right {
		return Session{}, nil, ErrSignIn
	}
	t := ticket{user: a.users[i].ID}
	if orgs := a.members[t.user]; len(orgs) > 0 {
		t.org = orgs[0]
	}
	return a.begin(t)
}

// Session returns the session that a cookie stands for. The cookie proves who its owner
// is. Their companies are looked up each time, as these may change while they are
// signed in.
func (a *App) Session(cookie string) (Session, error) {
	t, err := a.sessions.open(cookie)
	if err != nil {
		return Session{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session(t)
}

// Switch lets a user go on in another of their companies.
func (a *App) Switch(s Session, orgID string) (Session, *http.Cookie, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.begin(ticket{user: s.User.ID, org: orgID})
}

// begin begins a session. The caller must hold the lock, as for all unexported methods
// below.
func (a *App) begin(t ticket) (Session, *http.Cookie, error) {
	s, err := a.session(t)
	if err != nil {
		return Session{}, nil, err
	}
	return s, sessionCookie(a.sessions.seal(t), a.sessions.ttl), nil
}

func (a *App) session(t ticket) (Session, error) {
	i := slices.IndexFunc(a.users, func(u User) bool { return u.ID == t.user })
	if i < 0 {
		return Session{}, ErrSignedOut
	}
	s := Session{User: a.users[i]}
	for _, id := range a.members[t.user] {
		org, err := a.org(id)
		if err != nil {
			return Session{}, err
		}
		s.Orgs = append(s.Orgs, *org)
		if id == t.org {
			s.Org = *org
		}
	}
	if s.Org.ID != t.org {
		return Session{}, ErrForbidden
	}
	return s, nil
}

// Enter returns a company that the user belongs to. For any other ID the error is
// ErrForbidden, whether the company exists or not.
func (s Session) Enter(orgID string) (Org, error) {
	i := slices.IndexFunc(s.Orgs, func(o Org) bool { return o.ID == orgID })
	if i < 0 {
		return Org{}, ErrForbidden
	}
	return s.Orgs[i], nil
}

// Reports returns a company's reports, newest first.
func (a *App) Reports(orgID string) []Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reports[orgID])
}

// Report returns a report of a company.
func (a *App) Report(orgID, id string) (Report, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.reports[orgID], func(r Report) bool { return r.ID == id })
	if i < 0 {
		return Report{}, ErrNotFound
	}
	return a.reports[orgID][i], nil
}

// GenerateReport makes a report for a company.
func (a *App) GenerateReport(orgID, kind string, author User) (Report, error) {
	if !slices.Contains(ReportTypes(), kind) {
		return Report{}, fmt.Errorf("%w: type of report", ErrInvalid)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.addReport(orgID, kind, author.Name), nil
}

func (a *App) addReport(orgID, kind, author string) Report {
	a.made++
	r := Report{
		ID: fmt.Sprintf("rep_%d", 3000+a.made), Type: kind, Author: author,
		CreatedAt: time.Now().UTC().Truncate(time.Second), Total: 1000 + a.made*7919%9000,
	}
	reports := slices.Insert(a.reports[orgID], 0, r)
	a.reports[orgID] = reports[:min(len(reports), maxReports)]
	return r
}

// ExportReport returns a report as CSV. Now and then it fails with ErrExport, as real
// services do.
func (a *App) ExportReport(orgID, id string) ([]byte, error) {
	r, err := a.Report(orgID, id)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.exports++
	if a.exports%exportFails == 0 {
		return nil, ErrExport
	}
	return fmt.Appendf(nil, "id,type,total\n%s,%s,%d\n", r.ID, r.Type, r.Total), nil
}

// Orgs returns all companies, for staff.
func (a *App) Orgs() []Org {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.orgs)
}

// UpdateOrg changes a company's name and plan.
func (a *App) UpdateOrg(orgID, name, plan string) (Org, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	org, err := a.org(orgID)
	if err != nil {
		return Org{}, err
	}
	return org.update(name, plan)
}

func (o *Org) update(name, plan string) (Org, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxName:
		return Org{}, fmt.Errorf("%w: name", ErrInvalid)
	case !slices.Contains(Plans(), plan):
		return Org{}, fmt.Errorf("%w: plan", ErrInvalid)
	}
	o.Name, o.Plan = name, plan
	return *o, nil
}

func (a *App) org(id string) (*Org, error) {
	i := slices.IndexFunc(a.orgs, func(o Org) bool { return o.ID == id })
	if i < 0 {
		return nil, ErrNotFound
	}
	return &a.orgs[i], nil
}
