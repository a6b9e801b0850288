package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
)

type handlers struct {
	app   *demo.App
	klime *klime.Client
}

const sessionKey = "session"

// session returns what authenticate has found. It is zero if nobody is signed in.
func session(c *gin.Context) demo.Session {
	value, _ := c.Get(sessionKey)
	s, _ := value.(demo.Session)
	return s
}

func (h *handlers) requireCustomer(c *gin.Context) {
	switch s := session(c); {
	case !s.SignedIn():
		c.Redirect(http.StatusSeeOther, "/login")
		c.Abort()
	case s.User.Staff:
		c.Redirect(http.StatusSeeOther, s.Home())
		c.Abort()
	}
}

func (h *handlers) requireStaff(c *gin.Context) {
	if !session(c).User.Staff {
		failPage(c, demo.ErrForbidden)
	}
}

func failPage(c *gin.Context, err error) {
	c.HTML(demo.Status(err), "error.html", demo.Page{Title: "That did not work", Session: session(c), Error: err.Error()})
	c.Abort()
}

func failAPI(c *gin.Context, err error) {
	c.AbortWithStatusJSON(demo.Status(err), gin.H{"error": err.Error()})
}

func (h *handlers) loginPage(c *gin.Context) {
	c.HTML(http.StatusOK, "login.html", demo.Page{Title: "Sign in"})
}

func (h *handlers) logout(c *gin.Context) {
	http.SetCookie(c.Writer, demo.SignOutCookie())
	c.Redirect(http.StatusSeeOther, "/login")
}

func (h *handlers) dashboard(c *gin.Context) {
	s := session(c)
	reports := h.app.Reports(s.Org.ID)
	reports = reports[:min(len(reports), 5)]
	c.HTML(http.StatusOK, "dashboard.html", demo.Page{Title: "Hello " + s.User.Name, Session: s, Reports: reports})
}

func (h *handlers) reportsPage(c *gin.Context) {
	s := session(c)
	c.HTML(http.StatusOK, "reports.html", demo.Page{Title: "Reports", Session: s, Reports: h.app.Reports(s.Org.ID)})
}

func (h *handlers) reportPage(c *gin.Context) {
	s := session(c)
	report, err := h.app.Report(s.Org.ID, c.Param("id"))
	if err != nil {
		failPage(c, err)
		return
	}
	c.HTML(http.StatusOK, "report.html", demo.Page{Title: "Report " + report.ID, Session: s, Report: report})
}

func (h *handlers) adminPage(c *gin.Context) {
	c.HTML(http.StatusOK, "admin.html", demo.Page{Title: "Companies", Session: session(c), Orgs: h.app.Orgs()})
}

func (h *handlers) apiReports(c *gin.Context) {
	c.JSON(http.StatusOK, h.app.Reports(c.Param("org")))
}

func (h *handlers) apiReport(c *gin.Context) {
	report, err := h.app.Report(c.Param("org"), c.Param("id"))
	if err != nil {
		failAPI(c, err)
		return
	}
	c.JSON(http.StatusOK, report)
}

func (h *handlers) apiExport(c *gin.Context) {
	csv, err := h.app.ExportReport(c.Param("org"), c.Param("id"))
	if err != nil {
		failAPI(c, err) // now and then it fails: an "API Called" with status 500, not a "Report Exported"
		return
	}
	c.Data(http.StatusOK, "text/csv; charset=utf-8", csv)
}
