package activeorg

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
)

// ChiPath finds the company in the path. For subdomain and header, use the functions for
// net/http. UNTRUSTED: see RequireMembership.
func ChiPath(r *http.Request) string { return chi.URLParam(r, "org") }

// Chi is an API on chi.
func Chi(client *klime.Client, active func(*http.Request) string) http.Handler {
	r := chi.NewRouter()
	r.Use(chiklime.Middleware(client, chiklime.GroupID(active), klime.RequireMembership()))
	r.Use(authenticate)
	r.Use(chiklime.Link(func(r *http.Request) (klime.User, []klime.Group) { return userOf(r.Context()).Klime() }))
	r.Route("/orgs/{org}", func(r chi.Router) {
		r.Get("/reports", answer(http.StatusOK))
		r.Get("/billing", answer(http.StatusForbidden))
		r.Get("/reports/{id}", answer(http.StatusNotFound))
	})
	return r
}
