package fiber3klime_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/cache"
	"github.com/gofiber/fiber/v3/middleware/compress"
	"github.com/gofiber/fiber/v3/middleware/csrf"
	"github.com/gofiber/fiber/v3/middleware/etag"
	"github.com/gofiber/fiber/v3/middleware/limiter"
	recovery "github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/requestid"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/gofiber/fiber/v3/middleware/static"
)

// Among Fiber's own middlewares, the client gets the same answer with ours as without.
// What is recorded is what the next middleware outside sees.
func TestAmongFibersMiddlewares(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("hello ", 100)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "data.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(bare bool) func(app *fiber.App, ours fiber.Handler) {
		return func(app *fiber.App, ours fiber.Handler) {
			app.Use(requestid.New(), compress.New(), etag.New(), recovery.New())
			if !bare {
				app.Use(ours)
			}
			app.Use("/recovered", recovery.New())
			app.Use("/visits", session.New(), func(c fiber.Ctx) error {
				session.FromContext(c).Set("seen", true)
				return c.Next()
			})
			app.Use("/limited", limiter.New(limiter.Config{Max: 1}))
			app.Use("/cached", cache.New())
			app.Use("/forms", csrf.New())
			fine := func(c fiber.Ctx) error { return c.SendString(text) }
			app.Get("/fine", fine)
			app.Get("/visits/:id", fine)
			app.Get("/limited/:id", fine)
			app.Get("/cached/:id", fine)
			app.Post("/forms/:id", fine)
			app.Get("/error", func(fiber.Ctx) error { return fiber.NewError(http.StatusConflict, "conflict") })
			app.Get("/panic", func(fiber.Ctx) error { panic("out of order") })
			app.Get("/recovered", func(fiber.Ctx) error { panic("out of order") })
			app.Get("/moved", func(c fiber.Ctx) error { return c.Redirect().With("to", "fine").To("/fine") })
			app.Get("/file/:name", func(c fiber.Ctx) error { return c.SendFile(filepath.Join(folder, c.Params("name"))) })
			app.Get("/files/*", static.New(folder, static.Config{ByteRange: true}))
			app.Get("/reader", func(c fiber.Ctx) error { return c.SendStream(strings.NewReader(text)) })
		}
	}
	with, without := serve(t, fiber.New(), build(false)), serve(t, fiber.New(), build(true))
	tag := without.do("GET /fine").header.Get("ETag")
	var want, got []string
	for _, test := range []struct {
		request string
		headers []string
		status  int
		want    string // what is recorded
	}{
		{"GET /fine", nil, 200, "200 /fine 600"},
		{"GET /visits/7", nil, 200, "200 /visits/{id} 600"},
		{"GET /limited/7", nil, 200, "200 /limited/{id} 600"},
		{"GET /limited/7", nil, 429, "429 /limited/{id} 17"},
		{"GET /cached/7", nil, 200, "200 /cached/{id} 600"},
		{"GET /cached/7", nil, 200, "200 /cached/{id} 600"},
		{"POST /forms/7", nil, 403, "403 /forms/{id} 9"},
		{"GET /error", nil, 409, "409 /error 8"},
		{"GET /panic", nil, 500, "500 /panic 0"},
		{"GET /recovered", nil, 500, "500 /recovered 12"},
		{"GET /moved", nil, 303, ""}, // no redirect of a GET is recorded
		{"GET /nowhere", nil, 404, ""},
		{"GET /file/data.json", nil, 200, "200 /file/{name} 600"},
		{"GET /files/data.json", []string{"Range", "bytes=0-99"}, 206, "206 /files/* 100"},
		{"GET /reader", nil, 200, "200 /reader <nil>"},
		// These are changed by middlewares outside ours, after ours is done.
		{"GET /fine", []string{"If-None-Match", tag}, 304, "200 /fine 600"},
		{"GET /fine", []string{"Accept-Encoding", "gzip"}, 200, "200 /fine 600"},
	} {
		a, b := with.do(test.request, test.headers...), without.do(test.request, test.headers...)
		if a.status != test.status || b.status != test.status || a.body != b.body {
			t.Errorf("%s %q: %d with our middleware, %d without, want %d\n%q\n%q",
				test.request, test.headers, a.status, b.status, test.status, a.body, b.body)
		}
		b.header.Del(fiber.HeaderVary) // compress sets it if it sees an answer, and not if it sees an error
		a.header.Del(fiber.HeaderVary)
		if a, b := slices.Sorted(maps.Keys(a.header)), slices.Sorted(maps.Keys(b.header)); !slices.Equal(a, b) {
			t.Errorf("%s: headers %q with our middleware, %q without", test.request, a, b)
		}
		if test.want != "" {
			want = append(want, test.want)
		}
	}
	for _, e := range with.events() {
		got = append(got, fmt.Sprint(brief(&e), " ", e.Properties["responseBytes"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n got %q\nwant %q", got, want)
	}
	without.want()
}
