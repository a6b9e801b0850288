package tokens_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
	"github.com/klimeapp/klime-go/examples/auth/tokens"
)

const (
	key    = "of the app, and long enough for HS256"
	janeID = "0199a1c2-7000-7000-8000-000000000001"
)

// token signs claims.
func token(t *testing.T, key string, claims jwt.MapClaims, changes jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.Copy(all, changes)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// standard has claims with the names of OpenID Connect.
func standard() jwt.MapClaims {
	return jwt.MapClaims{
		"sub": janeID, "email": "jane@acme.example", "name": "Jane",
		"org_id": "org_1", "org_name": "Acme", "orig_iat": time.Now().Unix(), // gin-jwt needs orig_iat
	}
}

// custom has claims with the names of NetHTTPStruct's app.
func custom() jwt.MapClaims {
	return jwt.MapClaims{
		"sub": janeID, "mail": "jane@acme.example",
		"tenant": map[string]string{"id": "org_1", "name": "Acme", "plan": "pro"},
	}
}

func TestTokens(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	t.Parallel()
	onGin := func(client *klime.Client) http.Handler {
		handler, err := tokens.Gin(client, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return handler
	}
	identify := func(id string) string { return "identify " + id + " email=jane@acme.example name=Jane" }
	const numbers = true // the library lets a number be the subject
	tests := map[string]struct {
		serve    func(*testing.T) *authtest.Site
		claims   func() jwt.MapClaims
		identify func(id string) string
		group    string
		integers bool
		noToken  int
	}{
		"net/http": {onNetHTTP(tokens.NetHTTP), standard, identify, " name=Acme", numbers, 401},
		"net/http, struct": {
			onNetHTTP(tokens.NetHTTPStruct), custom,
			func(id string) string { return "identify " + id + " email=jane@acme.example" },
			" name=Acme plan=pro", !numbers, 401,
		},
		"chi": {onNetHTTP(tokens.Chi), standard, identify, " name=Acme", !numbers, 401},
		"Gin": {func(t *testing.T) *authtest.Site { return authtest.Serve(t, onGin) }, standard, identify, " name=Acme", numbers, 401},
		"Fiber": {func(t *testing.T) *authtest.Site {
			return authtest.ServeFiber(t, func(c *klime.Client) *fiber.App { return tokens.Fiber(c, []byte(key)) })
		}, standard, identify, " name=Acme", numbers, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := test.serve(t)
			sign := func(key string, changes jwt.MapClaims) authtest.Change {
				return authtest.Bearer(token(t, key, test.claims(), changes))
			}

			site.Visit("GET", "/prices", 200) // signed out
			site.Visit("GET", "/reports", test.noToken)
			site.Visit("GET", "/reports", 401, sign("of somebody else, and long enough for it", nil))
			site.Visit("GET", "/reports", 401, sign(key, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}))
			site.Visit("GET", "/prices", 200, sign("of somebody else, and long enough for it", nil))
			site.Visit("GET", "/prices", 200, sign(key, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}))

			site.Visit("GET", "/reports", 200, sign(key, nil))
			site.Visit("GET", "/reports", 200, sign(key, nil))
			want := []string{
				test.identify(janeID),
				"group org_1 of " + janeID + test.group,
				"API Called by " + janeID + " in org_1: GET /reports 200",
				"API Called by " + janeID + " in org_1: GET /reports 200",
			}
			if test.integers {
				site.Visit("GET", "/reports", 200, sign(key, jwt.MapClaims{"sub": 42, "org_id": 7}))
				want = append(want, test.identify("42"), "group 7 of 42"+test.group, "API Called by 42 in 7: GET /reports 200")
			} else {
				site.Visit("GET", "/reports", 401, sign(key, jwt.MapClaims{"sub": 42}))
			}
			site.WantTold(want...)
		})
	}
}

func onNetHTTP(recipe func(*klime.Client, []byte) http.Handler) func(*testing.T) *authtest.Site {
	return func(t *testing.T) *authtest.Site {
		t.Helper()
		return authtest.Serve(t, func(c *klime.Client) http.Handler { return recipe(c, []byte(key)) })
	}
}

// Gin's jwt middleware signs users in itself, with the app's own integer IDs.
func TestGinLogin(t *testing.T) {
	t.Parallel()
	site := authtest.Serve(t, func(client *klime.Client) http.Handler {
		handler, err := tokens.Gin(client, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return handler
	})
	site.Visit("POST", "/login", 401, authtest.Password("jane@acme.example", "wrong"))
	var answer struct {
		Token string `json:"token"`
	}
	body := site.Visit("POST", "/login", 200, authtest.Password("jane@acme.example", accounts.Password))
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	site.Visit("GET", "/reports", 200, authtest.Bearer(answer.Token))
	site.WantTold(
		"identify 1001 email=jane@acme.example name=Jane",
		"group acme of 1001 name=Acme Robotics",
		"API Called by 1001 in acme: GET /reports 200",
	)
}
