package tokens

import (
	"net/http"

	"github.com/golang-jwt/jwt/v5"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// Claims are what this app has in its tokens, under its own names.
type Claims struct {
	jwt.RegisteredClaims

	Mail   string `json:"mail"`
	Tenant Tenant `json:"tenant"`
}

// Tenant is the company of a token.
type Tenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Plan string `json:"plan"`
}

// NetHTTPStruct is an API on net/http with golang-jwt, whose claims are a struct, with
// other names than in OpenID Connect.
func NetHTTPStruct(client *klime.Client, key []byte) http.Handler {
	names := klime.ClaimNames{
		UserTraits:  map[string]string{"email": "mail"},
		GroupID:     "tenant.id",
		GroupTraits: map[string]string{"name": "tenant.name", "plan": "tenant.plan"},
	}
	link := nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) {
		return names.Read(tokenOf(r).Claims)
	})

	mux := http.NewServeMux()
	mux.Handle("GET /reports", authenticate(key, func() jwt.Claims { return &Claims{} }, link(http.HandlerFunc(reports))))
	mux.HandleFunc("GET /prices", prices)
	return nethttp.Middleware(client)(mux)
}
