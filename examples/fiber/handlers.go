package main

import (
	"errors"
	"html/template"
	"io"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
)

type handlers struct {
	app   *demo.App
	klime *klime.Client
}

const sessionKey = "session"

// session returns what authenticate has found. It is zero if nobody is signed in.
func session(c *fiber.Ctx) demo.Session {
	s, _ := c.Locals(sessionKey).(demo.Session)
	return s
}

// views are the HTML pages for c.Render.
type views struct{ templates *template.Template }

func (v views) Load() error { return nil }

func (v views) Render(w io.Writer, name string, page any, _ ...string) error {
	return v.templates.ExecuteTemplate(w, name, page)
}

// fail is the app's ErrorHandler: it answers if a handler has returned an error, or if
// there is no such path.
func fail(c *fiber.Ctx, err error) error {
	c.Status(demo.Status(err))
	var e *fiber.Error
	if errors.As(err, &e) {
		c.Status(e.Code)
	}
	if strings.HasPrefix(c.Path(), "/api/") || strings.HasPrefix(c.Path(), "/webhooks/") {
		return c.JSON(fiber.Map{"error": err.Error()})
	}
	return c.Render("error.html", demo.Page{Title: "That did not work", Session: session(c), Error: err.Error()})
}

func (h *handlers) requireCustomer(c *fiber.Ctx) error {
	switch s := session(c); {
	case !s.SignedIn():
		return c.Redirect("/login", http.StatusSeeOther)
	case s.User.Staff:
		return c.Redirect(s.Home(), http.StatusSeeOther)
	default:
		return c.Next()
	}
}

func (h *handlers) requireStaff(c *fiber.Ctx) error {
	if !session(c).User.Staff {
		return demo.ErrForbidden
	}
	return c.Next()
}

func setCookie(c *fiber.Ctx, cookie *http.Cookie) {
	c.Response().Header.Add(fiber.HeaderSetCookie, cookie.String())
}

func (h *handlers) loginPage(c *fiber.Ctx) error {
	return c.Render("login.html", demo.Page{Title: "Sign in"})
}

func (h *handlers) logout(c *fiber.Ctx) error {
	setCookie(c, demo.SignOutCookie())
	return c.Redirect("/login", http.StatusSeeOther)
}

func (h *handlers) dashboard(c *fiber.Ctx) error {
	s := session(c)
	reports := h.app.Reports(s.Org.ID)
	return c.Render("dashboard.html", demo.Page{
		Title: "Hello " + s.User.Name, Session: s, Reports: reports[:min(len(reports), 5)],
	})
}

func (h *handlers) reportsPage(c *fiber.Ctx) error {
	s := session(c)
	return c.Render("reports.html", demo.Page{Title: "Reports", Session: s, Reports: h.app.Reports(s.Org.ID)})
}

func (h *handlers) reportPage(c *fiber.Ctx) error {
	s := session(c)
	report, err := h.app.Report(s.Org.ID, c.Params("id"))
	if err != nil {
		return err
	}
	return c.Render("report.html", demo.Page{Title: "Report " + report.ID, Session: s, Report: report})
}

func (h *handlers) adminPage(c *fiber.Ctx) error {
	return c.Render("admin.html", demo.Page{Title: "Companies", Session: session(c), Orgs: h.app.Orgs()})
}

func (h *handlers) apiReports(c *fiber.Ctx) error {
	return c.JSON(h.app.Reports(c.Params("org")))
}

func (h *handlers) apiReport(c *fiber.Ctx) error {
	report, err := h.app.Report(c.Params("org"), c.Params("id"))
	if err != nil {
		return err
	}
	return c.JSON(report)
}

func (h *handlers) apiExport(c *fiber.Ctx) error {
	csv, err := h.app.ExportReport(c.Params("org"), c.Params("id"))
	if err != nil {
		return err // now and then it fails: an "API Called" with status 500, not a "Report Exported"
	}
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	return c.Send(csv)
}
