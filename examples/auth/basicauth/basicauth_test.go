package basicauth_test

import (
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/examples/auth/basicauth"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
)

func TestBasicAuth(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	t.Parallel()
	tests := map[string]func(*testing.T) *authtest.Site{
		"chi":   func(t *testing.T) *authtest.Site { return authtest.Serve(t, basicauth.Chi) },
		"Gin":   func(t *testing.T) *authtest.Site { return authtest.Serve(t, basicauth.Gin) },
		"Fiber": func(t *testing.T) *authtest.Site { return authtest.ServeFiber(t, basicauth.Fiber) },
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := serve(t)
			site.Visit("GET", "/reports", 401)
			site.Visit("GET", "/reports", 401, authtest.Basic("jane@acme.example", "wrong"))
			site.Visit("GET", "/reports", 401, authtest.Basic("nobody@acme.example", accounts.Password))
			site.Visit("GET", "/reports", 200, authtest.Basic("jane@acme.example", accounts.Password))
			site.WantTold(
				"identify 1001 email=jane@acme.example name=Jane",
				"group acme of 1001 name=Acme Robotics",
				"API Called by 1001 in acme: GET /reports 200",
			)
		})
	}
}
