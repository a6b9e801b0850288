package ginklime_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/klimetest/adaptertest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "gin", KeepsInPlace: true, Start: start})
}

// Options that Gin leaves off by default: *gin.Context finds values of the
// request's context, and the router corrects paths and answers 405.
func TestConformanceWithGinsOptions(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "gin", KeepsInPlace: true, Start: func(tb testing.TB, app adaptertest.App) (string, func()) {
		tb.Helper()
		router := gin.New()
		router.ContextWithFallback = true
		router.HandleMethodNotAllowed = true
		router.RedirectFixedPath = true
		router.RemoveExtraSlash = true
		router.UseRawPath = true
		return serve(tb, app, router)
	}})
}

func start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
	tb.Helper()
	return serve(tb, app, gin.New())
}

func serve(tb testing.TB, app adaptertest.App, router *gin.Engine) (url string, stop func()) {
	tb.Helper()
	for _, m := range app.Outside {
		router.Use(wrap(m))
	}
	if !app.Bare {
		ours := ginklime.Middleware(app.Client, options(app)...)
		router.Use(ours)
		if app.Twice {
			router.Use(ours)
		}
	}
	for _, m := range app.Inside {
		router.Use(wrap(m))
	}
	if app.UserIDInside != nil {
		router.Use(ginklime.Middleware(app.ClientInside, ginklime.UserID(func(c *gin.Context) any { return app.UserIDInside(request{c}) })))
	}
	for _, route := range app.Routes {
		var handlers []gin.HandlerFunc
		if route.Skip {
			handlers = append(handlers, ginklime.Skip())
		}
		if route.Event != "" {
			handlers = append(handlers, ginklime.Event(route.Event))
		}
		if app.Link != nil {
			handlers = append(handlers, ginklime.Link(func(c *gin.Context) (klime.User, []klime.Group) {
				return app.Link(request{c})
			}))
		}
		method := route.Method
		if method == "" {
			method = http.MethodGet
		}
		handlers = append(handlers, func(c *gin.Context) { route.Handler(request{c}) })
		group := gin.IRouter(router)
		for _, prefix := range route.Groups {
			group = group.Group(dialect(prefix))
		}
		group.Handle(method, dialect(route.Path), handlers...)
	}
	return adaptertest.Serve(tb, app, router)
}

// dialect turns /a/{b}/{c...} into /a/:b/*c.
func dialect(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch name := strings.Trim(s, "{}"); {
		case strings.HasSuffix(name, "..."):
			segments[i] = "*" + strings.TrimSuffix(name, "...")
		case name != s:
			segments[i] = ":" + name
		}
	}
	return strings.Join(segments, "/")
}

func options(app adaptertest.App) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, ginklime.UserID(func(c *gin.Context) any { return app.UserID(request{c}) }))
	}
	if app.GroupID != nil {
		opts = append(opts, ginklime.GroupID(func(c *gin.Context) any { return app.GroupID(request{c}) }))
	}
	return opts
}

func wrap(m adaptertest.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		m(request{c}, func(adaptertest.Request) {
			passed = true
			c.Next()
		})
		if !passed {
			c.Abort()
		}
	}
}

// request implements adaptertest.Request for Gin.
type request struct{ c *gin.Context }

func (q request) Context() context.Context                   { return q.c }
func (q request) Param(name string) string                   { return q.c.Param(name) }
func (q request) Header(name string) string                  { return q.c.GetHeader(name) }
func (q request) Body() io.Reader                            { return q.c.Request.Body }
func (q request) HTTP() (http.ResponseWriter, *http.Request) { return q.c.Writer, q.c.Request }

// Detached is one of the two contexts that may be kept, each for some of the paths.
func (q request) Detached() context.Context {
	if len(q.c.Request.URL.Path)%2 == 0 {
		return q.c.Request.Context()
	}
	return q.c.Copy()
}

func (q request) Value(key string) any {
	value, _ := q.c.Get(key)
	return value
}

func (q request) Keep(key string, value any) adaptertest.Request {
	q.c.Set(key, value)
	return q
}

