package fiber3klime_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/klimeapp/klime-go/examples/fiber3/fiber3klime"
	"github.com/klimeapp/klime-go/klimetest"
)

// An app that was built anew for a change of its routes, and dropped, is not kept.
func TestAppsBuiltAnew(t *testing.T) {
	t.Parallel()
	const built, most = 1000, 300
	ours := fiber3klime.Middleware(klimetest.NewServer(t).Client())
	defer func() { runtime.KeepAlive(ours) }()
	var dropped atomic.Int64
	for range built {
		app := fiber.New()
		runtime.AddCleanup(app, func(int) { dropped.Add(1) }, 0)
		app.Use(ours, func(c fiber.Ctx) error { return c.SendStatus(http.StatusForbidden) })
		app.Get("/orgs/:org", func(c fiber.Ctx) error { return c.SendStatus(http.StatusOK) })
		resp, err := app.Test(httptest.NewRequest(http.MethodGet, "/orgs/a", http.NoBody))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	for range 200 {
		runtime.GC()
		if dropped.Load() >= built-most {
			return
		}
		runtime.Gosched() // cleanups run in a goroutine of their own
	}
	t.Errorf("%d of %d apps were dropped", dropped.Load(), built)
}
