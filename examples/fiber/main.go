// The fiber example is Sundial, a small reporting product whose customers are
// companies, with Klime built in: run it, and see who uses it, and how.
//
//	go run ./examples/fiber
//
// It needs no key: without KLIME_WRITE_KEY it sends to a local Klime that it runs itself.
// This file has all that a Fiber app does with klime. Handlers that do not use klime
// are in handlers.go.
package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gofiber/fiber/v2"
	recovery "github.com/gofiber/fiber/v2/middleware/recover"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/fiberklime"
)

func main() {
	// Main serves until Ctrl-C or SIGTERM. Then it calls the server's Shutdown, and
	// after that client.Shutdown, so that the events of the last requests are sent too.
	os.Exit(demo.Main("fiber", newServer))
}

// server gives a Fiber app the methods of an http.Server.
type server struct{ app *fiber.App }

func (s server) Serve(l net.Listener) error { return s.app.Listener(l) }

// Shutdown waits for the requests in progress, until ctx ends.
func (s server) Shutdown(ctx context.Context) error { return s.app.ShutdownWithContext(ctx) }

// newServer builds the app. Your own app makes its client with
// klime.New(klime.FromEnv()). Here cfg is the same, or points to the local Klime.
func newServer(app *demo.App, cfg klime.Config) (server, *klime.Client, error) {
	client, err := klime.New(cfg)
	if err != nil {
		// A real app would log err and go on: client is nil now, and a nil client
		// does nothing, everywhere.
		return server{}, nil, err
	}
	return server{newApp(app, client)}, client, nil
}

func newApp(app *demo.App, client *klime.Client) *fiber.App {
	h := &handlers{app: app, klime: client}
	r := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ReadTimeout:           5 * time.Second,
		BodyLimit:             demo.MaxBody,
		Immutable:             true, // as the app keeps strings of requests; klime does not need it, as it copies them
		Views:                 views{demo.Templates()},
		// It runs once for each error. Klime's middleware calls it, to know what is
		// answered. There is nothing to do for that.
		ErrorHandler: fail,
	})
	r.Use(recovery.New())
	// The one line that records every page and API call. The two functions are
	// called after the handlers, when h.authenticate has found the session.
	r.Use(fiberklime.Middleware(client,
		fiberklime.UserID(func(c *fiber.Ctx) string { return session(c).User.ID }),
		fiberklime.GroupID(func(c *fiber.Ctx) string { return session(c).Org.ID })))
	r.Use(h.authenticate)

	r.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok") }) // a health check, not recorded
	r.Get("/login", h.loginPage)
	r.Post("/login", fiberklime.Event("User Signed In"), h.login) // in place of "API Called"
	r.Post("/logout", h.logout)
	r.Post("/webhooks/billing", fiberklime.Skip(), h.billing) // called by a machine: no customer's usage

	r.Get("/", h.requireCustomer, h.dashboard)
	r.Get("/reports", h.requireCustomer, h.reportsPage)
	r.Get("/reports/:id", h.requireCustomer, h.reportPage)
	r.Post("/reports", h.requireCustomer, h.generate)
	r.Post("/switch", h.requireCustomer, h.switchOrg)

	api := r.Group("/api/orgs/:org", h.requireMember) // a request that it refuses still has its route
	api.Get("/reports", h.apiReports)
	api.Post("/reports", h.apiGenerate)
	api.Get("/reports/:id", h.apiReport)
	api.Get("/reports/:id/export", fiberklime.Event("Report Exported"), h.apiExport)

	r.Get("/admin", h.requireStaff, h.adminPage)
	r.Post("/admin/orgs/:org", h.requireStaff, h.adminUpdate)
	return r
}

// authenticate finds out who makes the request, if anybody is signed in.
func (h *handlers) authenticate(c *fiber.Ctx) error {
	s, err := h.app.Session(c.Cookies(demo.SessionCookie))
	if err != nil {
		return c.Next()
	}
	if s.User.Staff {
		klime.Skip(c.UserContext()) // our own staff are no customers: no automatic event
	}
	c.Locals(sessionKey, s)
	return c.Next()
}

