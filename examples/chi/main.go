// The chi example is Sundial, a small reporting product whose customers are
// companies, with Klime in it: run it, and see who uses it, and how.
//
//	go run ./examples/chi
//
// It needs no key: without KLIME_WRITE_KEY it sends to a local Klime inside it.
// All that a chi app does with klime is in this file. What the app does without
// klime is in the package web, as it is the same for every router: its handlers
// answer a request and return what they have done.
package main

import (
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/web"
)

func main() {
	// Main serves until Ctrl-C or SIGTERM. Then it calls srv.Shutdown, and after
	// that client.Shutdown: the last requests have events, too.
	os.Exit(demo.Main("chi", newServer))
}

// newServer builds the app. An app of your own makes its client with
// klime.New(klime.FromEnv()): cfg is the same, or points to the local Klime.
func newServer(app *demo.App, cfg klime.Config) (*http.Server, *klime.Client, error) {
	client, err := klime.New(cfg)
	if err != nil {
		// An app that has other things to do than this one would log err and go
		// on: client is nil now, and a nil client does nothing, everywhere.
		return nil, nil, err
	}
	return &http.Server{Handler: newRouter(app, client), ReadHeaderTimeout: 5 * time.Second}, client, nil
}

func newRouter(app *demo.App, client *klime.Client) http.Handler {
	h := &handlers{site: web.New(app), klime: client}
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	// Who makes the request is in the context of the request that Authenticate
	// passes on. It goes first, so that this is the request that klime gets.
	r.Use(h.site.Authenticate)
	// The one line that records every page and API call.
	r.Use(chiklime.Middleware(client,
		chiklime.UserID(func(r *http.Request) string { return web.Session(r).User.ID }),
		chiklime.GroupID(func(r *http.Request) string { return web.Session(r).Org.ID })))
	r.Use(skipStaff)

	r.Get("/healthz", web.Healthz) // known as noise, not recorded
	r.Get("/login", h.site.LoginPage)
	r.With(chiklime.Event("User Signed In")).Post("/login", h.login) // in place of "API Called"
	r.Post("/logout", h.site.Logout)
	r.With(chiklime.Skip()).Post("/webhooks/billing", h.billing) // a machine called: that is nobody's usage

	r.Group(func(pages chi.Router) {
		pages.Use(h.site.RequireCustomer)
		pages.Get("/", h.site.Dashboard)
		pages.Get("/reports", h.site.Reports)
		pages.Get("/reports/{id}", h.site.Report)
		pages.Post("/reports", h.generate)
		pages.Post("/switch", h.switchOrg)
	})
	r.Route("/api/orgs/{org}", func(api chi.Router) {
		// With instead of Use: so it runs when chi has found the route, which is then
		// known of refused calls, too.
		api = api.With(h.requireMember)
		api.Get("/reports", h.site.APIReports)
		api.Post("/reports", h.apiGenerate)
		api.Get("/reports/{id}", h.site.APIReport)
		api.With(chiklime.Event("Report Exported")).Get("/reports/{id}/export", h.site.APIExport)
	})
	r.Group(func(admin chi.Router) {
		admin.Use(h.site.RequireStaff)
		admin.Get("/admin", h.site.Admin)
		admin.Post("/admin/orgs/{org}", h.adminUpdate)
	})
	return r
}

type handlers struct {
	site  *web.Site
	klime *klime.Client
}

// skipStaff keeps our own staff out: they are no customer, and nothing is
// recorded by itself of what they do.
func skipStaff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if web.Session(r).User.Staff {
			klime.Skip(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

// login links the user to their companies: from here on Klime knows both, and
// all that the user does counts for the companies. It may be called as often as
// is convenient, in front of every request even: each fact is sent once.
func (h *handlers) login(w http.ResponseWriter, r *http.Request) {
	s, ok := h.site.SignIn(w, r)
	switch {
	case !ok:
	case s.User.Staff:
		klime.Skip(r.Context())
	default:
		klime.Link(r.Context(), klime.User{ID: s.User.ID, Traits: klime.Traits{
			"email": s.User.Email, "name": s.User.Name, "createdAt": s.User.Since,
		}}, demo.Groups(s.Orgs)...)
		klime.SetGroup(r.Context(), s.Org.ID) // of several companies, the one they start in
	}
}

// switchOrg is for users of several companies. The request began in one and
// ends in another: SetGroup says which it counts for.
func (h *handlers) switchOrg(w http.ResponseWriter, r *http.Request) {
	if s, ok := h.site.Switch(w, r); ok {
		klime.SetGroup(r.Context(), s.Org.ID)
	}
}

// requireMember lets a user into the company that the path names. That may be
// another than the session's: this one is checked, so SetGroup takes it.
func (h *handlers) requireMember(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if org, ok := h.site.Enter(w, r); ok {
			klime.SetGroup(r.Context(), org.ID)
			next.ServeHTTP(w, r)
		}
	})
}

// generate tracks what the customer came for. User and company are those of
// the request.
func (h *handlers) generate(w http.ResponseWriter, r *http.Request) {
	if report, ok := h.site.Generate(w, r); ok {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": report.Type, "via": "web"})
	}
}

func (h *handlers) apiGenerate(w http.ResponseWriter, r *http.Request) {
	if report, ok := h.site.APIGenerate(w, r); ok {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": report.Type, "via": "api"})
	}
}

// adminUpdate is staff who edit a customer. Group takes nothing from the
// request: the customer's traits change, and the staff do not become its users.
func (h *handlers) adminUpdate(w http.ResponseWriter, r *http.Request) {
	if org, ok := h.site.UpdateOrg(w, r); ok {
		demo.Warn(h.klime.Group(r.Context(), org.ID, demo.Traits(org)))
	}
}

// billing is a webhook. There is no user, so the event is the company's own.
func (h *handlers) billing(w http.ResponseWriter, r *http.Request) {
	if org, ok := h.site.ChangePlan(w, r); ok {
		demo.Warn(h.klime.Group(r.Context(), org.ID, klime.Traits{"plan": org.Plan}))
		demo.Warn(h.klime.Track(r.Context(), "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)))
	}
}
