package echoklime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/echo/echoklime"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/klimetest/adaptertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "echo", KeepsInPlace: true, ReturnsErrors: true, Start: start})
}

func start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
	tb.Helper()
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	for _, m := range app.Outside {
		e.Use(wrap(m))
	}
	if !app.Bare {
		ours := echoklime.Middleware(app.Client, options(app)...)
		e.Use(ours)
		if app.Twice {
			e.Use(ours)
		}
	}
	for _, m := range app.Inside {
		e.Use(wrap(m))
	}
	if app.UserIDInside != nil {
		e.Use(echoklime.Middleware(app.ClientInside, echoklime.UserID(func(c echo.Context) any { return app.UserIDInside(request{c}) })))
	}
	for _, route := range app.Routes {
		var middlewares []echo.MiddlewareFunc
		if route.Skip {
			middlewares = append(middlewares, echoklime.Skip())
		}
		if route.Event != "" {
			middlewares = append(middlewares, echoklime.Event(route.Event))
		}
		if app.Link != nil {
			middlewares = append(middlewares, echoklime.Link(func(c echo.Context) (klime.User, []klime.Group) {
				return app.Link(request{c})
			}))
		}
		method := route.Method
		if method == "" {
			method = http.MethodGet
		}
		group := e.Group("")
		for _, prefix := range route.Groups {
			group = group.Group(dialect(prefix))
		}
		if route.Mounted {
			group.Use(pass) // a group with a middleware answers for all paths below it
		}
		group.Add(method, dialect(route.Path), func(c echo.Context) error {
			route.Handler(request{c})
			return route.Err
		}, middlewares...)
		if strings.HasSuffix(route.Path, "}") && !strings.HasSuffix(route.Path, "...}") {
			// Without this route, Echo's parameter at the end matches all the rest, with slashes.
			group.RouteNotFound(dialect(route.Path)+"/*", echo.NotFoundHandler)
		}
	}
	return adaptertest.Serve(tb, app, e)
}

// pass is a middleware that does nothing.
func pass(next echo.HandlerFunc) echo.HandlerFunc { return next }

// dialect turns /a/{b}/{c...} into /a/:b/*.
func dialect(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch name := strings.Trim(s, "{}"); {
		case strings.HasSuffix(name, "..."):
			segments[i] = "*"
		case name != s:
			segments[i] = ":" + name
		}
	}
	return strings.Join(segments, "/")
}

func options(app adaptertest.App) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, echoklime.UserID(func(c echo.Context) any { return app.UserID(request{c}) }))
	}
	if app.GroupID != nil {
		opts = append(opts, echoklime.GroupID(func(c echo.Context) any { return app.GroupID(request{c}) }))
	}
	return opts
}

func wrap(m adaptertest.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			m(request{c}, func(adaptertest.Request) { err = next(c) })
			return err
		}
	}
}

// request implements adaptertest.Request for Echo.
type request struct{ c echo.Context }

func (q request) Context() context.Context                   { return q.c.Request().Context() }
func (q request) Detached() context.Context                  { return q.c.Request().Context() }
func (q request) Value(key string) any                       { return q.c.Get(key) }
func (q request) Header(name string) string                  { return q.c.Request().Header.Get(name) }
func (q request) Body() io.Reader                            { return q.c.Request().Body }
func (q request) HTTP() (http.ResponseWriter, *http.Request) { return q.c.Response(), q.c.Request() }

func (q request) Param(name string) string {
	if name == "rest" {
		name = "*"
	}
	return q.c.Param(name)
}

func (q request) Keep(key string, value any) adaptertest.Request {
	q.c.Set(key, value)
	return q
}

func (q request) Replace(key, value any) adaptertest.Request {
	q.c.SetRequest(q.c.Request().WithContext(context.WithValue(q.Context(), key, value)))
	return q
}

func (q request) WithCancel() (adaptertest.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.Context())
	q.c.SetRequest(q.c.Request().WithContext(ctx))
	return q, cancel
}

func (q request) Reply(status int, contentType, body string) {
	if contentType != "" {
		q.c.Response().Header().Set(echo.HeaderContentType, contentType)
	}
	if status != 0 {
		q.c.Response().WriteHeader(status)
	}
	_, _ = io.WriteString(q.c.Response(), body)
}

