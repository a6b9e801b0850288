// The nethttp example is Sundial, a small reporting product whose customers are
// companies, with Klime built in: run it, and see who uses it, and how.
//
//	go run ./examples/nethttp
//
// It needs no key: without KLIME_WRITE_KEY it sends to a local Klime that it runs itself.
// This file has all that an app on Go's own http.ServeMux does with klime. The rest of
// the app is in package web, as it is the same for every router: its handlers answer a
// request and return what they have done.
package main

import (
	"net/http"
	"os"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/web"
	"github.com/klimeapp/klime-go/nethttp"
)

func main() {
	// Main serves until Ctrl-C or SIGTERM. Then it calls srv.Shutdown, and after
	// that client.Shutdown, so that the events of the last requests are sent too.
	os.Exit(demo.Main("nethttp", newServer))
}

// newServer builds the app. Your own app makes its client with
// klime.New(klime.FromEnv()). Here cfg is the same, or points to the local Klime.
func newServer(app *demo.App, cfg klime.Config) (*http.Server, *klime.Client, error) {
	client, err := klime.New(cfg)
	if err != nil {
		// A real app would log err and go on: client is nil now, and a nil client
		// does nothing, everywhere.
		return nil, nil, err
	}
	handler := http.MaxBytesHandler(newHandler(web.New(app), client), demo.MaxBody)
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, client, nil
}

// newHandler builds the routes. Options tune how they are recorded, such as
// klime.RollUp(time.Minute): one event for many API calls.
func newHandler(site *web.Site, client *klime.Client, opts ...klime.Option) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", web.Healthz) // a health check, not recorded
	addSessions(mux, site)
	addPages(mux, site)
	addAPI(mux, site)
	addOffice(mux, site, client)

	// The one call that records every page and API call, with the mux's patterns as
	// routes.
	record := nethttp.Middleware(client, append(opts,
		nethttp.UserID(func(r *http.Request) string { return web.Session(r).User.ID }),
		nethttp.GroupID(func(r *http.Request) string { return web.Session(r).Org.ID }))...)
	// Authenticate passes on a request with the session in its context. It goes around
	// record, so that record gets that request. Nothing between record and the mux
	// replaces the request, as that would hide the mux's patterns (if you must, see
	// nethttp.Mux).
	return site.Authenticate(record(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if web.Session(r).User.Staff {
			klime.Skip(r.Context()) // our own staff are no customers: no automatic event
		}
		mux.ServeHTTP(w, r)
	})))
}

func addSessions(mux *http.ServeMux, site *web.Site) {
	mux.HandleFunc("GET /login", site.LoginPage)
	mux.HandleFunc("POST /logout", site.Logout)

	signedIn := nethttp.Event("User Signed In") // in place of "API Called"
	mux.Handle("POST /login", signedIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := site.SignIn(w, r)
		if !ok {
			return
		}
		ctx := r.Context()
		if s.User.Staff {
			klime.Skip(ctx)
			return
		}
		// From here on Klime knows user and companies, and all that the user does
		// counts for the companies. Link may be called as often as is convenient,
		// even for every request: each fact is sent once.
		user := klime.User{ID: s.User.ID, Traits: klime.Traits{"email": s.User.Email, "name": s.User.Name, "createdAt": s.User.Since}}
		klime.Link(ctx, user, demo.Groups(s.Orgs)...)
		klime.SetGroup(ctx, s.Org.ID) // if there are several companies, the one they start in
	})))
}

// addPages adds what customers see.
func addPages(mux *http.ServeMux, site *web.Site) {
	page := func(pattern string, handler http.HandlerFunc) { mux.Handle(pattern, site.RequireCustomer(handler)) }
	page("GET /{$}", site.Dashboard)
	page("GET /reports", site.Reports)
	page("GET /reports/{id}", site.Report)
	page("POST /reports", func(w http.ResponseWriter, r *http.Request) {
		if report, ok := site.Generate(w, r); ok {
			// This is what the customer came for. Klime takes user and company from the
			// request.
			klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": report.Type, "via": "web"})
		}
	})
	page("POST /switch", func(w http.ResponseWriter, r *http.Request) {
		if s, ok := site.Switch(w, r); ok {
			// The request begins in one company and ends in another: this says for which
			// it counts.
			klime.SetGroup(r.Context(), s.Org.ID)
		}
	})
}

// addAPI adds what customers' programs call. The path names a company.
func addAPI(mux *http.ServeMux, site *web.Site) {
	api := func(pattern string, handler http.Handler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			org, ok := site.Enter(w, r)
			if !ok {
				return
			}
			// It may differ from the session's company, so SetGroup names it, now that it
			// is checked.
			klime.SetGroup(r.Context(), org.ID)
			handler.ServeHTTP(w, r)
		})
	}
	exported := nethttp.Event("Report Exported")
	api("GET /api/orgs/{org}/reports", http.HandlerFunc(site.APIReports))
	api("GET /api/orgs/{org}/reports/{id}", http.HandlerFunc(site.APIReport))
	api("GET /api/orgs/{org}/reports/{id}/export", exported(http.HandlerFunc(site.APIExport)))
	api("POST /api/orgs/{org}/reports", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if report, ok := site.APIGenerate(w, r); ok {
			klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": report.Type, "via": "api"})
		}
	}))
}

// addOffice adds what Sundial's own people and services use.
func addOffice(mux *http.ServeMux, site *web.Site, client *klime.Client) {
	admin := func(pattern string, handler http.HandlerFunc) { mux.Handle(pattern, site.RequireStaff(handler)) }
	admin("GET /admin", site.Admin)
	admin("POST /admin/orgs/{org}", func(w http.ResponseWriter, r *http.Request) {
		if org, ok := site.UpdateOrg(w, r); ok {
			// Group takes nothing from the request: the customer's traits change, and
			// the staff do not become its users.
			demo.Warn(client.Group(r.Context(), org.ID, demo.Traits(org)))
		}
	})

	skip := nethttp.Skip() // called by a machine: no customer's usage
	mux.Handle("POST /webhooks/billing", skip(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if org, ok := site.ChangePlan(w, r); ok {
			// There is no user, so the event is of the company itself.
			demo.Warn(client.Group(r.Context(), org.ID, klime.Traits{"plan": org.Plan}))
			demo.Warn(client.Track(r.Context(), "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)))
		}
	})))
}
