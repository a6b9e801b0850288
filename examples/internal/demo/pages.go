package demo

import (
	"embed"
	"html/template"
)

//go:embed templates/*.html
var templates embed.FS

// Templates returns the HTML pages: login.html, dashboard.html, reports.html,
// report.html, admin.html and error.html. Each is given a [Page].
func Templates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"plans": Plans,
		"types": ReportTypes,
	}).ParseFS(templates, "templates/*.html"))
}

// Page is what an HTML page shows.
type Page struct {
	Title   string
	Session Session
	Error   string   // login.html and error.html
	Reports []Report // dashboard.html and reports.html
	Report  Report   // report.html
	Orgs    []Org    // admin.html
}
