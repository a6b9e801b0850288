// Package sessions holds recipes for users who sign in with a form, and then have a
// session on the server.
//
// When they sign in, one Link tells Klime who they are and which companies they belong
// to. From then on the session says whose request it is, and which of several companies
// is active. The server wrote both, so they can be trusted.
package sessions

import (
	"net/http"

	"github.com/alexedwards/scs/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/nethttp"
)

// NetHTTP is an app on net/http with scs.
func NetHTTP(client *klime.Client) http.Handler {
	app := site{scs.New()}
	app.sessions.Cookie.Secure = true // for HTTPS alone; most browsers take localhost for safe, too
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", app.login)
	mux.HandleFunc("POST /logout", app.logout)
	mux.HandleFunc("POST /orgs/{org}/switch", app.switchOrg)
	mux.HandleFunc("GET /reports", app.reports)

	record := nethttp.Middleware(client,
		nethttp.UserID(func(r *http.Request) int { return app.sessions.GetInt(r.Context(), "user") }),
		nethttp.GroupID(func(r *http.Request) string { return app.sessions.GetString(r.Context(), "org") }))
	// LoadAndSave goes outside record: it puts the session into the context of the
	// request that it passes on.
	return app.sessions.LoadAndSave(record(mux))
}

type site struct{ sessions *scs.SessionManager }

func (s site) login(w http.ResponseWriter, r *http.Request) {
	user, ok := accounts.SignIn(r.PostFormValue("email"), r.PostFormValue("password"))
	if !ok {
		http.Error(w, "wrong e-mail address or password", http.StatusUnauthorized)
		return
	}
	ctx := r.Context()
	if err := s.sessions.RenewToken(ctx); err != nil {
		http.Error(w, "no session", http.StatusInternalServerError)
		return
	}
	s.sessions.Put(ctx, "user", user.ID)
	s.sessions.Put(ctx, "org", user.StartOrg())

	who, companies := user.Klime()
	klime.Link(ctx, who, companies...)
	w.WriteHeader(http.StatusNoContent)
}

func (s site) logout(w http.ResponseWriter, r *http.Request) {
	// After the handler nobody is signed in, so this request is not recorded. So track
	// an event before.
	klime.Track(r.Context(), "User Signed Out", nil)
	if err := s.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "no session", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// switchOrg changes the active company to another that the user belongs to.
func (s site) switchOrg(w http.ResponseWriter, r *http.Request) {
	user, _ := accounts.ByID(s.sessions.GetInt(r.Context(), "user"))
	org, ok := user.Org(r.PathValue("org"))
	if !ok {
		http.Error(w, "not one of yours", http.StatusForbidden)
		return
	}
	s.sessions.Put(r.Context(), "org", org.ID.String())
	w.WriteHeader(http.StatusNoContent)
}

func (s site) reports(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.Exists(r.Context(), "user") {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	klime.Track(r.Context(), "Report Generated", nil)
	w.WriteHeader(http.StatusOK)
}
