// Package basicauth holds recipes for users who send a name and a password in each
// request (HTTP Basic authentication).
//
// Do not read the name with r.BasicAuth in a UserID option: the option is called for
// every request, also with a wrong password. Link goes inside the authentication, which
// only requests with the right password pass.
package basicauth

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gofiber/fiber/v2"
	fiberauth "github.com/gofiber/fiber/v2/middleware/basicauth"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/ginklime"
)

// linkOf returns the user with a name, and the user's companies. As names change, the ID
// is that of the account.
func linkOf(name string) (klime.User, []klime.Group) {
	user, _ := accounts.ByEmail(name)
	return user.Klime()
}

// passwords returns the passwords of all users by name.
func passwords() map[string]string {
	all := make(map[string]string)
	for _, user := range accounts.Users() {
		all[user.Email] = accounts.Password
	}
	return all
}

// Chi is an API on chi with its own BasicAuth.
func Chi(client *klime.Client) http.Handler {
	r := chi.NewRouter()
	r.Use(chiklime.Middleware(client))
	r.Use(middleware.BasicAuth("reports", passwords()))
	r.Use(chiklime.Link(func(r *http.Request) (klime.User, []klime.Group) {
		name, _, _ := r.BasicAuth() // BasicAuth has checked the password
		return linkOf(name)
	}))
	r.Get("/reports", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return r
}

// Gin is an API on Gin with its own BasicAuth.
func Gin(client *klime.Client) http.Handler {
	r := gin.New()
	r.Use(ginklime.Middleware(client))
	r.Use(gin.BasicAuth(passwords()))
	r.Use(ginklime.Link(func(c *gin.Context) (klime.User, []klime.Group) {
		return linkOf(c.GetString(gin.AuthUserKey))
	}))
	r.GET("/reports", func(c *gin.Context) { c.Status(http.StatusOK) })
	return r
}

// Fiber is an API on Fiber with its own basicauth.
func Fiber(client *klime.Client) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(client))
	app.Use(fiberauth.New(fiberauth.Config{Users: passwords()}))
	app.Use(fiberklime.Link(func(c *fiber.Ctx) (klime.User, []klime.Group) {
		name, _ := c.Locals("username").(string)
		return linkOf(name)
	}))
	app.Get("/reports", func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusOK) })
	return app
}
