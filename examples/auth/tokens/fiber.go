package tokens

import (
	fiberjwt "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
)

// Fiber is an API on Fiber with its jwt middleware.
func Fiber(client *klime.Client, key []byte) *fiber.App {
	auth := fiberjwt.New(fiberjwt.Config{SigningKey: fiberjwt.SigningKey{JWTAlg: "HS256", Key: key}})

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(client))
	app.Get("/prices", func(c *fiber.Ctx) error { return c.SendString("prices") })

	app.Use(auth, fiberklime.Link(func(c *fiber.Ctx) (klime.User, []klime.Group) {
		token, ok := c.Locals("user").(*jwt.Token)
		if !ok {
			return klime.User{}, nil
		}
		return klime.FromClaims(token.Claims)
	}))
	app.Get("/reports", func(c *fiber.Ctx) error { return c.SendString("reports") })
	return app
}
