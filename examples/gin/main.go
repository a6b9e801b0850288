// The gin example is Sundial, a small reporting product whose customers are
// companies, with Klime built in: run it, and see who uses it, and how.
//
//	go run ./examples/gin
//
// It needs no key: without KLIME_WRITE_KEY it sends to a local Klime that it runs itself.
// This file has all that a Gin app does with klime. Handlers that do not use klime
// are in handlers.go.
package main

import (
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/ginklime"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	// Main serves until Ctrl-C or SIGTERM. Then it calls srv.Shutdown, and after
	// that client.Shutdown, so that the events of the last requests are sent too.
	os.Exit(demo.Main("gin", newServer))
}

// newServer builds the app. Your own app makes its client with
// klime.New(klime.FromEnv()). Here cfg is the same, or points to the local Klime.
func newServer(app *demo.App, cfg klime.Config) (*http.Server, *klime.Client, error) {
	client, err := klime.New(cfg)
	if err != nil {
		// A real app would log err and go on: client is nil now, and a nil client
		// does nothing, everywhere.
		return nil, nil, err
	}
	handler := http.MaxBytesHandler(newRouter(app, client), demo.MaxBody)
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, client, nil
}

func newRouter(app *demo.App, client *klime.Client) http.Handler {
	h := &handlers{app: app, klime: client}
	r := gin.New()
	r.SetHTMLTemplate(demo.Templates())
	r.Use(gin.Recovery())
	// The one line that records every page and API call. The two functions are
	// called after the handlers, when h.authenticate has found the session.
	r.Use(ginklime.Middleware(client,
		ginklime.UserID(func(c *gin.Context) string { return session(c).User.ID }),
		ginklime.GroupID(func(c *gin.Context) string { return session(c).Org.ID })))
	r.Use(h.authenticate)

	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok") }) // a health check, not recorded
	r.GET("/login", h.loginPage)
	r.POST("/login", ginklime.Event("User Signed In"), h.login) // in place of "API Called"
	r.POST("/logout", h.logout)
	r.POST("/webhooks/billing", ginklime.Skip(), h.billing) // called by a machine: no customer's usage

	pages := r.Group("/", h.requireCustomer)
	pages.GET("/", h.dashboard)
	pages.GET("/reports", h.reportsPage)
	pages.GET("/reports/:id", h.reportPage)
	pages.POST("/reports", h.generate)
	pages.POST("/switch", h.switchOrg)

	api := r.Group("/api/orgs/:org", h.requireMember)
	api.GET("/reports", h.apiReports)
	api.POST("/reports", h.apiGenerate)
	api.GET("/reports/:id", h.apiReport)
	api.GET("/reports/:id/export", ginklime.Event("Report Exported"), h.apiExport)

	admin := r.Group("/admin", h.requireStaff)
	admin.GET("", h.adminPage)
	admin.POST("/orgs/:org", h.adminUpdate)
	return r
}

// authenticate finds out who makes the request, if anybody is signed in.
func (h *handlers) authenticate(c *gin.Context) {
	cookie, err := c.Cookie(demo.SessionCookie)
	if err != nil {
		return
	}
	s, err := h.app.Session(cookie)
	if err != nil {
		return
	}
	if s.User.Staff {
		klime.Skip(c) // our own staff are no customers: no automatic event
	}
	c.Set(sessionKey, s)
}

// login links the user to their companies. From here on Klime knows both, and all
// that the user does counts for the companies. Link may be called as often as is
// convenient, even for every request: each fact is sent once.
func (h *handlers) login(c *gin.Context) {
	s, cookie, err := h.app.SignIn(c.PostForm("email"), c.PostForm("password"))
	if err != nil {
		c.HTML(demo.Status(err), "login.html", demo.Page{Title: "Sign in", Error: err.Error()})
		return
	}
	if s.User.Staff {
		klime.Skip(c)
	} else {
		klime.Link(c, klime.User{ID: s.User.ID, Traits: klime.Traits{
			"email": s.User.Email, "name": s.User.Name, "createdAt": s.User.Since,
		}}, demo.Groups(s.Orgs)...)
		klime.SetGroup(c, s.Org.ID) // if there are several companies, the one they start in
	}
	http.SetCookie(c.Writer, cookie)
	c.Redirect(http.StatusSeeOther, s.Home())
}

// switchOrg is for users of several companies. The request begins in one and ends in
// another: SetGroup says for which it counts.
func (h *handlers) switchOrg(c *gin.Context) {
	s, cookie, err := h.app.Switch(session(c), c.PostForm("org"))
	if err != nil {
		failPage(c, err)
		return
	}
	klime.SetGroup(c, s.Org.ID)
	http.SetCookie(c.Writer, cookie)
	c.Redirect(http.StatusSeeOther, s.Home())
}

// requireMember lets a user into the company that the path names. It may differ from
// the session's company, so SetGroup names it, once it is checked.
func (h *handlers) requireMember(c *gin.Context) {
	s := session(c)
	if !s.SignedIn() {
		failAPI(c, demo.ErrSignedOut)
		return
	}
	org, err := s.Enter(c.Param("org"))
	if err != nil {
		failAPI(c, err)
		return
	}
	klime.SetGroup(c, org.ID)
}

// generate tracks what the customer came for. Klime takes user and company from the
// request.
func (h *handlers) generate(c *gin.Context) {
	s := session(c)
	report, err := h.app.GenerateReport(s.Org.ID, c.PostForm("type"), s.User)
	if err != nil {
		failPage(c, err)
		return
	}
	klime.Track(c, "Report Generated", klime.Properties{"reportType": report.Type, "via": "web"})
	c.Redirect(http.StatusSeeOther, "/reports/"+report.ID)
}

func (h *handlers) apiGenerate(c *gin.Context) {
	var input struct {
		Type string `json:"type"`
	}
	if err := c.ShouldBindJSON(&input); err != nil {
		failAPI(c, demo.ErrInvalid)
		return
	}
	report, err := h.app.GenerateReport(c.Param("org"), input.Type, session(c).User)
	if err != nil {
		failAPI(c, err)
		return
	}
	klime.Track(c, "Report Generated", klime.Properties{"reportType": report.Type, "via": "api"})
	c.JSON(http.StatusCreated, report)
}

// adminUpdate lets staff edit a customer. Group takes nothing from the request: the
// customer's traits change, and the staff do not become its users.
func (h *handlers) adminUpdate(c *gin.Context) {
	org, err := h.app.UpdateOrg(c.Param("org"), c.PostForm("name"), c.PostForm("plan"))
	if err != nil {
		failPage(c, err)
		return
	}
	demo.Warn(h.klime.Group(c, org.ID, demo.Traits(org)))
	c.Redirect(http.StatusSeeOther, "/admin")
}

// billing is a webhook. There is no user, so the event is of the company itself.
func (h *handlers) billing(c *gin.Context) {
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		failAPI(c, demo.ErrInvalid)
		return
	}
	org, err := h.app.ChangePlan(body, c.GetHeader(demo.BillingSignature))
	if err != nil {
		failAPI(c, err)
		return
	}
	demo.Warn(h.klime.Group(c, org.ID, klime.Traits{"plan": org.Plan}))
	demo.Warn(h.klime.Track(c, "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)))
	c.Status(http.StatusNoContent)
}
