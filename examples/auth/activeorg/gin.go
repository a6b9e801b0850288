package activeorg

import (
	"net/http"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/ginklime"
)

// GinPath finds the company in the path. UNTRUSTED: see RequireMembership.
func GinPath(c *gin.Context) string { return c.Param("org") }

// GinSubdomain finds the company by its subdomain. UNTRUSTED: see
// RequireMembership.
func GinSubdomain(c *gin.Context) string {
	return accounts.OrgBySlug(klime.Subdomain(c.Request.Host, domain))
}

// GinHeader finds the company in a header. UNTRUSTED: see RequireMembership.
func GinHeader(c *gin.Context) string { return c.GetHeader(header) }

// Gin is an API on Gin, with one of the functions above.
func Gin(client *klime.Client, active func(*gin.Context) string) http.Handler {
	r := gin.New()
	r.Use(ginklime.Middleware(client, ginklime.GroupID(active), klime.RequireMembership()))
	r.Use(ginAuthenticate)
	r.Use(ginklime.Link(func(c *gin.Context) (klime.User, []klime.Group) { return ginUser(c).Klime() }))
	r.GET("/orgs/:org/reports", func(c *gin.Context) { c.Status(http.StatusOK) })
	r.GET("/orgs/:org/billing", func(c *gin.Context) { c.Status(http.StatusForbidden) })
	r.GET("/orgs/:org/reports/:id", func(c *gin.Context) { c.Status(http.StatusNotFound) })
	return r
}

func ginUser(c *gin.Context) accounts.User {
	user, _ := c.Get("user")
	found, _ := user.(accounts.User)
	return found
}

func ginAuthenticate(c *gin.Context) {
	name, password, _ := c.Request.BasicAuth()
	user, ok := accounts.SignIn(name, password)
	if !ok {
		c.AbortWithStatus(http.StatusUnauthorized)
		return
	}
	c.Set("user", user)
}
