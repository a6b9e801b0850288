package fiber3klime_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/static"
)

// even is a route constraint of an app.
type even struct{}

func (even) Name() string { return "even" }

func (even) Execute(param string, _ ...string) bool { return strings.HasSuffix(param, "2") }

// The route is the one that was reached, or else the one that the path leads to. This
// holds for all ways to build routes, wherever the app answers, and also with the
// middleware used twice, and with a Ctx of the app's own.
func TestRoutes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "page.html"), []byte("<p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	ok, notFound := sends(http.StatusOK), sends(http.StatusNotFound)
	refuse := func(c fiber.Ctx) error {
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
			app.RegisterCustomConstraint(even{})
			app.Get("/", ok)
			app.Get("/things/:id<int>?", ok)
			app.Get(`/months/:month<regex(^\d{2}$)>`, ok)
			app.Get(`/date_:day<regex(^[^<\>]{2}$)>`, ok)
			app.Get("/evens/:n<even>", ok)
			app.Get("/flights/:from-:to", ok)
			app.Get("/reports/:name.pdf", ok)
			app.Get("/user_:name", ok)
			app.Get("/v:version<int>/:id", ok)
			app.Get(`/things/batch\:get`, ok)
			app.Get("/files/*", ok)
			app.Get("/some/+", ok)
			app.All("/all/:id", ok)
			app.Add([]string{http.MethodPut, http.MethodPatch}, "/add/:id", ok)
			app.RouteChain("/chain").Get(ok).Put(ok)
			app.Route("/route", func(r fiber.Router) { r.Get("/:id", ok) }, "named.")
			app.Group("/group", passes).Group("/:org", passes).Delete("/:id", ok)
		}, requests{
			{"GET /", "200 /"},
			{"GET /things/7/", "200 /things/{id}"},
			{"GET /Things", "200 /things/{id}"},
			{"GET /things/x", ""},
			{"GET /months/07", "200 /months/{month}"},
			{"GET /months/007", ""},
			{"GET /date_07", "200 /date_{day}"},
			{"GET /evens/12", "200 /evens/{n}"},
			{"GET /evens/13", ""},
			{"GET /flights/ams-lhr", "200 /flights/{from}-{to}"},
			{"GET /reports/q1.pdf", "200 /reports/{name}.pdf"},
			{"GET /user_jane", "200 /user_{name}"},
			{"GET /v2/7", "200 /v{version}/{id}"},
			{"GET /things/batch:get", "200 /things/batch:get"},
			{"GET /files/a/b", "200 /files/*"},
			{"GET /some/a/b", "200 /some/*"},
			{"GET /some/", ""},
			{"PUT /all/7", "200 /all/{id}"},
			{"PATCH /add/7", "200 /add/{id}"},
			{"PUT /chain", "200 /chain"},
			{"HEAD /things/7", ""},
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
			api.Use("/mounted", mounted)
			app.Use([]string{"/one", "/two"}, sends(http.StatusUnauthorized))
			app.Get("/two/:id", ok)
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
			{"GET /two/7", "401 /two/{id}"},
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
		{"refused, methods of its own", fiber.Config{RequestMethods: []string{"GET", "HEAD", "LOCK"}}, func(app *fiber.App) {
			app.Use(refuse)
			app.Add([]string{"LOCK"}, "/things/:id", ok)
		}, requests{
			{"LOCK /things/7?refuse=1", "403 /things/{id}"},
			{"GET /things/7?refuse=1", "403 -"},
			{"POST /things/7", ""}, // Fiber answers 501 by itself
		}},
		{"rewritten", fiber.Config{}, func(app *fiber.App) {
			app.Use(func(c fiber.Ctx) error {
				c.Path("/new" + c.Path())
				c.Method(http.MethodPut)
				return c.Next()
			}, refuse)
			app.Put("/new/:id", ok)
		}, requests{
			{"POST /7", "200 /new/{id}"},
			{"POST /7?refuse=1", "403 /new/{id}"},
		}},
		{"the route that was reached last", fiber.Config{}, func(app *fiber.App) {
			app.All("/api/*", passes)
			app.Get("/api/things/:id", ok)
			app.Get("/moved/:id", func(c fiber.Ctx) error {
				c.Path("/api/things/7")
				return c.RestartRouting()
			})
		}, requests{{"GET /api/things/7", "200 /api/things/{id}"}, {"GET /moved/7", "200 /api/things/{id}"}, {"PUT /api/things/7", ""}}},
		{"a middleware after the route answers", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", passes)
			app.Use(ok)
		}, requests{{"GET /things/7", "200 /things/{id}"}, {"GET /elsewhere", "200 -"}}},
		{"a middleware of the route answers", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", sends(http.StatusForbidden), ok)
		}, requests{{"GET /things/7", "403 /things/{id}"}}},
		{"a middleware in place of a route", fiber.Config{}, func(app *fiber.App) {
			app.Use("/api", ok)
			app.Use("/broken", sends(http.StatusBadGateway))
			app.Use("/static", static.New(folder))
			app.Get("/pages/*", static.New(folder))
		}, requests{
			{"GET /api/things", "200 -"},
			{"GET /broken", "502 -"},
			{"GET /elsewhere", ""},
			{"GET /static/page.html", "200 -"},
			{"GET /static/missing", ""},
			{"GET /pages/page.html", "200 /pages/*"},
			{"GET /pages/missing", ""},
		}},
		{"a middleware says that there is nothing", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", ok)
			app.Use("/api", func(fiber.Ctx) error { return fiber.NewError(http.StatusNotFound, "no such tenant") })
			app.Get("/api/:id", ok)
			app.Use(notFound)
		}, requests{{"GET /things/7", "200 /things/{id}"}, {"GET /api/7", "404 /api/{id}"}, {"GET /things", ""}, {"POST /things/7", ""}}},
		{"a route says that there is nothing", fiber.Config{}, func(app *fiber.App) {
			app.Get("/things/:id", notFound)
			app.Get("/rows/:id", func(fiber.Ctx) error { return fiber.ErrNotFound })
			app.All("*", notFound)
		}, requests{{"GET /things/7", "404 /things/{id}"}, {"GET /rows/7", "404 /rows/{id}"}, {"GET /elsewhere", ""}}},
		{"nothing, by error handlers that answer otherwise", fiber.Config{
			ErrorHandler: func(c fiber.Ctx, _ error) error { return c.SendStatus(http.StatusTeapot) },
		}, func(app *fiber.App) {
			app.Get("/things/:id", func(fiber.Ctx) error { return fiber.ErrNotFound })
			app.Use("/refused", func(fiber.Ctx) error { return fiber.ErrUnauthorized })
			mounted := fiber.New(fiber.Config{
				ErrorHandler: func(c fiber.Ctx, _ error) error { return c.SendStatus(http.StatusInternalServerError) },
			})
			mounted.Get("/things/:id", func(fiber.Ctx) error { return errors.New("broken") })
			app.Use("/mounted", mounted)
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
				s := serve(t, newApp(test.config, times == 2), func(app *fiber.App, ours fiber.Handler) {
					for range times {
						app.Use(ours)
					}
					test.build(app)
				})
				var want []string
				for _, request := range test.want {
					allow := s.do(request[0]).header.Get("Allow")
					if request[1] != "" {
						want = append(want, request[1])
						if allow != "" { // Fiber sets it only if it has found no route
							t.Errorf("%s: Allow %q", request[0], allow)
						}
					}
				}
				s.want(want...)
			})
		}
	}
}
