// The chi example is Sundial, a small reporting product whose customers are
// companies, with Klime built in: run it, and see who uses it, and how.
//
//	go run ./examples/chi
//
// It needs no key: without KLIME_WRITE_KEY it sends to a local Klime that it runs itself.
// This file has all that a chi app does with klime. The rest of the app is in package
// web, as it is the same for every router: its handlers answer a request and return
// what they have done.
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
	// that client.Shutdown, so that the events of the last requests are sent too.
	os.Exit(demo.Main("chi", newServer))
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
	handler := http.MaxBytesHandler(newRouter(app, client), demo.MaxBody)
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, client, nil
}

func newRouter(app *demo.App, client *klime.Client) http.Handler {
	h := &handlers{site: web.New(app), klime: client}
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	// Authenticate passes on a request with the session in its context. It goes first,
	// so that klime's middleware gets that request.
	r.Use(h.site.Authenticate)
	// The one line that records every page and API call.
	r.Use(chiklime.Middleware(client,
		chiklime.UserID(func(r *http.Request) string { return web.Session(r).User.ID }),
		chiklime.GroupID(func(r *http.Request) string { return web.Session(r).Org.ID })))
	r.Use(skipStaff)

	r.Get("/healthz", web.Healthz) // a health check, not recorded
	r.Get("/login", h.site.LoginPage)
	r.With(chiklime.Event("User Signed In")).Post("/login", h.login) // in place of "API Called"
	r.Post("/logout", h.site.Logout)
	r.With(chiklime.Skip()).Post("/webhooks/billing", h.billing) // called by a machine: no customer's usage

	r.Group(func(pages chi.Router) {
		pages.Use(h.site.RequireCustomer)
		pages.Get("/", h.site.Dashboard)
		pages.Get("/reports", h.site.Reports)
		pages.Get("/reports/{id}", h.site.Report)
		pages.Post("/reports", h.generate)
		pages.Post("/switch", h.switchOrg)
	})
	r.Route("/api/orgs/{org}", func(api chi.Router) {
		// With, and not Use, so that it runs after chi has found the route: then the route
		// of refused calls is known too.
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

// skipStaff makes no automatic events for requests of our own staff, as they are no
// customers.
func skipStaff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if web.Session(r).User.Staff {
			klime.Skip(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

// login links the user to their companies. From here on Klime knows both, and all
// that the user does counts for the companies. Link may be called as often as is
// convenient, even for every request: each fact is sent once.
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
		klime.SetGroup(r.Context(), s.Org.ID) // if there are several companies, the one they start in
	}
}

// switchOrg is for users of several companies. The request begins in one and ends in
// another: SetGroup says for which it counts.
func (h *handlers) switchOrg(w http.ResponseWriter, r *http.Request) {
	if s, ok := h.site.Switch(w, r); ok {
		klime.SetGroup(r.Context(), s.Org.ID)
	}
}

// requireMember lets a user into the company that the path names. It may differ from
// the session's company, so SetGroup names it, once it is checked.
func (h *handlers) requireMember(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if org, ok := h.site.Enter(w, r); ok {
			klime.SetGroup(r.Context(), org.ID)
			next.ServeHTTP(w, r)
		}
	})
}

// generate tracks what the customer came for. Klime takes user and company from the
// request.
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

// adminUpdate lets staff edit a customer. Group takes nothing from the request: the
// customer's traits change, and the staff do not become its users.
func (h *handlers) adminUpdate(w http.ResponseWriter, r *http.Request) {
	if org, ok := h.site.UpdateOrg(w, r); ok {
		demo.Warn(h.klime.Group(r.Context(), org.ID, demo.Traits(org)))
	}
}

// billing is a webhook. There is no user, so the event is of the company itself.
func (h *handlers) billing(w http.ResponseWriter, r *http.Request) {
	if org, ok := h.site.ChangePlan(w, r); ok {
		demo.Warn(h.klime.Group(r.Context(), org.ID, klime.Traits{"plan": org.Plan}))
		demo.Warn(h.klime.Track(r.Context(), "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)))
	}
}
