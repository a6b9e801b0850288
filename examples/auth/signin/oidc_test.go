package signin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
	"github.com/klimeapp/klime-go/examples/auth/signin"
)

const janeID = "0199a1c2-7000-7000-8000-000000000001"

func TestSignIn(t *testing.T) {
	t.Parallel()
	jane := jwt.MapClaims{"sub": janeID, "email": "jane@acme.example", "name": "Jane", "org_id": "org_1", "org_name": "Acme"}
	expired := jwt.MapClaims{"sub": janeID, "org_id": "org_1", "exp": time.Now().Add(-time.Hour).Unix()}
	elsewhere := jwt.MapClaims{"sub": janeID, "org_id": "org_1", "aud": "another app"}
	provider := newProvider(t)

	// The app must know its own address, which is known only once it is served.
	var handler http.Handler
	var client *klime.Client
	site := authtest.Serve(t, func(c *klime.Client) http.Handler {
		client = c
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) })
	})
	app, err := signin.New(t.Context(), provider.URL, oauth2.Config{
		ClientID: "reports", ClientSecret: "secret", RedirectURL: site.URL + "/callback",
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = app.Handler(client)

	site.Visit("GET", "/reports", 401)
	site.Visit("GET", "/callback?code=forged&state=forged", 401)
	site.Visit("GET", "/callback", 401)
	for _, refused := range []jwt.MapClaims{expired, elsewhere} {
		provider.next(provider.key, refused)
		site.Visit("GET", "/login", 401) // at the end of the redirects
	}
	provider.next(newKey(t), jane) // signed with another key
	site.Visit("GET", "/login", 401)
	site.Visit("GET", "/reports", 401)

	provider.next(provider.key, jane)
	site.Visit("GET", "/login", 200)
	site.Visit("GET", "/reports", 200)
	site.WantTold(
		"identify "+janeID+" email=jane@acme.example name=Jane",
		"group org_1 of "+janeID+" name=Acme",
		"API Called by "+janeID+" in org_1: GET /reports 200",
		"API Called by "+janeID+" in org_1: GET /reports 200",
	)
}
