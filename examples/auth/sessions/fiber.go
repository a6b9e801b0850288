package sessions

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/fiberklime"
)

// Fiber is an app on Fiber with its sessions.
func Fiber(client *klime.Client) *fiber.App {
	site := fiberSite{session.New(session.Config{CookieHTTPOnly: true, CookieSecure: true})}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(client), site.load)
	app.Post("/login", site.login)
	app.Post("/logout", site.logout)
	app.Post("/orgs/:org/switch", site.switchOrg)
	app.Get("/reports", site.reports)
	return app
}

type fiberSite struct{ sessions *session.Store }

// load reads the session once. fiberklime by itself finds the values under "userId" and
// "groupId".
func (s fiberSite) load(c *fiber.Ctx) error {
	session, err := s.sessions.Get(c)
	if err != nil {
		return err
	}
	c.Locals("userId", session.Get("user"))
	c.Locals("groupId", session.Get("org"))
	return c.Next()
}

func (s fiberSite) login(c *fiber.Ctx) error {
	user, ok := accounts.SignIn(c.FormValue("email"), c.FormValue("password"))
	if !ok {
		return fiber.NewError(fiber.StatusUnauthorized, "wrong e-mail address or password")
	}
	session, err := s.sessions.Get(c)
	if err != nil {
		return err
	}
	if err := session.Regenerate(); err != nil {
		return err
	}
	session.Set("user", user.ID)
	session.Set("org", user.StartOrg())
	if err := session.Save(); err != nil {
		return err
	}

	who, companies := user.Klime()
	klime.Link(c.UserContext(), who, companies...)
	// The session was empty, or someone else's, when load read it.
	klime.SetGroup(c.UserContext(), user.StartOrg())
	return c.SendStatus(fiber.StatusNoContent)
}

func (s fiberSite) logout(c *fiber.Ctx) error {
	session, err := s.sessions.Get(c)
	if err != nil {
		return err
	}
	if err := session.Destroy(); err != nil {
		return err
	}
	klime.SetEvent(c.UserContext(), "User Signed Out") // by whom load has found
	return c.SendStatus(fiber.StatusNoContent)
}

// switchOrg changes the active company to another that the user belongs to.
func (s fiberSite) switchOrg(c *fiber.Ctx) error {
	id, _ := c.Locals("userId").(int)
	user, _ := accounts.ByID(id)
	org, ok := user.Org(c.Params("org"))
	if !ok {
		return fiber.NewError(fiber.StatusForbidden, "not one of yours")
	}
	session, err := s.sessions.Get(c)
	if err != nil {
		return err
	}
	session.Set("org", org.ID.String())
	if err := session.Save(); err != nil {
		return err
	}
	klime.SetGroup(c.UserContext(), org.ID.String())
	return c.SendStatus(fiber.StatusNoContent)
}

func (s fiberSite) reports(c *fiber.Ctx) error {
	if c.Locals("userId") == nil {
		return fiber.NewError(fiber.StatusUnauthorized, "sign in first")
	}
	klime.Track(c.UserContext(), "Report Generated", nil)
	return c.SendStatus(fiber.StatusOK)
}
