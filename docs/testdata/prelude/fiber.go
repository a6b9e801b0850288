package docs

import (
	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
)

var (
	app *fiber.App
	c   *fiber.Ctx
)

func whoIs(*fiber.Ctx) (klime.User, []klime.Group) { return klime.User{}, nil }

func sessionOf(*fiber.Ctx) *session { return nil }
func auth(*fiber.Ctx) error         { return nil }
