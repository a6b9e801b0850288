package fiberklime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// newApp stands for the app of the guide.
func newApp(client *klime.Client) *fiber.App {
	app := fiber.New()
	app.Use(fiberklime.Middleware(client), fiberklime.Link(func(c *fiber.Ctx) (klime.User, []klime.Group) {
		return klime.User{ID: c.Get("X-User")}, nil
	}))
	app.Post("/reports", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusCreated) })
	return app
}

func signIn(r *http.Request) { r.Header.Set("X-User", "user_123") }

// What docs/testing.md says about Fiber in a bubble of synctest.
func TestInABubble(t *testing.T) {
	if _, err := fiber.New().Test(httptest.NewRequest(http.MethodGet, "/", http.NoBody)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		recorder := klimetest.NewRecorder()
		client, err := klime.New(recorder.Config())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Shutdown(context.Background()) })

		request := httptest.NewRequest(http.MethodPost, "/reports", http.NoBody)
		signIn(request)
		if _, err := newApp(client).Test(request); err != nil {
			t.Fatal(err)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if events := recorder.Events(); len(events) != 1 || events[0].Properties["route"] != "/reports" {
			t.Errorf("got %+v", events)
		}
	})
}