// What only Echo has: errors that become answers, groups whose middlewares make every
// path below them look like a route, and wrapped middlewares of net/http.
func TestEcho(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	e := echo.New()
	handled := 0
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		handled++
		e.DefaultHTTPErrorHandler(err, c)
	}
	e.Use(echoklime.Middleware(client, echoklime.UserID(func(echo.Context) string { return "jane" })))
	api := e.Group("/api", pass)
	orgs := api.Group("/orgs/:org", echo.WrapMiddleware(func(next http.Handler) http.Handler { return next }))
	orgs.GET("/fine", func(c echo.Context) error { return c.NoContent(http.StatusAccepted) })
	orgs.GET("/unavailable", func(echo.Context) error { return echo.NewHTTPError(http.StatusServiceUnavailable) })
	orgs.GET("/absent", func(echo.Context) error { return echo.ErrNotFound })
	orgs.GET("/late", func(c echo.Context) error {
		_ = c.String(http.StatusOK, "begun")
		return io.ErrUnexpectedEOF
	})
	orgs.GET("/flushed", func(c echo.Context) error {
		c.Response().Flush()
		return c.NoContent(http.StatusConflict) // too late: net/http has sent 200
	})
	orgs.GET("/page", func(c echo.Context) error {
		_, err := io.WriteString(c.Response(), "<!doctype html>")
		return err
	})
	web := httptest.NewServer(e)
	defer web.Close()
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/api/orgs/a/fine", http.StatusAccepted},
		{http.MethodGet, "/api/orgs/a/unavailable", http.StatusServiceUnavailable},
		{http.MethodGet, "/api/orgs/a/absent", http.StatusNotFound},
		{http.MethodGet, "/api/orgs/a/late", http.StatusOK},
		{http.MethodGet, "/api/orgs/a/flushed", http.StatusOK},
		{http.MethodGet, "/api/orgs/a/page", http.StatusOK},
		{http.MethodGet, "/api/orgs/a/nowhere", http.StatusNotFound},
		{http.MethodGet, "/api/nowhere", http.StatusNotFound},
		{http.MethodPost, "/api/orgs/a/fine", http.StatusNotFound}, // 404 by the group's catch-all
		{http.MethodGet, "/nowhere", http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, web.URL+test.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // a flushed answer ends with its handler
		_ = resp.Body.Close()
		if resp.StatusCode != test.status {
			t.Errorf("%s %s: status %d, want %d", test.method, test.path, resp.StatusCode, test.status)
		}
	}
	web.Close()
	if want := 7; handled != want {
		t.Errorf("the error handler ran %d times, want %d", handled, want)
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		got = append(got, fmt.Sprint(e.Event, " ", e.Properties["route"], " ", e.Properties["status"]))
	}
	want := []string{
		"API Called /api/orgs/{org}/fine 202",
		"API Called /api/orgs/{org}/unavailable 503",
		"API Called /api/orgs/{org}/absent 404",
		"API Called /api/orgs/{org}/late 200",
		"API Called /api/orgs/{org}/flushed 200",
		"Page Viewed /api/orgs/{org}/page 200",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// A middleware between two of ours, such as a transaction, sees the error that the
// handler has returned. The outer one of ours turns it into the answer.
func TestErrorsBetween(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	e := echo.New()
	var seen []error
	e.Use(echoklime.Middleware(client), func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			seen = append(seen, err)
			if errors.Is(err, echo.ErrForbidden) {
				return c.NoContent(http.StatusConflict)
			}
			return err
		}
	})
	e.Use(echoklime.Middleware(client,
		echoklime.UserID(func(echo.Context) string { return "jane" }), echoklime.GroupID(func(echo.Context) string { return "acme" })))
	e.GET("/unavailable", func(echo.Context) error { return echo.ErrServiceUnavailable })
	e.GET("/denied", func(echo.Context) error { return echo.ErrForbidden }) // so the group that it claims is not its own
	for i, test := range []struct {
		path string
		err  error
		want string
	}{
		{"/unavailable", echo.ErrServiceUnavailable, "503 acme"},
		{"/denied", echo.ErrForbidden, "409 "},
	} {
		answer := httptest.NewRecorder()
		e.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody))
		event := server.Wait(i + 1)[i]
		if got := fmt.Sprint(event.Properties["status"], " ", event.GroupID); got != test.want || event.Properties["status"] != float64(answer.Code) {
			t.Errorf("%s: recorded %s, want %s; the client saw %d", test.path, got, test.want, answer.Code)
		}
		if len(seen) != i+1 || !errors.Is(seen[i], test.err) {
			t.Fatalf("%s: the middleware between saw %v", test.path, seen)
		}
	}
}

// An HTTPErrorHandler that leaves the answer to others is no answer.
func TestErrorsUnanswered(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	e := echo.New()
	e.HTTPErrorHandler = func(error, echo.Context) {}
	e.Use(echoklime.Middleware(server.Client(), echoklime.UserID(func(echo.Context) string { return "jane" })))
	e.GET("/", func(echo.Context) error { return echo.ErrServiceUnavailable })
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for i, ctx := range []context.Context{t.Context(), late} {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
		want := []string{"200 <nil>", "<nil> true"}[i]
		if p := server.Wait(i + 1)[i].Properties; fmt.Sprint(p["status"], " ", p["aborted"]) != want {
			t.Errorf("%v, want %s", p, want)
		}
	}
}