func (q request) Replace(key, value any) adaptertest.Request {
	q.c.Request = q.c.Request.WithContext(context.WithValue(q.c.Request.Context(), key, value))
	return q
}

func (q request) WithCancel() (adaptertest.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.c.Request.Context())
	q.c.Request = q.c.Request.WithContext(ctx)
	return q, cancel
}

func (q request) Reply(status int, contentType, body string) {
	if contentType != "" {
		q.c.Header("Content-Type", contentType)
	}
	if status != 0 {
		q.c.Status(status)
	}
	_, _ = q.c.Writer.WriteString(body)
}

// A goroutine may track with the request's context while the handler replaces
// c.Request: our code reads nothing that Gin does not guard.
func TestTrackWhileTheRequestIsReplaced(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	router := gin.New()
	router.Use(ginklime.Middleware(server.Client(), ginklime.UserID(func(c *gin.Context) string { return c.GetString("account") })))
	router.GET("/", func(c *gin.Context) {
		c.Set("account", "jane")
		ctx := c.Request.Context()
		tracked := make(chan struct{})
		go func() {
			defer close(tracked)
			for range 100 {
				klime.Track(ctx, "Done", nil)
			}
		}()
		for range 100 {
			c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, 1))
		}
		<-tracked
	})
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	for _, e := range server.Wait(101) {
		if e.UserID != "jane" {
			t.Errorf("event of %q", e.UserID)
		}
	}
}

type key struct{}

// A goroutine may read the *gin.Context after the handler has returned: the Middleware of
// one client restores nothing in it, or the race detector would complain. (Those of two do:
// docs/frameworks.md.)
func TestNothingIsRestoredAfterTheHandler(t *testing.T) {
	t.Parallel()
	router := gin.New()
	router.Use(ginklime.Middleware(klimetest.NewServer(t).Client()))
	read, served := make(chan struct{}), make(chan struct{})
	router.GET("/", func(c *gin.Context) {
		go func() {
			defer close(read)
			for {
				_, _, _ = c.Request.Context(), c.Writer.Status(), c.Value("account")
				select {
				case <-served:
					return
				default:
				}
			}
		}()
	})
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	close(served)
	<-read
}

