package activeorg

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/basicauth"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/fiberklime"
)

// FiberPath finds the company in the path. UNTRUSTED: see RequireMembership.
func FiberPath(c *fiber.Ctx) string { return c.Params("org") }

// FiberSubdomain finds the company by its subdomain. UNTRUSTED: see
// RequireMembership. (c.Hostname also takes X-Forwarded-Host, unless the app has
// EnableTrustedProxyCheck.)
func FiberSubdomain(c *fiber.Ctx) string {
	return accounts.OrgBySlug(klime.Subdomain(c.Hostname(), domain))
}

// FiberHeader finds the company in a header. UNTRUSTED: see RequireMembership.
func FiberHeader(c *fiber.Ctx) string { return c.Get(header) }

// Fiber is an API on Fiber, with one of the functions above.
func Fiber(client *klime.Client, active func(*fiber.Ctx) string) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(client, fiberklime.GroupID(active), klime.RequireMembership()))
	app.Use(basicauth.New(basicauth.Config{Authorizer: func(name, password string) bool {
		_, ok := accounts.SignIn(name, password)
		return ok
	}}))
	app.Use(fiberklime.Link(func(c *fiber.Ctx) (klime.User, []klime.Group) {
		name, _ := c.Locals("username").(string)
		user, _ := accounts.ByEmail(name)
		return user.Klime()
	}))
	app.Get("/orgs/:org/reports", func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusOK) })
	app.Get("/orgs/:org/billing", func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusForbidden) })
	app.Get("/orgs/:org/reports/:id", func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusNotFound) })
	return app
}
