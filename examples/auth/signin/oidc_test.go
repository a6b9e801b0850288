package signin_test

import (
	"crypto/rsa"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
	"github.com/klimeapp/klime-go/examples/auth/signin"
)

const (
	janeID = "0199a1c2-7000-7000-8000-000000000001"
	alexID = "0199a1c2-7000-7000-8000-000000000002"
)

func TestSignIn(t *testing.T) {
	jane := jwt.MapClaims{"sub": janeID, "email": "jane@acme.example", "name": "Jane", "org_id": "org_1", "org_name": "Acme"}
	expired := jwt.MapClaims{"sub": janeID, "org_id": "org_1", "exp": time.Now().Add(-time.Hour).Unix()}
	elsewhere := jwt.MapClaims{"sub": janeID, "org_id": "org_1", "aud": "another app"}
	nobody := jwt.MapClaims{"sub": " ", "email": "jane@acme.example", "org_id": "org_1"}
	alex := jwt.MapClaims{"sub": alexID} // of no company
	provider, log := newProvider(t), logged(t)

	// The app must know its own address, which is known only once it is served.
	var handler http.Handler
	var client *klime.Client
	site := authtest.Serve(t, func(c *klime.Client) http.Handler {
		client = c
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) })
	})
	requireDeadlines(t)
	app, err := signin.New(t.Context(), provider.URL, oauth2.Config{
		ClientID: "reports", ClientSecret: "secret", RedirectURL: site.URL + "/callback",
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = app.Handler(client)

	site.Visit("GET", "/reports", 401)
	for _, refused := range []struct {
		path   string
		signer *rsa.PrivateKey
		claims jwt.MapClaims
		reason string // in the log, as the browser is not told
	}{
		{"/callback?code=forged&state=forged", nil, nil, "state is not that of this session"},
		{"/callback", nil, nil, "state is not that of this session"},
		{"/login", provider.key, expired, "token is expired"},
		{"/login", provider.key, elsewhere, "expected audience"},
		{"/login", provider.key, nobody, "names no user"},
		{"/login", newKey(t), jane, "failed to verify signature"},
	} {
		log.Reset()
		provider.next(refused.signer, refused.claims)
		site.Visit("GET", refused.path, 401) // at the end of the redirects
		if !strings.Contains(log.String(), refused.reason) {
			t.Errorf("no %q in the log: %s", refused.reason, log)
		}
		site.Visit("GET", "/reports", 401)
	}

	for _, user := range []jwt.MapClaims{jane, alex} {
		before := site.Cookies()
		provider.next(provider.key, user)
		site.Visit("GET", "/login", 200)
		site.WantNewCookies(before)
		site.Visit("GET", "/reports", 200)
	}
	site.WantTold(
		"identify "+janeID+" email=jane@acme.example name=Jane",
		"group org_1 of "+janeID+" name=Acme",
		"API Called by "+janeID+" in org_1: GET /reports 200",
		"API Called by "+janeID+" in org_1: GET /reports 200",
		"API Called by "+alexID+" in -: GET /reports 200",
		"API Called by "+alexID+" in -: GET /reports 200",
	)
}

// logged returns what is logged from now on.
func logged(t *testing.T) *strings.Builder {
	t.Helper()
	var log strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &log
}

// requireDeadlines fails the test if a request to the provider may take for ever.
func requireDeadlines(t *testing.T) {
	t.Helper()
	before := http.DefaultTransport
	http.DefaultTransport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if _, ok := r.Context().Deadline(); !ok {
			t.Errorf("%s has no deadline", r.URL.Path)
		}
		return before.RoundTrip(r)
	})
	t.Cleanup(func() { http.DefaultTransport = before })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