// Gin sets Content-Type in its own ways, and can serve a request again as another
// (HandleContext). Recorded is what the client has got.
func TestPagesInGinsWays(t *testing.T) {
	t.Parallel()
	const page = "<!doctype html><title>Reports</title>"
	server := klimetest.NewServer(t)
	client := server.Client()
	router := gin.New()
	router.SetHTMLTemplate(template.Must(template.New("page").Parse(page)))
	router.Use(ginklime.Middleware(client, ginklime.UserID(func(*gin.Context) string { return "jane" })))
	router.GET("/data", func(c *gin.Context) { c.Data(http.StatusOK, "", []byte(page)) })
	router.GET("/html", func(c *gin.Context) { c.HTML(http.StatusOK, "page", nil) })
	router.GET("/reader", func(c *gin.Context) {
		c.DataFromReader(http.StatusOK, int64(len(page)), "text/html", strings.NewReader(page), nil)
	})
	router.GET("/string", func(c *gin.Context) { c.String(http.StatusOK, page) })
	router.GET("/untyped", func(c *gin.Context) { _, _ = c.Writer.WriteString(page) })
	router.GET("/type/too/late", func(c *gin.Context) {
		c.Writer.WriteHeaderNow()
		c.Header("Content-Type", "text/html")
		_, _ = c.Writer.WriteString("just text")
	})
	router.GET("/status/only", func(c *gin.Context) { c.Status(http.StatusAccepted) })
	router.GET("/aborted", func(c *gin.Context) { c.AbortWithStatus(http.StatusConflict) })
	again := func(path string) gin.HandlerFunc {
		return func(c *gin.Context) {
			c.Request.URL.Path = path
			router.HandleContext(c)
		}
	}
	router.GET("/old/untyped", again("/untyped"))
	router.GET("/old/html", again("/html"))
	router.GET("/old/nowhere", again("/nowhere"))
	web := httptest.NewServer(router)
	defer web.Close()
	var want []string
	for _, path := range []string{"/data", "/html", "/reader", "/string", "/untyped", "/type/too/late", "/status/only", "/aborted", "/old/untyped", "/old/html", "/old/nowhere"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+path, http.NoBody)
		resp, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		name, route := "API Called", strings.TrimPrefix(path, "/old")
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			name = "Page Viewed"
		}
		if resp.StatusCode != http.StatusNotFound {
			want = append(want, fmt.Sprintf("%s %s %d %d", name, route, resp.StatusCode, len(body)))
		}
	}
	web.Close()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		p := e.Properties
		got = append(got, fmt.Sprint(e.Event, " ", p["route"], " ", p["status"], " ", p["responseBytes"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// held is the writer of a middleware that holds the answer back, as for a timeout or
// a transaction.
type held struct{ gin.ResponseWriter }

func (held) Write(p []byte) (int, error)       { return len(p), nil }
func (held) WriteString(s string) (int, error) { return len(s), nil }
func (held) WriteHeaderNow()                   {}

// What was sent is recorded, even if the innermost middleware saw something else.
func TestAnswerThatIsHeldBack(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	ours := ginklime.Middleware(server.Client(), ginklime.UserID(func(*gin.Context) string { return "u" }))
	engine := gin.New()
	engine.Use(ours, func(c *gin.Context) {
		ourWriter := c.Writer
		c.Writer = held{ourWriter}
		c.Next()
		c.Writer = ourWriter
		c.String(http.StatusServiceUnavailable, "not committed")
	})
	engine.GET("/orders", ours, func(c *gin.Context) { _, _ = c.Writer.WriteString("ok") })
	engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders", http.NoBody))
	e := server.Wait(1)[0]
	if e.Properties["status"] != 503.0 || e.Properties["responseBytes"] != 13.0 {
		t.Errorf("recorded %v", e.Properties)
	}
}

// zip is the writer of a compressing middleware inside ours.
type zip struct{ gin.ResponseWriter }

// A request that Gin serves again as another (HandleContext) is recorded even behind a
// foreign writer, and even if no Middleware stands before the second route.
func TestHandleContext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		build func(engine *gin.Engine, ours gin.HandlerFunc, again gin.HandlerFunc)
		want  string
	}{
		{"behind another writer", func(engine *gin.Engine, ours, again gin.HandlerFunc) {
			engine.Use(ours, func(c *gin.Context) { c.Writer = &zip{c.Writer} })
			engine.GET("/old", again)
			engine.GET("/new", func(c *gin.Context) { _, _ = c.Writer.WriteString("<!doctype html>") })
		}, "Page Viewed 200 15"},
		{"behind another request", func(engine *gin.Engine, ours, again gin.HandlerFunc) {
			engine.Use(ours, func(c *gin.Context) {
				c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, 1))
				c.Writer = &zip{c.Writer}
			})
			engine.GET("/old", again)
			engine.GET("/new", func(c *gin.Context) { _, _ = c.Writer.WriteString("<!doctype html>") })
		}, "Page Viewed 200 15"},
		{"outside of the group", func(engine *gin.Engine, ours, again gin.HandlerFunc) {
			engine.Group("/", ours).GET("/old", again)
			engine.GET("/new", func(c *gin.Context) { c.Data(http.StatusOK, "text/html", []byte("<!doctype html>")) })
		}, "Page Viewed 200 15"},
		{"outside of the group, without a type", func(engine *gin.Engine, ours, again gin.HandlerFunc) {
			engine.Group("/", ours).GET("/old", again)
			engine.GET("/new", func(c *gin.Context) { _, _ = c.Writer.WriteString("<!doctype html>") })
		}, "API Called 200 15"}, // only net/http has seen the bytes, so the type is unknown
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			engine := gin.New()
			test.build(engine, ginklime.Middleware(server.Client(), ginklime.UserID(func(*gin.Context) string { return "jane" })), func(c *gin.Context) {
				c.Request.URL.Path = "/new"
				engine.HandleContext(c)
			})
			engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/old", http.NoBody))
			e := server.Wait(1)[0]
			if got := fmt.Sprint(e.Event, " ", e.Properties["status"], " ", e.Properties["responseBytes"]); got != test.want || e.Properties["route"] != "/new" {
				t.Errorf("recorded %s of %v, want %s", got, e.Properties["route"], test.want)
			}
		})
	}
}

