package ginklime_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// Middleware records every page and API call. Link, after the authentication, says
// whose they are.
func ExampleMiddleware() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	r := gin.New()
	r.Use(gin.Recovery(), ginklime.Middleware(client))
	r.Use(auth, ginklime.Link(func(c *gin.Context) (klime.User, []klime.Group) {
		return klime.User{ID: c.GetString("user")}, []klime.Group{{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}}}
	}))
	r.POST("/orgs/:org/reports", func(c *gin.Context) {
		klime.Track(c, "Report Generated", klime.Properties{"reportType": "revenue"})
		c.Status(http.StatusCreated)
	})
	visit(r, http.MethodPost, "/orgs/acme/reports")
	finish(client, recorder)
	// Output:
	// group  user_123 org_abc <nil>
	// track Report Generated user_123 org_abc <nil>
	// track API Called user_123 org_abc /orgs/{org}/reports
}

// If a session says who is signed in, and for which company, options read it after
// the handler.
func ExampleUserID() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	r := gin.New()
	r.Use(ginklime.Middleware(client,
		ginklime.UserID(func(c *gin.Context) string { return c.GetString("user") }), // "" means no user
		ginklime.GroupID(func(*gin.Context) string { return "org_abc" })))
	r.GET("/reports/:id", auth, func(c *gin.Context) { c.JSON(http.StatusOK, "a report") })
	visit(r, http.MethodGet, "/reports/7")
	finish(client, recorder)
	// Output: track API Called user_123 org_abc /reports/{id}
}

// An event can be named where its route is registered.
func ExampleEvent() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	r := gin.New()
	r.Use(ginklime.Middleware(client), auth, func(c *gin.Context) { klime.SetUser(c, c.GetString("user")) })
	r.POST("/reports", ginklime.Event("Report Generated"), func(c *gin.Context) { c.Status(http.StatusCreated) })
	r.POST("/autosave", ginklime.Skip(), func(c *gin.Context) { c.Status(http.StatusNoContent) })
	visit(r, http.MethodPost, "/reports")
	visit(r, http.MethodPost, "/autosave")
	finish(client, recorder)
	// Output: track Report Generated user_123  /reports
}

// auth stands in for an app's authentication.
func auth(c *gin.Context) { c.Set("user", "user_123") }

func visit(handler http.Handler, method, path string) {
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, http.NoBody))
}

// finish shuts the client down and prints what Klime has received.
func finish(client *klime.Client, recorder *klimetest.Recorder) {
	if err := client.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, e := range recorder.Events() {
		fmt.Println(e.Type, e.Event, e.UserID, e.GroupID, e.Properties["route"])
	}
}
