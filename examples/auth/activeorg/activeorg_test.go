package activeorg_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/examples/auth/activeorg"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
)

// request returns the path of a request, and how the request names a company besides.
type request func(org accounts.Org) (path string, named authtest.Change)

func byPath(org accounts.Org) (string, authtest.Change) {
	return "/orgs/" + org.ID.String(), func(*http.Request) {}
}

func bySubdomain(org accounts.Org) (string, authtest.Change) {
	return "/orgs/any", authtest.Host(org.Slug + ".reports.example")
}

func byHeader(org accounts.Org) (string, authtest.Change) {
	return "/orgs/any", authtest.Header("X-Org-Id", org.ID.String())
}

func on[F any](recipe func(*klime.Client, F) http.Handler, active F) func(*testing.T) *authtest.Site {
	return func(t *testing.T) *authtest.Site {
		return authtest.Serve(t, func(c *klime.Client) http.Handler { return recipe(c, active) })
	}
}

func onFiber(active func(*fiber.Ctx) string) func(*testing.T) *authtest.Site {
	return func(t *testing.T) *authtest.Site {
		return authtest.ServeFiber(t, func(c *klime.Client) *fiber.App { return activeorg.Fiber(c, active) })
	}
}

func TestActiveOrg(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	t.Parallel()
	tests := map[string]struct {
		serve func(*testing.T) *authtest.Site
		ask   request
	}{
		"net/http, path":      {on(activeorg.NetHTTP, activeorg.NetHTTPPath), byPath},
		"net/http, subdomain": {on(activeorg.NetHTTP, activeorg.NetHTTPSubdomain), bySubdomain},
		"net/http, header":    {on(activeorg.NetHTTP, activeorg.NetHTTPHeader), byHeader},
		"chi, path":           {on(activeorg.Chi, activeorg.ChiPath), byPath},
		"chi, subdomain":      {on(activeorg.Chi, activeorg.NetHTTPSubdomain), bySubdomain},
		"chi, header":         {on(activeorg.Chi, activeorg.NetHTTPHeader), byHeader},
		"Gin, path":           {on(activeorg.Gin, activeorg.GinPath), byPath},
		"Gin, subdomain":      {on(activeorg.Gin, activeorg.GinSubdomain), bySubdomain},
		"Gin, header":         {on(activeorg.Gin, activeorg.GinHeader), byHeader},
		"Fiber, path":         {onFiber(activeorg.FiberPath), byPath},
		"Fiber, subdomain":    {onFiber(activeorg.FiberSubdomain), bySubdomain},
		"Fiber, header":       {onFiber(activeorg.FiberHeader), byHeader},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := test.serve(t)
			visit := func(org accounts.Org, page string, want int, who ...authtest.Change) {
				t.Helper()
				path, named := test.ask(org)
				site.Visit("GET", path+page, want, append(who, named)...)
			}
			jane := authtest.Basic("jane@acme.example", accounts.Password)
			alex := authtest.Basic("alex@agency.example", accounts.Password)

			// Requests without a password, and with a wrong one.
			visit(accounts.Acme(), "/reports", 401)
			visit(accounts.Acme(), "/reports", 401, authtest.Basic("jane@acme.example", "wrong"))

			// Alex belongs to Acme and Cobalt.
			visit(accounts.Acme(), "/reports", 200, alex)
			visit(accounts.Cobalt(), "/reports", 200, alex)

			// Alex, and Jane, who belongs only to Acme, forge activity of Harbor.
			visit(accounts.Harbor(), "/reports", 200, alex)
			visit(accounts.Harbor(), "/billing", 403, alex)
			visit(accounts.Harbor(), "/reports/1", 404, alex)
			visit(accounts.Harbor(), "/reports", 200, jane)

			// If the app refuses the request, even the user's own company is only a claim.
			visit(accounts.Cobalt(), "/billing", 403, alex)

			const route = "GET /orgs/{org}/reports"
			site.WantTold(
				"identify 1002 email=alex@agency.example name=Alex",
				"group acme of 1002 name=Acme Robotics",
				"group cobalt of 1002 name=Cobalt Health",
				"API Called by 1002 in acme: "+route+" 200",
				"API Called by 1002 in cobalt: "+route+" 200",
				"API Called by 1002 in -: "+route+" 200",
				"API Called by 1002 in -: GET /orgs/{org}/billing 403",
				"API Called by 1002 in -: "+route+"/{id} 404",
				"identify 1001 email=jane@acme.example name=Jane",
				"group acme of 1001 name=Acme Robotics",
				"API Called by 1001 in acme: "+route+" 200", // her only company, whatever the request says
				"API Called by 1002 in -: GET /orgs/{org}/billing 403",
			)
		})
	}
}