// unhijackable is the writer of a server that cannot give a connection away.
type unhijackable struct{ *httptest.ResponseRecorder }

func (unhijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}

// A handler that fails to take over the connection answers like any other.
func TestHijackThatFails(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	engine := gin.New()
	engine.Use(ginklime.Middleware(server.Client(), ginklime.UserID(func(*gin.Context) string { return "jane" })))
	engine.GET("/", func(c *gin.Context) {
		if _, _, err := c.Writer.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("hijack: %v", err)
		}
		klime.Track(c, "Done", nil)
		c.String(http.StatusUpgradeRequired, "no") // which Gin ignores after Hijack, and answers 200
	})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	request.Header.Set("Upgrade", "websocket")
	recorder := httptest.NewRecorder()
	engine.ServeHTTP(unhijackable{recorder}, request)
	e := server.Wait(2)[1]
	if e.Properties["status"] != float64(recorder.Code) || e.Properties["responseBytes"] != 2.0 || e.Properties["protocol"] != nil {
		t.Errorf("recorded %v", e.Properties)
	}
}

// A timeout outside Middleware answers while the handler still runs, and Gin reuses the
// context for another customer's request. The late handler must not be taken for that.
func TestHandlerThatOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	c, engine := gin.CreateTestContext(httptest.NewRecorder())
	begun, reused, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	engine.Use(func(c *gin.Context) { // a timeout
		if c.FullPath() == "/slow" {
			go func() {
				defer close(over)
				c.Next()
			}()
			<-begun
		}
	})
	engine.Use(ginklime.Middleware(server.Client(),
		ginklime.UserID(func(c *gin.Context) string { return c.GetHeader("X-User") }),
		ginklime.GroupID(func(c *gin.Context) string { return c.GetHeader("X-Org") })))
	engine.GET("/slow", func(c *gin.Context) {
		ctx := c.Request.Context()
		close(begun)
		<-reused
		klime.Track(ctx, "Nobody's", nil)
		klime.SetUser(ctx, "jane")
		klime.Track(ctx, "Jane's", nil)
	})
	engine.GET("/", func(*gin.Context) {
		close(reused)
		<-over
	})
	for _, r := range []struct{ path, user, org string }{{"/slow", "jane", "acme"}, {"/", "bob", "globex"}} {
		c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, r.path, http.NoBody)
		c.Request.Header.Set("X-User", r.user)
		c.Request.Header.Set("X-Org", r.org)
		engine.HandleContext(c)
	}
	var got []string
	for _, e := range server.Wait(2) {
		got = append(got, fmt.Sprint(e.Event, " of ", e.UserID, " in ", e.GroupID, " ", e.Properties["route"]))
	}
	if want := []string{"Jane's of jane in  <nil>", "API Called of bob in globex /"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// A middleware often answers for the errors that handlers leave in c. If it stands outside
// of ours, the answer is not known, and must not pass for a success.
func TestErrorsOfTheContext(t *testing.T) {
	t.Parallel()
	answer := func(c *gin.Context) {
		c.Next()
		if len(c.Errors) > 0 {
			c.Status(http.StatusForbidden)
		}
	}
	recovered := func(c *gin.Context) {
		defer func() {
			if recover() != nil {
				c.AbortWithStatus(http.StatusInternalServerError)
			}
		}()
		c.Next()
	}
	panics := func(c *gin.Context) {
		c.Next()
		panic("after the error")
	}
	gone := func(c *gin.Context) {
		ctx, cancel := context.WithCancel(c.Request.Context())
		cancel()
		c.Request = c.Request.WithContext(ctx)
	}
	noted := func(c *gin.Context) { _ = c.Error(errors.New("noted before")) }
	for name, tt := range map[string]struct {
		before []gin.HandlerFunc
		after  []gin.HandlerFunc // with ours, if that comes twice
		twice  bool
		quiet  bool // the handler leaves no error
		want   string
		code   int
		hints  int
	}{
		"outside":                    {before: []gin.HandlerFunc{answer}, want: `API Called "" <nil>`, code: 403, hints: 1},
		"inside":                     {after: []gin.HandlerFunc{answer}, want: `API Called "" 403`, code: 403},
		"between two ones":           {after: []gin.HandlerFunc{answer}, twice: true, want: `API Called "" 403`, code: 403},
		"a caller who has gone away": {before: []gin.HandlerFunc{gone}, want: `API Called "" <nil>`, code: 200},
		"noted before":               {before: []gin.HandlerFunc{noted}, quiet: true, want: `Report Viewed "claimed" 200`, code: 200},
		"a panic, with its recovery": {before: []gin.HandlerFunc{recovered}, after: []gin.HandlerFunc{panics}, want: `API Called "claimed" 500`, code: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			var log bytes.Buffer
			cfg := server.Config()
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			client, err := klime.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ours := ginklime.Middleware(client,
				klime.NameRoutes(map[string]string{"GET /reports": "Report Viewed"}),
				ginklime.UserID(func(*gin.Context) string { return "jane" }),
				ginklime.GroupID(func(*gin.Context) string { return "claimed" }))
			engine := gin.New()
			engine.Use(tt.before...)
			engine.Use(ours)
			engine.Use(tt.after...)
			if tt.twice {
				engine.Use(ours)
			}
			engine.NoRoute(func(c *gin.Context) { _ = c.Error(errors.New("not found")) })
			engine.GET("/reports", func(c *gin.Context) {
				if !tt.quiet {
					_ = c.Error(errors.New("not a member"))
				}
			})
			engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/wp-login.php", http.NoBody))
			w := httptest.NewRecorder()
			engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reports", http.NoBody))
			if err := client.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			events := server.Wait(1)
			e := events[len(events)-1]
			if got := fmt.Sprintf("%s %q %v", e.Event, e.GroupID, e.Properties["status"]); got != tt.want || w.Code != tt.code {
				t.Errorf("answered %d, recorded %s, want %s", w.Code, got, tt.want)
			}
			if got := strings.Count(log.String(), "put Middleware outside of that one"); got != tt.hints {
				t.Errorf("log %s", log.String())
			}
		})
	}
}

