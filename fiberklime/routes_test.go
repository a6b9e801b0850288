package fiberklime_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// The route is the one that was reached, or else the one that the path leads to. This
// holds for all ways to build routes, wherever the app answers, and also with the
// middleware used twice.
func TestRoutes(t *testing.T) {
	t.Parallel()
	ok, notFound := sends(http.StatusOK), sends(http.StatusNotFound)
	refuse := func(c *fiber.Ctx) error {
		if c.Query("refuse") != "" {
			return fiber.NewError(http.StatusForbidden)
		}
		return c.Next()
	}
	type requests [][2]string // the request, and its recorded status and route, "" for no event
	for _, test := range []struct {
		name   string
		config fiber.Config
		build  func(app *fiber.App)
		want   requests
	}{
		{"as usual", fiber.Config{}, func(app *fiber.App) {
			app.Get("/", ok)
			app.Get("/things/:id<int>?", ok)
			app.Get("/flights/:from-:to", ok)
			app.Get("/user_:name", ok)
			app.Get("/v:version<int>/:id", ok)
			app.Get(`/things/batch\:get`, ok)
			app.Get("/files/*", ok)
			app.All("/all/:id", ok)
			app.Route("/route", func(r fiber.Router) { r.Get("/:id", ok) }, "named.")
			app.Group("/group", passes).Group("/:org", passes).Delete("/:id", ok)
		}, requests{
			{"GET /", "200 /"},
			{"GET /things/7/", "200 /things/{id}"},
			{"GET /Things", "200 /things/{id}"},
			{"GET /things/x", ""},
			{"GET /flights/ams-lhr", "200 /flights/{from}-{to}"},
			{"GET /user_jane", "200 /user_{name}"},
			{"GET /v2/7", "200 /v{version}/{id}"},
			{"GET /things/batch:get", "200 /things/batch:get"},
			{"GET /files/a/b", "200 /files/*"},
			{"PUT /all/7", "200 /all/{id}"},
			{"GET /route/7", "200 /route/{id}"},
			{"DELETE /group/acme/7", "200 /group/{org}/{id}"},
			{"POST /group/acme/7", ""},
			{"GET /group/acme", ""},
		}},
		{"refused before the routes", fiber.Config{}, func(app *fiber.App) {
			app.Use(refuse)
			app.Get("/", ok)
			app.Get("/things/:id<int>", ok)
			api := app.Group("/api", refuse)
			api.Get("/", ok)
			api.Post("/things/:id", ok)
			mounted := fiber.New()
			mounted.Use(refuse)
			mounted.Get("/Things/:id", ok)
			api.Mount("/mounted", mounted)
			app.Get("/user_:name", ok)
			group := app.Group("/team_:team")
			group.Get("/v:version", ok)
		}, requests{
			{"GET /?refuse=1", "403 /"},
			{"GET /things/7?refuse=1", "403 /things/{id}"},
			{"GET /THINGS/7/?refuse=1", "403 /things/{id}"},
			{"GET /things/x?refuse=1", "403 -"},
			{"GET /api?refuse=1", "403 /api"},
			{"GET /api/things/7?refuse=1", "403 -"}, // the route is for POST
			{"POST /api/things/7?refuse=1", "403 /api/things/{id}"},
			{"GET /api/mounted/Things/7?refuse=1", "403 /api/mounted/Things/{id}"},
			{"GET /api/mounted/nowhere?refuse=1", "403 -"},
			{"GET /user_jane?refuse=1", "403 /user_{name}"},
			{"GET /team_a/v2?refuse=1", "403 /team_{team}/v{version}"},
		}},
		{"refused, strict", fiber.Config{CaseSensitive: true, StrictRouting: true, UnescapePath: true}, func(app *fiber.App) {
			app.Use(refuse)
			app.Get("/things/:id", ok)
			app.Get("/a b", ok)
		}, requests{
			{"GET /things/7?refuse=1", "403 /things/{id}"},
			{"GET /Things/7?refuse=1", "403 -"},
			{"GET /things/7/?refuse=1", "403 -"},
			{"GET /a%20b?refuse=1", "403 /a b"},
		}},
		{"refused, methods of its own", fiber.Config{RequestMethods: []string{"GET", "LOCK"}}, func(app *fiber.App) {
			app.Use(refuse)
			app.Add("LOCK", "/things/:id", ok)
		}, requests{
			{"LOCK /things/7?refuse=1", "403 /things/{id}"},
			{"GET /things/7?refuse=1", "403 -"},
		}},
		{"rewritten", fiber.Config{}, func(app *fiber.App) {
			app.Use(func(c *fiber.Ctx) error {
				c.Path("/new" + c.Path())
				c.Method(http.MethodPut)
				return c.Next()
			}, refuse)
			app.Put("/new/:id", ok)
		}, requests{
			{"POST /7", "200 /new/{id}"},
			{"POST /7?refuse=1", "403 /new/{id}"},
		}},
		{"a group with the handlers of a route", fiber.Config{}, func(app *fiber.App) {
			shared := []fiber.Handler{passes, ok}
			app.Group("/api", shared[:1]...)
			app.Get("/things", shared...)
		}, requests{{"GET /things", "200 /things"}, {"GET /api", ""}}},
		{"the route that was reached last", fiber.Config{}, func(app *fiber.App) {
			app.All("/api/*", passes)
			app.Get("/api/things/:id", ok)
			app.Get("/moved/:id", func(c *fiber.Ctx) error {
				c.Path("/api/things/7")
				return c.RestartRouting()
			})
		}, requests{{"GET /api/things/7", "200 /api/things/{id}"}, {"GET /moved/7", "200 /api/things/{id}"}, {"PUT /api/things/7", ""}}},
		{"a middleware after the route answers", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", passes)
			app.Use(ok)
		}, requests{{"GET /things/7", "200 /things/{id}"}, {"GET /elsewhere", "200 -"}}},
		{"a middleware in place of a route", fiber.Config{}, func(app *fiber.App) {
			app.Use("/api", ok)
			app.Use("/broken", sends(http.StatusBadGateway))
		}, requests{{"GET /api/things", "200 -"}, {"GET /broken", "502 -"}, {"GET /elsewhere", ""}}},
		{"a middleware says that there is nothing", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", ok)
			app.Use(notFound)
		}, requests{{"GET /things/7", "200 /things/{id}"}, {"GET /things", ""}, {"POST /things/7", ""}}},
		{"a route says that there is nothing", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", notFound)
			app.All("*", notFound)
		}, requests{{"GET /things/7", "404 /things/{id}"}, {"GET /elsewhere", ""}}},
		{"nothing, by error handlers that answer otherwise", fiber.Config{
			ErrorHandler: func(c *fiber.Ctx, _ error) error { return c.SendStatus(http.StatusTeapot) },
		}, func(app *fiber.App) {
			app.Get("/things/:id", func(*fiber.Ctx) error { return fiber.ErrNotFound })
			app.Use("/refused", func(*fiber.Ctx) error { return fiber.ErrUnauthorized })
			mounted := fiber.New(fiber.Config{
				ErrorHandler: func(c *fiber.Ctx, _ error) error { return c.SendStatus(http.StatusInternalServerError) },
			})
			mounted.Get("/things/:id", func(*fiber.Ctx) error { return errors.New("broken") })
			app.Mount("/mounted", mounted)
		}, requests{
			{"GET /elsewhere", ""},
			{"GET /mounted/elsewhere", ""},
			{"POST /things/7", ""},
			{"GET /things/7", "418 /things/{id}"},
			{"GET /mounted/things/7", "500 /mounted/things/{id}"},
			{"GET /refused", "418 -"},
		}},
	} {
		for _, times := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %dx", test.name, times), func(t *testing.T) {
				t.Parallel()
				s := serve(t, test.config, func(app *fiber.App, ours fiber.Handler) {
					for range times {
						app.Use(ours)
					}
					test.build(app)
				})
				var want, got []string
				for _, request := range test.want {
					allow := s.do(request[0]).header.Get("Allow")
					if request[1] != "" {
						want = append(want, request[1])
						if allow != "" { // Fiber sets it only if it has found no route
							t.Errorf("%s: Allow %q", request[0], allow)
						}
					}
				}
				for _, e := range s.events(len(want)) {
					got = append(got, brief(&e))
				}
				if !slices.Equal(got, want) {
					t.Errorf("recorded\n got %q\nwant %q", got, want)
				}
			})
		}
	}
}

