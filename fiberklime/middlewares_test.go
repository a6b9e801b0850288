package fiberklime_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/basicauth"
	"github.com/gofiber/fiber/v2/middleware/compress"
	"github.com/gofiber/fiber/v2/middleware/etag"
	recovery "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/gofiber/fiber/v2/middleware/requestid"
	"github.com/gofiber/fiber/v2/middleware/session"
	"github.com/gofiber/fiber/v2/middleware/timeout"

	klime "github.com/klimeapp/klime-go/core"
)

// Among Fiber's own middlewares, the client gets the same answer with ours as without.
// What is recorded is what the next middleware outside sees.
func TestAmongFibersMiddlewares(t *testing.T) {
	t.Parallel()
	const signedIn = "Basic amFuZTpzZWNyZXQ=" // jane:secret
	text := strings.Repeat("hello ", 100)
	build := func(bare bool) func(app *fiber.App, ours fiber.Handler) {
		return func(app *fiber.App, ours fiber.Handler) {
			app.Use(requestid.New(), compress.New(), etag.New(), timeout.NewWithContext(passes, time.Hour), recovery.New())
			if !bare {
				app.Use(ours)
			}
			app.Use("/recovered", recovery.New())
			sessions := session.New()
			app.Use(func(c *fiber.Ctx) error {
				visit, err := sessions.Get(c)
				if err != nil {
					return err
				}
				visit.Set("seen", true)
				if err := visit.Save(); err != nil {
					return err
				}
				return c.Next()
			}, basicauth.New(basicauth.Config{Users: map[string]string{"jane": "secret"}}))
			app.Get("/fine", func(c *fiber.Ctx) error { return c.SendString(text) })
			app.Get("/error", func(*fiber.Ctx) error { return fiber.NewError(http.StatusConflict, "conflict") })
			app.Get("/panic", func(*fiber.Ctx) error { panic("out of order") })
			app.Get("/recovered", func(*fiber.Ctx) error { panic("out of order") })
		}
	}
	with, without := serve(t, fiber.Config{}, build(false)), serve(t, fiber.Config{}, build(true))
	tag := without.do("GET /fine", "Authorization", signedIn).header.Get("ETag")
	tests := []struct {
		request string
		headers []string
		status  int
		want    string // what is recorded
	}{
		{"GET /fine", []string{"Authorization", signedIn}, 200, "200 /fine 600"},
		{"GET /fine", nil, 401, "401 /fine 12"},
		{"GET /error", []string{"Authorization", signedIn}, 409, "409 /error 8"},
		{"GET /panic", []string{"Authorization", signedIn}, 500, "500 /panic 0"},
		{"GET /recovered", []string{"Authorization", signedIn}, 500, "500 /recovered 12"},
		{"GET /nowhere", []string{"Authorization", signedIn}, 404, ""},
		// These are changed by middlewares outside ours, after ours is done.
		{"GET /fine", []string{"Authorization", signedIn, "If-None-Match", tag}, 304, "200 /fine 600"},
		{"GET /fine", []string{"Authorization", signedIn, "Accept-Encoding", "gzip"}, 200, "200 /fine 600"},
	}
	var want, got []string
	for _, test := range tests {
		a, b := with.do(test.request, test.headers...), without.do(test.request, test.headers...)
		if a.status != test.status || b.status != test.status || a.body != b.body {
			t.Errorf("%s %q: %d with our middleware, %d without, want %d\n%q\n%q",
				test.request, test.headers, a.status, b.status, test.status, a.body, b.body)
		}
		if a, b := slices.Sorted(maps.Keys(a.header)), slices.Sorted(maps.Keys(b.header)); !slices.Equal(a, b) {
			t.Errorf("%s: headers %q with our middleware, %q without", test.request, a, b)
		}
		if test.want != "" {
			want = append(want, test.want)
		}
	}
	for _, e := range with.events(len(want)) {
		got = append(got, fmt.Sprint(brief(&e), " ", e.Properties["responseBytes"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n got %q\nwant %q", got, want)
	}
	without.events(0)
}

// A net/http handler behind Fiber's adaptor must be given the UserContext. In the
// context that the adaptor itself sets, klime finds nothing: Fiber reuses that context,
// and it would belong to the next customer.
func TestNetHTTPHandler(t *testing.T) {
	t.Parallel()
	legacy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Report Generated", nil)
		w.WriteHeader(http.StatusAccepted)
	})
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/bare/:id", adaptor.HTTPHandler(legacy))
		app.Get("/legacy/:id", func(c *fiber.Ctx) error {
			return adaptor.HTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				legacy.ServeHTTP(w, r.WithContext(c.UserContext()))
			})(c)
		})
	})
	s.do("GET /bare/7")
	s.do("GET /legacy/7")
	events := s.events(3)
	if brief(&events[0]) != "202 /bare/{id}" || brief(&events[2]) != "202 /legacy/{id}" {
		t.Errorf("events %+v", events)
	}
	if events[1].Event != "Report Generated" || events[1].UserID != "jane" {
		t.Errorf("event %+v", events[1])
	}
}