// statusKeeper is a writer that keeps any status it is given, as that of gin-contrib/gzip.
type statusKeeper struct {
	gin.ResponseWriter

	status int
}

func (k *statusKeeper) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *statusKeeper) Status() int { return k.status }

// Gin's streams set the status -1, which Gin ignores.
func TestStreamInsideAnotherWriter(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	engine := gin.New()
	engine.Use(func(c *gin.Context) { c.Writer = &statusKeeper{ResponseWriter: c.Writer} }, ginklime.Middleware(server.Client(),
		ginklime.UserID(func(*gin.Context) string { return "jane" })))
	engine.GET("/events", func(c *gin.Context) { c.SSEvent("tick", 1) })
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", http.NoBody))
	if e := server.Wait(1)[0]; w.Code != http.StatusOK || e.Properties["protocol"] != "sse" || fmt.Sprint(e.Properties["status"]) != "200" {
		t.Errorf("answered %d, recorded %+v", w.Code, e.Properties)
	}
}

// trailing is a compressing writer outside ours, which writes bytes of its own at each flush.
type trailing struct{ gin.ResponseWriter }

func (w trailing) Flush() {
	_, _ = w.WriteString("zip")
	w.ResponseWriter.Flush()
}

// What a middleware outside ours writes is none of the handler's bytes.
func TestBytesOfAnotherWriter(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	engine := gin.New()
	engine.Use(func(c *gin.Context) { c.Writer = trailing{c.Writer} },
		ginklime.Middleware(server.Client(), ginklime.UserID(func(*gin.Context) string { return "jane" })))
	engine.GET("/x", func(c *gin.Context) { c.Writer.Flush() })
	engine.GET("/within", func(c *gin.Context) {
		c.Writer = &zip{c.Writer} // and it stays there
		c.Writer.Flush()
	})
	for i, path := range []string{"/x", "/within"} {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		if e := server.Wait(i + 1)[i]; w.Body.String() != "zip" || e.Properties["responseBytes"] != 0.0 {
			t.Errorf("%s: answered %q, recorded %v", path, w.Body, e.Properties)
		}
	}
}

