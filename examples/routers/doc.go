// Package routers shows klime with routers that are built on net/http and have no
// adapter of their own: nethttp records, and an option tells it the route. An app needs
// only what one of the functions shows.
package routers

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// user stands in for a session that the app has checked.
func user() klime.Option {
	return nethttp.UserID(func(r *http.Request) string { return r.Header.Get("X-User") })
}

func showReport(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
