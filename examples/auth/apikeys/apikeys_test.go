package apikeys_test

import (
	"crypto/sha256"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/examples/auth/apikeys"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
)

func TestAPIKeys(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	t.Parallel()
	keys := apikeys.Keys{
		sha256.Sum256([]byte("key of acme")):   accounts.Acme(),
		sha256.Sum256([]byte("key of cobalt")): accounts.Cobalt(),
	}
	handler := func(recipe func(*klime.Client, apikeys.Keys) http.Handler) func(*testing.T) *authtest.Site {
		return func(t *testing.T) *authtest.Site {
			return authtest.Serve(t, func(c *klime.Client) http.Handler { return recipe(c, keys) })
		}
	}
	tests := map[string]func(*testing.T) *authtest.Site{
		"net/http": handler(apikeys.NetHTTP),
		"Gin":      handler(apikeys.Gin),
		"Fiber": func(t *testing.T) *authtest.Site {
			return authtest.ServeFiber(t, func(c *klime.Client) *fiber.App { return apikeys.Fiber(c, keys) })
		},
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := serve(t)
			site.Visit("POST", "/imports", 401)
			site.Visit("POST", "/imports", 401, authtest.Header("X-Api-Key", "forged"))
			site.Visit("POST", "/imports", 202, authtest.Header("X-Api-Key", "key of acme"))
			site.Visit("POST", "/imports", 202, authtest.Header("X-Api-Key", "key of cobalt"))
			site.WantTold(
				"Data Imported by - in acme",
				"API Called by - in acme: POST /imports 202",
				"Data Imported by - in cobalt",
				"API Called by - in cobalt: POST /imports 202",
			)
		})
	}
}
