// Package signin is a recipe for users who sign in at an identity provider (OpenID
// Connect), and then have a session.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// Site is an app whose users sign in elsewhere.
type Site struct {
	sessions *scs.SessionManager
	http     *http.Client // asks the provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// New makes a Site. Issuer is the provider, and config says who the app is there.
func New(ctx context.Context, issuer string, config oauth2.Config) (*Site, error) {
	client := &http.Client{Timeout: 10 * time.Second} // http.DefaultClient has none
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		return nil, fmt.Errorf("identity provider: %w", err)
	}
	config.Endpoint = provider.Endpoint()
	config.Scopes = []string{oidc.ScopeOpenID, "email", "profile"}
	sessions := scs.New()
	sessions.Cookie.Secure = true
	return &Site{sessions, client, config, provider.Verifier(&oidc.Config{ClientID: config.ClientID})}, nil
}

// Handler serves the Site.
func (s *Site) Handler(client *klime.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /callback", s.callback)
	mux.HandleFunc("GET /reports", s.reports)

	record := nethttp.Middleware(client,
		nethttp.UserID(func(r *http.Request) string { return s.sessions.GetString(r.Context(), "user") }),
		nethttp.GroupID(func(r *http.Request) string { return s.sessions.GetString(r.Context(), "org") }))
	return s.sessions.LoadAndSave(record(mux))
}

// login sends the browser to the provider.
func (s *Site) login(w http.ResponseWriter, r *http.Request) {
	ctx, state, nonce, verifier := r.Context(), rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	s.sessions.Put(ctx, "state", state)
	s.sessions.Put(ctx, "nonce", nonce)
	s.sessions.Put(ctx, "verifier", verifier)
	http.Redirect(w, r, s.oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusFound)
}

// callback is where the provider sends the browser back to.
func (s *Site) callback(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	claims, err := s.verify(r)
	user, companies := klime.FromClaims(claims)
	if err == nil && user.ID == "" {
		err = errors.New("the token names no user")
	}
	if err != nil {
		slog.Warn("sign-in refused", "error", err) // the browser is not told why
		http.Error(w, "could not sign in", http.StatusUnauthorized)
		return
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		http.Error(w, "no session", http.StatusInternalServerError)
		return
	}

	// The one place where Klime is told who the user is, and where they belong.
	klime.Link(ctx, user, companies...)

	s.sessions.Put(ctx, "user", user.ID)
	s.sessions.Remove(ctx, "org") // it may be of whoever was signed in before
	if len(companies) > 0 {
		s.sessions.Put(ctx, "org", companies[0].ID)
	}
	http.Redirect(w, r, "/reports", http.StatusFound)
}

// verify exchanges the code that the browser brings, checks the ID token, and returns its
// claims.
func (s *Site) verify(r *http.Request) (map[string]any, error) {
	ctx := oidc.ClientContext(r.Context(), s.http)
	state := s.sessions.PopString(ctx, "state")
	if state == "" || subtle.ConstantTimeCompare([]byte(r.FormValue("state")), []byte(state)) != 1 {
		return nil, errors.New("state is not that of this session")
	}
	token, err := s.oauth.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(s.sessions.PopString(ctx, "verifier")))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := s.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != s.sessions.PopString(ctx, "nonce") {
		return nil, errors.New("nonce is not that of this session")
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return nil, err
	}
	return claims, nil
}

func (s *Site) reports(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.Exists(r.Context(), "user") {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "reports")
}
