//go:build linux || darwin || freebsd

package shutdown_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
	"github.com/klimeapp/klime-go/examples/shutdown"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/internal/delivery"
	"github.com/klimeapp/klime-go/nethttp"
)

// Environment variables that tell a child what to do.
const (
	appVariable   = "KLIME_SHUTDOWN_APP"   // a key of apps
	klimeVariable = "KLIME_SHUTDOWN_KLIME" // Klime's endpoint
	spoolVariable = "KLIME_SHUTDOWN_SPOOL" // a folder, hung, or nothing
	addrVariable  = "KLIME_SHUTDOWN_ADDR"  // where to listen
)

// TestMain also runs the apps under test, in child processes.
func TestMain(m *testing.M) {
	app, is := apps()[os.Getenv(appVariable)]
	if !is {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := app(ctx)
	stop()
	if err != nil {
		say("error " + err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// apps are the apps that a child can run. They answer
//
//	GET /work/{n}    at once
//	GET /held/{n}    when the app has got SIGTERM
//	GET /late/{n}    2 s after that (net/http)
//	GET /stream/{n}  with a stream that never ends (net/http)
//	GET /socket/{n}  by taking over the connection until the app has got SIGTERM (net/http)
//
// and each request, except for streams, tracks an event of its own.
func apps() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"nethttp": func(ctx context.Context) error { return serve(ctx, netHTTPRouter) },
		"chi":     func(ctx context.Context) error { return serve(ctx, chiRouter) },
		"gin":     func(ctx context.Context) error { return serve(ctx, ginRouter) },
		"fiber": func(ctx context.Context) error {
			client, err := newClient()
			if err != nil {
				return err
			}
			return shutdown.ServeFiber(ctx, fiberApp(ctx, client, false), os.Getenv(addrVariable), client)
		},
		"prefork": func(ctx context.Context) error {
			return shutdown.ServePrefork(ctx, os.Getenv(addrVariable), os.Getenv(spoolVariable), config(),
				func(client *klime.Client) *fiber.App { return fiberApp(ctx, client, true) })
		},
		"careless prefork": careless,
		"function":         func(ctx context.Context) error { return serve(ctx, functionHandler) },
		"no handler":       noHandler,
	}
}

func say(line string) { fmt.Println(line) }

func config() klime.Config {
	return klime.Config{
		WriteKey: "key", Endpoint: os.Getenv(klimeVariable),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
}

func newClient() (*klime.Client, error) {
	cfg := config()
	switch dir := os.Getenv(spoolVariable); dir {
	case "":
	case hung:
		cfg.Spool = hungDisk{}
	default:
		disk, err := spool.Open(dir, spool.Options{})
		if err != nil {
			return nil, err
		}
		cfg.Spool = disk
	}
	return klime.New(cfg)
}

const hung = "a disk that hangs"

// hungDisk is a spool on a disk that hangs.
type hungDisk struct{ delivery.Spool }

func (d hungDisk) Attach(*slog.Logger) (delivery.Storage, error) {
	return delivery.Storage{Spool: d}, nil
}

func (hungDisk) Kept() (records, size int, last uint64, err error) { return 0, 0, 0, nil }

func (hungDisk) Commit([]delivery.Record, []uint64) ([]delivery.Record, error) { select {} }

func serve(ctx context.Context, router func(context.Context, *klime.Client) http.Handler) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", os.Getenv(addrVariable))
	if err != nil {
		return err
	}
	say("serves " + l.Addr().String())
	srv := &http.Server{Handler: router(ctx, client)}
	return shutdown.Serve(ctx, srv, l, client)
}

// work is what a handler does before it answers.
func work(ctx context.Context, n string) {
	klime.SetUser(ctx, "usr_1")
	klime.SetProperty(ctx, "n", n)
	klime.Track(ctx, "Work Done", klime.Properties{"n": n})
}

func held(ctx, ended context.Context, n string) {
	work(ctx, n)
	say("held " + n)
	<-ended.Done()
}

func stream(w http.ResponseWriter, r *http.Request, n string) {
	klime.SetUser(r.Context(), "usr_1")
	klime.SetProperty(r.Context(), "n", n)
	w.Header().Set("Content-Type", "text/event-stream")
	_ = http.NewResponseController(w).Flush()
	say("held " + n)
	<-r.Context().Done()
}

func socket(ended context.Context, w http.ResponseWriter, r *http.Request) {
	n := r.PathValue("n")
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	klime.SetUser(r.Context(), "usr_1")
	klime.SetProperty(r.Context(), "n", n)
	say("held " + n)
	<-ended.Done()
	time.Sleep(400 * time.Millisecond) // as a closing handshake may take
	klime.Track(r.Context(), "Work Done", klime.Properties{"n": n})
}

func netHTTPRouter(ended context.Context, client *klime.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /work/{n}", func(_ http.ResponseWriter, r *http.Request) { work(r.Context(), r.PathValue("n")) })
	mux.HandleFunc("GET /held/{n}", func(_ http.ResponseWriter, r *http.Request) { held(r.Context(), ended, r.PathValue("n")) })
	mux.HandleFunc("GET /late/{n}", func(_ http.ResponseWriter, r *http.Request) {
		held(r.Context(), ended, r.PathValue("n"))
		time.Sleep(2 * time.Second)
	})
	mux.HandleFunc("GET /stream/{n}", func(w http.ResponseWriter, r *http.Request) { stream(w, r, r.PathValue("n")) })
	mux.HandleFunc("GET /socket/{n}", func(w http.ResponseWriter, r *http.Request) { socket(ended, w, r) })
	return nethttp.Middleware(client)(mux)
}

func functionHandler(ended context.Context, client *klime.Client) http.Handler {
	return shutdown.FlushEach(client, netHTTPRouter(ended, client))
}

func chiRouter(ended context.Context, client *klime.Client) http.Handler {
	r := chi.NewRouter()
	r.Use(chiklime.Middleware(client))
	r.Get("/work/{n}", func(_ http.ResponseWriter, r *http.Request) { work(r.Context(), chi.URLParam(r, "n")) })
	r.Get("/held/{n}", func(_ http.ResponseWriter, r *http.Request) { held(r.Context(), ended, chi.URLParam(r, "n")) })
	return r
}

func ginRouter(ended context.Context, client *klime.Client) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(ginklime.Middleware(client))
	r.GET("/work/:n", func(c *gin.Context) { work(c, c.Param("n")) })
	r.GET("/held/:n", func(c *gin.Context) { held(c, ended, c.Param("n")) })
	return r
}

func fiberApp(ended context.Context, client *klime.Client, prefork bool) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true, Prefork: prefork})
	app.Use(fiberklime.Middleware(client))
	app.Get("/work/:n", func(c *fiber.Ctx) error {
		work(c.UserContext(), c.Params("n"))
		return nil
	})
	app.Get("/held/:n", func(c *fiber.Ctx) error {
		held(c.UserContext(), ended, c.Params("n"))
		return nil
	})
	app.Get("/pid", fiberklime.Skip(), func(c *fiber.Ctx) error { return c.SendString(strconv.Itoa(os.Getpid())) })
	app.Hooks().OnListen(func(data fiber.ListenData) error {
		say("serves " + net.JoinHostPort(data.Host, data.Port))
		return nil
	})
	return app
}

