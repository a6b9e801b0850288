package tokens

import (
	"fmt"
	"net/http"
	"time"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/ginklime"
)

// Gin is an API on Gin with gin-jwt, which also makes the tokens.
func Gin(client *klime.Client, key []byte) (http.Handler, error) {
	auth, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		Key:           key,
		Timeout:       time.Hour,
		Authenticator: password,
		PayloadFunc:   claims,
	})
	if err != nil {
		return nil, fmt.Errorf("gin-jwt: %w", err)
	}

	r := gin.New()
	r.Use(ginklime.Middleware(client))
	r.POST("/login", auth.LoginHandler)
	r.GET("/prices", func(c *gin.Context) { c.String(http.StatusOK, "prices") })

	r.Use(auth.MiddlewareFunc(), ginklime.Link(func(c *gin.Context) (klime.User, []klime.Group) {
		return klime.FromClaims(ginjwt.ExtractClaims(c))
	}))
	r.GET("/reports", func(c *gin.Context) { c.String(http.StatusOK, "reports") })
	return r, nil
}

// password checks the password of a user who signs in.
func password(c *gin.Context) (any, error) {
	user, ok := accounts.SignIn(c.PostForm("email"), c.PostForm("password"))
	if !ok {
		return nil, ginjwt.ErrFailedAuthentication
	}
	return user, nil
}

// claims returns what a token holds, under names that klime.FromClaims knows.
func claims(signedIn any) ginjwt.MapClaims {
	user, ok := signedIn.(accounts.User)
	if !ok {
		return nil
	}
	claims := ginjwt.MapClaims{"sub": user.ID, "email": user.Email, "name": user.Name}
	if len(user.Orgs) > 0 {
		claims["org_id"], claims["org_name"] = user.Orgs[0].ID, user.Orgs[0].Name
	}
	return claims
}
