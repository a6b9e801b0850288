package tokens

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/jwtauth/v5"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
)

// Chi is an API on chi with jwtauth.
func Chi(client *klime.Client, key []byte) http.Handler {
	tokens := jwtauth.New("HS256", key, nil)

	r := chi.NewRouter()
	r.Use(chiklime.Middleware(client))
	r.Group(func(r chi.Router) {
		r.Use(jwtauth.Verifier(tokens), jwtauth.Authenticator(tokens), chiklime.Link(fromToken))
		r.Get("/reports", reports)
	})
	r.Group(func(r chi.Router) {
		r.Use(jwtauth.Verifier(tokens), chiklime.Link(fromToken)) // for everybody, signed in or not
		r.Get("/prices", prices)
	})
	return r
}

// fromToken must check err, as jwtauth.Verifier lets every request pass: without an
// Authenticator after it, it also gets the claims of an expired token.
func fromToken(r *http.Request) (klime.User, []klime.Group) {
	_, claims, err := jwtauth.FromContext(r.Context())
	if err != nil {
		return klime.User{}, nil
	}
	return klime.FromClaims(claims)
}
