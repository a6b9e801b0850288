// Package web is Sundial for net/http, without routes and without Klime. The examples
// for all routers that serve an http.Handler share it. Their servers bound the bodies of
// requests.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/klimeapp/klime-go/examples/internal/demo"
)

// Site has the handlers. Some are plain http.HandlerFuncs. The others answer too, but
// also return what they have done, so that the caller can tell Klime. If they return
// false, there is nothing to tell. Handlers that need them find the path values org
// and id in the request.
type Site struct {
	app       *demo.App
	templates *template.Template
}

// New returns the handlers of an app.
func New(app *demo.App) *Site { return &Site{app, demo.Templates()} }

type sessionKey struct{}

// Session returns what [Site.Authenticate] has found. It is zero if nobody is signed
// in.
func Session(r *http.Request) demo.Session {
	s, _ := r.Context().Value(sessionKey{}).(demo.Session)
	return s
}

// Authenticate finds out who makes the request, if anybody is signed in.
func (s *Site) Authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie(demo.SessionCookie); err == nil {
			if session, err := s.app.Session(cookie.Value); err == nil {
				r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, session))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// RequireCustomer lets only users of a company pass.
func (s *Site) RequireCustomer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch session := Session(r); {
		case !session.SignedIn():
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		case session.User.Staff:
			goHome(w, r, session)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// RequireStaff lets only Sundial's own people pass.
func (s *Site) RequireStaff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Session(r).User.Staff {
			s.failPage(w, r, demo.ErrForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Enter lets a user into the company that the path names, which may differ from the
// session's company.
func (s *Site) Enter(w http.ResponseWriter, r *http.Request) (demo.Org, bool) {
	session := Session(r)
	if !session.SignedIn() {
		failAPI(w, demo.ErrSignedOut)
		return demo.Org{}, false
	}
	org, err := session.Enter(r.PathValue("org"))
	if err != nil {
		failAPI(w, err)
	}
	return org, err == nil
}

func goHome(w http.ResponseWriter, r *http.Request, session demo.Session) {
	http.Redirect(w, r, session.Home(), http.StatusSeeOther) //nolint:gosec // to one of two fixed paths
}

func (s *Site) render(w http.ResponseWriter, status int, name string, page demo.Page) {
	var html bytes.Buffer
	if err := s.templates.ExecuteTemplate(&html, name, page); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, status, "text/html; charset=utf-8", html.Bytes())
}

func (s *Site) failPage(w http.ResponseWriter, r *http.Request, err error) {
	s.render(w, demo.Status(err), "error.html", demo.Page{Title: "That did not work", Session: Session(r), Error: err.Error()})
}

func failAPI(w http.ResponseWriter, err error) {
	writeJSON(w, demo.Status(err), map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, status, "application/json", body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // html/template has escaped pages, and the rest is not HTML
}