// A middleware is not taken for a route, even if it has the path of one.
func TestUnmatchedBesideARoot(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	app := fiber.New()
	app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	app.Get("/", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	group := app.Group("/api", func(c *fiber.Ctx) error { return c.Next() })
	group.Get("", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	for _, path := range []string{"/nowhere", "/api/nowhere", "/", "/api"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app"+path, http.NoBody)
		resp, err := app.Test(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := server.Events()
	if len(events) != 2 || events[0].Properties["route"] != "/" || events[1].Properties["route"] != "/api" {
		t.Fatalf("events %+v", events)
	}
	if n := events[0].Properties["responseBytes"]; n != 0.0 {
		t.Errorf("%v bytes in a 204", n)
	}
}

// Routes that are added while the app runs are known as well.
func TestRoutesAddedLater(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	app := fiber.New()
	app.Use(fiberklime.Middleware(server.Client(), fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	show := func(c *fiber.Ctx) error {
		klime.SetProperty(c.UserContext(), "kept", c.Params("id")) // in memory that Fiber reuses
		return c.SendStatus(http.StatusOK)
	}
	for i, test := range []struct {
		add  func()
		path string
		want string
	}{
		{func() { app.Get("/first", show) }, "/first", "/first"},
		{func() { app.Add(http.MethodGet, "/second/:id", show) }, "/second/2", "/second/{id}"},
		{func() { app.Mount("/third", fiber.New().Get("/:id", show).(*fiber.App)) }, "/third/3", "/third/{id}"},
		{func() { app.Use("/fourth", sends(http.StatusForbidden)).Get("/fourth/:id", show) }, "/fourth/4", "/fourth/{id}"},
	} {
		test.add()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app"+test.path, http.NoBody)
		resp, err := app.Test(req, -1)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if e := server.Wait(i + 1)[i]; e.Properties["route"] != test.want {
			t.Errorf("route %v, want %s", e.Properties["route"], test.want)
		}
	}
}

// A pattern cannot have a * before its end, as Fiber's routes can. What stands before it can
// be a pattern, and what stands beside the route works.
func TestStarWithinARoute(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	app := fiber.New()
	app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" }),
		klime.SkipRoutes("/quiet/*"), klime.NameRoutes(map[string]string{"/v2/*": "Shop Visited"})))
	app.Get("/v1/*/shop/*", fiberklime.Event("Shop Seen"), sends(http.StatusOK))
	app.Get("/v2/*/shop", sends(http.StatusOK))
	app.Get("/quiet/*/shop/*", sends(http.StatusOK))
	app.Get("/quiet/*/shop", sends(http.StatusOK))
	for _, path := range []string{"/v1/a/b/shop/1", "/v2/a/b/shop", "/quiet/a/shop/1", "/quiet/a/shop"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app"+path, http.NoBody)
		resp, err := app.Test(req, -1)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		got = append(got, fmt.Sprint(e.Event, " ", e.Properties["route"]))
	}
	if want := []string{"Shop Seen /v1/*/shop/*", "Shop Visited /v2/*/shop"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