// careless is prefork with the same folder for all children.
func careless(ctx context.Context) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true, Prefork: true})
	if fiber.IsChild() {
		disk, err := spool.Open(os.Getenv(spoolVariable), spool.Options{})
		if errors.Is(err, spool.ErrInUse) {
			say("in use: " + err.Error())
		}
		cfg := config()
		cfg.Spool = disk
		client, err := klime.New(cfg)
		if err != nil {
			return err
		}
		app = fiberApp(ctx, client, true)
		say(fmt.Sprintf("child %d", os.Getpid()))
	}
	return app.Listen(os.Getenv(addrVariable))
}

// noHandler uses klime with all frameworks, and handles no signal.
func noHandler(ctx context.Context) error {
	signal.Reset() // undoes TestMain's
	client, err := newClient()
	if err != nil {
		return err
	}
	for _, router := range []func(context.Context, *klime.Client) http.Handler{netHTTPRouter, chiRouter, ginRouter} {
		_ = router(ctx, client)
	}
	_ = fiberApp(ctx, client, false)
	if err := client.Track(ctx, "App Started", nil, klime.ForUser("usr_1")); err != nil {
		return err
	}
	say("serves nothing")
	select {}
}

// child is a process that runs one of the apps.
type child struct {
	addr string
	cmd  *exec.Cmd
	gone chan error // gets the result when it has ended

	mu    sync.Mutex
	said  []string
	heard chan struct{} // closed, and replaced, when it prints a line
}

// start starts an app, and returns when it serves.
func start(t *testing.T, app string, env ...string) *child {
	t.Helper()
	c := launch(t, app, env...)
	c.addr = strings.TrimPrefix(c.await(t, "serves ", 1)[0], "serves ")
	return c
}

func launch(t *testing.T, app string, env ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe), gone: make(chan error, 1), heard: make(chan struct{})}
	c.cmd.Env = append(append(os.Environ(), appVariable+"="+app, addrVariable+"=127.0.0.1:0"), env...)
	c.cmd.Stderr = t.Output()
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }) // with its children
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.mu.Lock()
			c.said = append(c.said, lines.Text())
			close(c.heard)
			c.heard = make(chan struct{})
			c.mu.Unlock()
		}
		c.gone <- c.cmd.Wait()
	}()
	return c
}

// await returns the first n lines that have this beginning.
func (c *child) await(t *testing.T, beginning string, n int) []string {
	t.Helper()
	timeUp := time.After(time.Minute)
	for {
		c.mu.Lock()
		var lines []string
		for _, line := range c.said {
			if strings.HasPrefix(line, beginning) {
				lines = append(lines, line)
			}
		}
		heard := c.heard
		said := strings.Join(c.said, "\n")
		c.mu.Unlock()
		if len(lines) >= n {
			return lines[:n]
		}
		select {
		case <-heard:
		case err := <-c.gone:
			t.Fatalf("ended with %v before %q; it said:\n%s", err, beginning, said)
		case <-timeUp:
			t.Fatalf("no %d lines of %q in a minute; it said:\n%s", n, beginning, said)
		}
	}
}

// terminate sends SIGTERM, and returns how the process has ended. It waits longer than an
// orchestrator does, as a busy machine is slow: TestTimes adds up the parts of the 10 s.
func (c *child) terminate(t *testing.T) error {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-c.gone:
		return err
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
		t.Fatalf("still alive 30 s after SIGTERM: %v", <-c.gone)
		return nil
	}
}
