// Package tokens holds recipes for users who send a JSON Web Token.
//
// In each of them Link goes inside the authentication, so that it sees only claims of
// verified tokens. It tells Klime who the user and the company are, and that the request
// is theirs.
package tokens

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// NetHTTP is an API on net/http with golang-jwt, whose claims are a map.
func NetHTTP(client *klime.Client, key []byte) http.Handler {
	link := nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) {
		return klime.FromClaims(tokenOf(r).Claims)
	})

	mux := http.NewServeMux()
	mux.Handle("GET /reports", authenticate(key, func() jwt.Claims { return jwt.MapClaims{} }, link(http.HandlerFunc(reports))))
	mux.HandleFunc("GET /prices", prices) // for everybody
	return nethttp.Middleware(client)(mux)
}

// tokenKey is the context key of the verified token.
type tokenKey struct{}

func tokenOf(r *http.Request) *jwt.Token {
	token, ok := r.Context().Value(tokenKey{}).(*jwt.Token)
	if !ok {
		return &jwt.Token{} // without claims: no user
	}
	return token
}

// authenticate lets only requests with a valid token pass. As golang-jwt has no
// middleware, every app has its own, like this one.
func authenticate(key []byte, newClaims func() jwt.Claims, next http.Handler) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := parser.ParseWithClaims(bearer, newClaims(), func(*jwt.Token) (any, error) { return key, nil })
		if err != nil {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
	})
}

func reports(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "reports") }

func prices(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "prices") }