// A middleware may give the request a context of its own, in which ours is not found: the
// request is recorded all the same.
func TestFreshContext(t *testing.T) {
	t.Parallel()
	fresh := func(c *gin.Context) { c.Request = c.Request.WithContext(context.Background()) }
	jane := ginklime.UserID(func(*gin.Context) string { return "jane" })
	for name, inner := range map[string]func(*klimetest.Server, *klime.Client) gin.HandlerFunc{
		"the same client": func(_ *klimetest.Server, client *klime.Client) gin.HandlerFunc { return ginklime.Middleware(client) },
		"another": func(other *klimetest.Server, _ *klime.Client) gin.HandlerFunc {
			return ginklime.Middleware(other.Client())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			engine := gin.New()
			engine.Use(ginklime.Middleware(client, jane), fresh, inner(klimetest.NewServer(t), client))
			engine.GET("/x", func(*gin.Context) {})
			engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", http.NoBody))
			if e := server.Wait(1)[0]; e.UserID != "jane" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// The recorded address is the one that Gin finds: a header counts only if it comes from
// a proxy that the engine trusts.
func TestCaptureBehindAProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		trusted []string
		want    string
	}{{[]string{"127.0.0.1"}, "203.0.113.7"}, {nil, "127.0.0.1"}} {
		server := klimetest.NewServer(t)
		client := server.Client()
		router := gin.New()
		if err := router.SetTrustedProxies(tt.trusted); err != nil {
			t.Fatal(err)
		}
		router.Use(ginklime.Middleware(client, ginklime.UserID(func(*gin.Context) string { return "jane" }), klime.Capture(klime.IP)))
		router.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, nil) })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "127.0.0.1:1234"
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		router.ServeHTTP(httptest.NewRecorder(), r)
		if e := server.Wait(1)[0]; e.Context["ip"] != tt.want {
			t.Errorf("trusting %v: %v, want %s", tt.trusted, e.Context["ip"], tt.want)
		}
	}
}

// A parameter may begin within a segment. The options name it in braces.
func TestParametersWithinASegment(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	tracker := ginklime.Middleware(client,
		ginklime.UserID(func(*gin.Context) string { return "jane" }),
		klime.IgnoreRoutes("/staff_{name}"), klime.SkipRoutes("/draft-{id}", "/{file}"))
	engine := gin.New()
	engine.Use(tracker)
	ok := func(c *gin.Context) { c.JSON(http.StatusOK, nil) }
	for _, path := range []string{"/user_:name", "/v:version/reports/:id", "/staff_:name", "/draft-:id", "/page-:page-name.html", `/things/batch\:get`} {
		engine.GET(path, ok)
	}
	want := []any{"/user_{name}", "/v{version}/reports/{id}", "/page-{page-name.html}"}
	for _, path := range []string{"/user_jane", "/v2/reports/7", "/staff_mary", "/draft-7", "/page-a.html", "/things/batch:get"} {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		switch {
		case w.Code == http.StatusOK && path == "/things/batch:get":
			want = append(want, path)
		case w.Code != http.StatusOK && path != "/things/batch:get": // which old ones do not know
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var routes []any
	for _, e := range server.Events() {
		routes = append(routes, e.Properties["route"])
	}
	if !slices.Equal(routes, want) {
		t.Errorf("recorded %q, want %q", routes, want)
	}
}
