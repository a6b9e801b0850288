// Package signin is a recipe for users who sign in at an identity provider (OpenID
// Connect), and then have a session.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// Site is an app whose users sign in elsewhere.
type Site struct {
	sessions *scs.SessionManager
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// New makes a Site. Issuer is the provider, and config says who the app is there.
func New(ctx context.Context, issuer string, config oauth2.Config) (*Site, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("identity provider: %w", err)
	}
	config.Endpoint = provider.Endpoint()
	config.Scopes = []string{oidc.ScopeOpenID, "email", "profile"}
	sessions := scs.New()
	sessions.Cookie.Secure = true
	return &Site{sessions, config, provider.Verifier(&oidc.Config{ClientID: config.ClientID})}, nil
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
	token, err := s.verify(r)
	if err != nil {
		http.Error(w, "could not sign in", http.StatusUnauthorized)
		return
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		http.Error(w, "could not sign in", http.StatusUnauthorized)
		return
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		http.Error(w, "no session", http.StatusInternalServerError)
		return
	}

	// The one place where Klime is told who the user is, and where they belong.
	user, companies := klime.FromClaims(claims)
	klime.Link(ctx, user, companies...)

	s.sessions.Put(ctx, "user", user.ID)
	if len(companies) > 0 {
		s.sessions.Put(ctx, "org", companies[0].ID)
	}
	http.Redirect(w, r, "/reports", http.StatusFound)
}

// verify exchanges the code that the browser brings, and checks the ID token.
func (s *Site) verify(r *http.Request) (*oidc.IDToken, error) {
	ctx := r.Context()
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
	return id, nil
}

func (s *Site) reports(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.Exists(r.Context(), "user") {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "reports")
}
