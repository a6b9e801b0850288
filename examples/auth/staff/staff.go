// Package staff is a recipe for an app's own staff. Their use of the app is no
// customer's usage. When they act as a customer (impersonation), nothing of it may show
// up in Klime.
package staff

import (
	"net/http"
	"strconv"

	"github.com/alexedwards/scs/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/nethttp"
)

// NetHTTP is an app on net/http. In other frameworks klime.Silence and klime.Skip
// take the context that klime.Track takes: *gin.Context, or Fiber's
// c.UserContext().
func NetHTTP(client *klime.Client) http.Handler {
	app := site{scs.New()}
	app.sessions.Cookie.Secure = true
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", app.login)
	mux.HandleFunc("GET /reports", app.reports)
	mux.Handle("GET /admin", nethttp.Skip()(http.HandlerFunc(app.admin))) // not recorded, whoever makes the request
	mux.HandleFunc("POST /admin/impersonate/{user}", app.impersonate)
	mux.HandleFunc("POST /admin/leave", app.leave)

	record := nethttp.Middleware(client)
	link := nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) { return app.user(r).Klime() })
	// The order matters: silence goes before link, which would link the customer.
	return app.sessions.LoadAndSave(record(app.silence(link(mux))))
}

type site struct{ sessions *scs.SessionManager }

// silence makes sure that nothing is sent from requests of staff, also when they act as
// a customer.
func (s site) silence(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.user(r).Staff || s.sessions.Exists(r.Context(), "impersonator") {
			klime.Silence(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

// impersonate turns the session into the customer's. The request itself is silent
// already, as staff make it.
func (s site) impersonate(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("user"))
	customer, ok := accounts.ByID(id)
	staff := s.user(r)
	if !ok || !staff.Staff {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.become(w, r, customer.ID, staff.ID)
}

// leave turns the session back into that of the staff member.
func (s site) leave(w http.ResponseWriter, r *http.Request) {
	staff := s.sessions.GetInt(r.Context(), "impersonator")
	if staff == 0 {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.become(w, r, staff, 0)
}

// become makes the session that of a user, under a new cookie, so that an old one is good
// for nothing. Impersonator is who acts as the user, 0 if nobody does.
func (s site) become(w http.ResponseWriter, r *http.Request, user, impersonator int) {
	ctx := r.Context()
	if err := s.sessions.RenewToken(ctx); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.sessions.Put(ctx, "user", user)
	if impersonator == 0 {
		s.sessions.Remove(ctx, "impersonator")
	} else {
		s.sessions.Put(ctx, "impersonator", impersonator)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s site) admin(w http.ResponseWriter, r *http.Request) {
	if !s.user(r).Staff {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (s site) login(w http.ResponseWriter, r *http.Request) {
	user, ok := accounts.SignIn(r.PostFormValue("email"), r.PostFormValue("password"))
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.become(w, r, user.ID, 0)
}

func (s site) reports(w http.ResponseWriter, r *http.Request) {
	if s.user(r).ID == 0 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	klime.Track(r.Context(), "Report Generated", nil)
	w.WriteHeader(http.StatusOK)
}

func (s site) user(r *http.Request) accounts.User {
	user, _ := accounts.ByID(s.sessions.GetInt(r.Context(), "user"))
	return user
}
