// Package activeorg holds recipes for users who belong to several companies: in which of
// them are they working now? (If the session says so, see package sessions: the server
// wrote it, so it can be trusted.)
//
// UNTRUSTED: path, host and header are sent by the client. They may name a company that
// the user does not belong to, and a page that is open to everybody still answers 200. So
// each app here has klime.RequireMembership, and for every request a Link with all of the
// user's companies: an event has a company only if the user belongs to it.
package activeorg

import (
	"context"
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/nethttp"
)

// domain is the app's domain. Each company has a subdomain.
const domain = "reports.example"

// header is what the app's own front end sends with each call.
const header = "X-Org-Id"

// NetHTTPPath finds the company in the path. UNTRUSTED: see RequireMembership.
func NetHTTPPath(r *http.Request) string { return r.PathValue("org") }

// NetHTTPSubdomain finds the company by its subdomain, which is no ID, as it may
// change. UNTRUSTED: see RequireMembership.
func NetHTTPSubdomain(r *http.Request) string {
	return accounts.OrgBySlug(klime.Subdomain(r.Host, domain))
}

// NetHTTPHeader finds the company in a header. UNTRUSTED: see RequireMembership.
func NetHTTPHeader(r *http.Request) string { return r.Header.Get(header) }

// NetHTTP is an API on net/http, with one of the functions above.
func NetHTTP(client *klime.Client, active func(*http.Request) string) http.Handler {
	link := nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) { return userOf(r.Context()).Klime() })

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orgs/{org}/reports", answer(http.StatusOK))
	mux.HandleFunc("GET /orgs/{org}/billing", answer(http.StatusForbidden)) // only for the owner
	mux.HandleFunc("GET /orgs/{org}/reports/{id}", answer(http.StatusNotFound))

	record := nethttp.Middleware(client, nethttp.GroupID(active), klime.RequireMembership())
	// Authentication replaces the request. As it goes around record, it does not hide
	// the mux's pattern and path values from record.
	return authenticate(record(link(mux)))
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// userKey is the context key of the user.
type userKey struct{}

func userOf(ctx context.Context) accounts.User {
	user, _ := ctx.Value(userKey{}).(accounts.User)
	return user
}

// authenticate stands in for any authentication: see the other packages.
func authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		user, ok := accounts.SignIn(name, password)
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}
