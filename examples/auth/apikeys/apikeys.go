// Package apikeys holds recipes for programs that call with a company's API key. There
// is no user: the events are of the company itself.
//
// For a company without a user, the app must call klime.SetGroup once it has checked the
// key. From a GroupID option the company would be a claim, which does not count without
// a user.
package apikeys

import (
	"crypto/sha256"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/nethttp"
)

// Keys finds the company of an API key by its hash: the app does not keep the
// keys themselves.
type Keys map[[sha256.Size]byte]accounts.Org

// Find returns the company of a key.
func (k Keys) Find(key string) (accounts.Org, bool) {
	org, ok := k[sha256.Sum256([]byte(key))]
	return org, ok
}

const (
	header  = "X-Api-Key"
	refusal = "no such key"
)

// NetHTTP is an API on net/http, and so for chi.
func NetHTTP(client *klime.Client, keys Keys) http.Handler {
	requireKey := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			org, ok := keys.Find(r.Header.Get(header))
			if !ok {
				http.Error(w, refusal, http.StatusUnauthorized)
				return
			}
			klime.SetGroup(r.Context(), org.ID.String())
			next(w, r)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /imports", requireKey(func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Data Imported", klime.Properties{"rows": 3})
		w.WriteHeader(http.StatusAccepted)
	}))
	return nethttp.Middleware(client)(mux)
}

// Gin is an API on Gin.
func Gin(client *klime.Client, keys Keys) http.Handler {
	requireKey := func(c *gin.Context) {
		org, ok := keys.Find(c.GetHeader(header))
		if !ok {
			c.String(http.StatusUnauthorized, refusal)
			c.Abort()
			return
		}
		klime.SetGroup(c, org.ID.String())
	}
	r := gin.New()
	r.Use(ginklime.Middleware(client), requireKey)
	r.POST("/imports", func(c *gin.Context) {
		klime.Track(c, "Data Imported", klime.Properties{"rows": 3})
		c.Status(http.StatusAccepted)
	})
	return r
}

// Fiber is an API on Fiber.
func Fiber(client *klime.Client, keys Keys) *fiber.App {
	requireKey := func(c *fiber.Ctx) error {
		org, ok := keys.Find(c.Get(header))
		if !ok {
			return fiber.NewError(fiber.StatusUnauthorized, refusal)
		}
		klime.SetGroup(c.UserContext(), org.ID.String())
		return c.Next()
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(client), requireKey)
	app.Post("/imports", func(c *fiber.Ctx) error {
		klime.Track(c.UserContext(), "Data Imported", klime.Properties{"rows": 3})
		return c.SendStatus(fiber.StatusAccepted)
	})
	return app
}
