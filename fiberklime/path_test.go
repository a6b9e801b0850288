package fiberklime_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// A path is decoded once, by Fiber or by us. A path that cannot be decoded is left as
// it is.
func TestCapturedPath(t *testing.T) {
	t.Parallel()
	for _, unescape := range []bool{false, true} {
		server := klimetest.NewServer(t)
		client := server.Client()
		app := fiber.New(fiber.Config{DisableStartupMessage: true, UnescapePath: unescape})
		app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" }), klime.Capture(klime.Path)))
		app.Get("/*", func(c *fiber.Ctx) error { return c.JSON(nil) })
		handler := app.Handler()
		requests := [][2]string{{"/a%20b%2541", "/a b%41"}, {"/a%2Fb", "/a/b"}, {"/50%zz", "/50%zz"}, {"/a/b", "/a/b"}, {"/a+b%2Bc", "/a+b+c"}}
		for _, r := range requests {
			ctx := argumentOf(handler)
			ctx.Request.SetRequestURI(r[0])
			handler(ctx)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, e := range server.Wait(len(requests)) {
			if got := e.Properties["path"]; got != requests[i][1] {
				t.Errorf("UnescapePath %v: %s is recorded as %v, want %s", unescape, requests[i][0], got, requests[i][1])
			}
		}
	}
}
