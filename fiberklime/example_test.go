package fiberklime_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// Middleware records every page and API call. Link, after the authentication, says
// whose they are.
func ExampleMiddleware() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	app := fiber.New()
	app.Use(fiberklime.Middleware(client)) // after recover.New()
	app.Use(auth, fiberklime.Link(func(c *fiber.Ctx) (klime.User, []klime.Group) {
		user, _ := c.Locals("user").(string)
		return klime.User{ID: user}, []klime.Group{{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}}}
	}))
	app.Post("/orgs/:org/reports", func(c *fiber.Ctx) error {
		klime.Track(c.UserContext(), "Report Generated", klime.Properties{"reportType": "revenue"}) // not c or c.Context()
		return c.SendStatus(fiber.StatusCreated)
	})
	visit(app, http.MethodPost, "/orgs/acme/reports")
	finish(client, recorder)
	// Output:
	// group  user_123 org_abc <nil>
	// track Report Generated user_123 org_abc <nil>
	// track API Called user_123 org_abc /orgs/{org}/reports
}

// If a session says who is signed in, and for which company, options read it after
// the handler.
func ExampleUserID() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	app := fiber.New()
	app.Use(fiberklime.Middleware(client,
		fiberklime.UserID(func(c *fiber.Ctx) any { return c.Locals("user") }), // nil means no user
		fiberklime.GroupID(func(*fiber.Ctx) string { return "org_abc" })))
	app.Get("/reports/:id", auth, func(c *fiber.Ctx) error { return c.JSON("a report") })
	visit(app, http.MethodGet, "/reports/7")
	finish(client, recorder)
	// Output: track API Called user_123 org_abc /reports/{id}
}

// An event can be named where its route is registered.
func ExampleEvent() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	done := func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusNoContent) }
	app := fiber.New()
	app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) int { return 123 })))
	app.Post("/reports", fiberklime.Event("Report Generated"), done)
	app.Post("/autosave", fiberklime.Skip(), done)
	visit(app, http.MethodPost, "/reports")
	visit(app, http.MethodPost, "/autosave")
	finish(client, recorder)
	// Output: track Report Generated 123  /reports
}

// auth stands in for an app's authentication.
func auth(c *fiber.Ctx) error {
	c.Locals("user", "user_123")
	return c.Next()
}

func visit(app *fiber.App, method, path string) {
	answer, err := app.Test(httptest.NewRequest(method, path, http.NoBody))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = answer.Body.Close()
}

// finish shuts the client down and prints what Klime has received.
func finish(client *klime.Client, recorder *klimetest.Recorder) {
	if err := client.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, e := range recorder.Events() {
		fmt.Println(e.Type, e.Event, e.UserID, e.GroupID, e.Properties["route"])
	}
}
