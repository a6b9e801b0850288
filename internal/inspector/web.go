package inspector

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"slices"
)

//go:embed web
var files embed.FS

// web holds the parsed templates of the pages, and the files that pages load.
type web struct {
	templates *template.Template
	assets    map[string]asset
}

type asset struct {
	content []byte
	typ     string
}

func newWeb() *web {
	css, _ := files.ReadFile("web/app.css") // cannot fail: the files are embedded
	js, _ := files.ReadFile("web/app.js")
	sum := sha256.Sum256(slices.Concat(css, js))
	version := hex.EncodeToString(sum[:6])
	templates := template.New("").Funcs(template.FuncMap{
		"assetVersion": func() string { return version },
		"bytes":        bytesOf,
		"clock":        clock,
		"columns":      columns,
		"highest":      highest,
		"millis":       millis,
		"number":       number,
		"percent":      percent,
		"plural":       plural,
		"share":        share,
		"show":         show,
		"text":         func(n int, s string) string { return visible(n, s, true) },
		"userLink":     userLink,
		"customerLink": customerLink,
		"eventsLink":   eventsLink,
		"handle":       handle,
	})
	return &web{
		templates: template.Must(templates.ParseFS(files, "web/*.html")),
		assets:    map[string]asset{"app.css": {css, "text/css; charset=utf-8"}, "app.js": {js, "text/javascript; charset=utf-8"}},
	}
}

// asset serves a file. It may be cached for ever, as pages give its URL with a version.
func (w *web) asset(out http.ResponseWriter, r *http.Request) {
	file, ok := w.assets[r.PathValue("file")]
	if !ok {
		http.NotFound(out, r)
		return
	}
	out.Header().Set("Content-Type", file.typ)
	out.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	_, _ = out.Write(file.content)
}

// render writes a complete page, or an error.
func (w *web) render(out http.ResponseWriter, status int, name string, data any) {
	var html bytes.Buffer
	if err := w.templates.ExecuteTemplate(&html, name, data); err != nil {
		http.Error(out, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	out.WriteHeader(status)
	_, _ = html.WriteTo(out)
}