// login links the user to their companies. From here on Klime knows both, and all
// that the user does counts for the companies. Link may be called as often as is
// convenient, even for every request: each fact is sent once.
func (h *handlers) login(c *fiber.Ctx) error {
	s, cookie, err := h.app.SignIn(c.FormValue("email"), c.FormValue("password"))
	if err != nil {
		return c.Status(demo.Status(err)).Render("login.html", demo.Page{Title: "Sign in", Error: err.Error()})
	}
	ctx := c.UserContext() // not c itself or c.Context(), in which klime finds nothing
	if s.User.Staff {
		klime.Skip(ctx)
	} else {
		klime.Link(ctx, klime.User{ID: s.User.ID, Traits: klime.Traits{
			"email": s.User.Email, "name": s.User.Name, "createdAt": s.User.Since,
		}}, demo.Groups(s.Orgs)...)
		klime.SetGroup(ctx, s.Org.ID) // if there are several companies, the one they start in
	}
	setCookie(c, cookie)
	return c.Redirect(s.Home(), http.StatusSeeOther)
}

// switchOrg is for users of several companies. The request begins in one and ends in
// another: SetGroup says for which it counts.
func (h *handlers) switchOrg(c *fiber.Ctx) error {
	s, cookie, err := h.app.Switch(session(c), c.FormValue("org"))
	if err != nil {
		return err
	}
	klime.SetGroup(c.UserContext(), s.Org.ID)
	setCookie(c, cookie)
	return c.Redirect(s.Home(), http.StatusSeeOther)
}

// requireMember lets a user into the company that the path names. It may differ from
// the session's company, so SetGroup names it, once it is checked.
func (h *handlers) requireMember(c *fiber.Ctx) error {
	s := session(c)
	if !s.SignedIn() {
		return demo.ErrSignedOut
	}
	org, err := s.Enter(c.Params("org"))
	if err != nil {
		return err
	}
	klime.SetGroup(c.UserContext(), org.ID)
	return c.Next()
}

// generate tracks what the customer came for. Klime takes user and company from the
// request.
func (h *handlers) generate(c *fiber.Ctx) error {
	s := session(c)
	report, err := h.app.GenerateReport(s.Org.ID, c.FormValue("type"), s.User)
	if err != nil {
		return err
	}
	klime.Track(c.UserContext(), "Report Generated", klime.Properties{"reportType": report.Type, "via": "web"})
	return c.Redirect("/reports/"+report.ID, http.StatusSeeOther)
}

func (h *handlers) apiGenerate(c *fiber.Ctx) error {
	var input struct {
		Type string `json:"type"`
	}
	if err := c.BodyParser(&input); err != nil {
		return demo.ErrInvalid
	}
	report, err := h.app.GenerateReport(c.Params("org"), input.Type, session(c).User)
	if err != nil {
		return err
	}
	klime.Track(c.UserContext(), "Report Generated", klime.Properties{"reportType": report.Type, "via": "api"})
	return c.Status(http.StatusCreated).JSON(report)
}

// adminUpdate lets staff edit a customer. Group takes nothing from the request: the
// customer's traits change, and the staff do not become its users.
func (h *handlers) adminUpdate(c *fiber.Ctx) error {
	org, err := h.app.UpdateOrg(c.Params("org"), c.FormValue("name"), c.FormValue("plan"))
	if err != nil {
		return err
	}
	demo.Warn(h.klime.Group(c.UserContext(), org.ID, demo.Traits(org)))
	return c.Redirect("/admin", http.StatusSeeOther)
}

// billing is a webhook. There is no user, so the event is of the company itself.
func (h *handlers) billing(c *fiber.Ctx) error {
	org, err := h.app.ChangePlan(c.Body(), c.Get(demo.BillingSignature))
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	demo.Warn(h.klime.Group(ctx, org.ID, klime.Traits{"plan": org.Plan}))
	demo.Warn(h.klime.Track(ctx, "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)))
	return c.SendStatus(http.StatusNoContent)
}
