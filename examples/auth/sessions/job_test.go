package sessions_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/alexedwards/scs/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/internal/authtest"
	"github.com/klimeapp/klime-go/nethttp"
)

// A job that goes on after its request says whose its events are, if the handler changes
// that.
func TestJobs(t *testing.T) {
	t.Parallel()
	session := scs.New()
	session.Cookie.Secure = true
	put := func(ctx context.Context, user int, org string) {
		session.Put(ctx, "user", user)
		session.Put(ctx, "org", org)
	}
	ended := make(chan struct{})
	var jobs sync.WaitGroup
	start := func(ctx context.Context, event string) {
		user, org := strconv.Itoa(session.GetInt(ctx, "user")), session.GetString(ctx, "org")
		ctx = context.WithoutCancel(ctx)
		jobs.Go(func() {
			<-ended
			klime.Track(ctx, event, nil, klime.ForUser(user), klime.InGroup(org))
			if event != "Data Deleted" { // of which nobody would be known
				klime.Track(ctx, event+" by default", nil)
			}
		})
	}
	site := authtest.Serve(t, func(client *klime.Client) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) { put(r.Context(), 1002, "acme") })
		mux.HandleFunc("POST /switch", func(_ http.ResponseWriter, r *http.Request) {
			start(r.Context(), "Report Exported")
			put(r.Context(), 1002, "cobalt")
		})
		mux.HandleFunc("POST /become", func(_ http.ResponseWriter, r *http.Request) {
			start(r.Context(), "Draft Saved")
			put(r.Context(), 1003, "harbor")
			klime.SetUser(r.Context(), "1003")
		})
		mux.HandleFunc("POST /leave", func(_ http.ResponseWriter, r *http.Request) {
			start(r.Context(), "Data Deleted")
			if err := session.Destroy(r.Context()); err != nil {
				t.Error(err)
			}
		})
		record := nethttp.Middleware(client,
			nethttp.UserID(func(r *http.Request) int { return session.GetInt(r.Context(), "user") }),
			nethttp.GroupID(func(r *http.Request) string { return session.GetString(r.Context(), "org") }))
		return session.LoadAndSave(record(mux))
	})
	for _, path := range []string{"/login", "/switch", "/become", "/leave"} {
		site.Visit(http.MethodPost, path, http.StatusOK)
		if path != "/login" {
			ended <- struct{}{}
			jobs.Wait()
		}
	}
	site.WantTold(
		"API Called by 1002 in acme: POST /login 200",
		"API Called by 1002 in cobalt: POST /switch 200",
		"Report Exported by 1002 in acme",
		"Report Exported by default by 1002 in cobalt",
		"API Called by 1003 in harbor: POST /become 200",
		"Draft Saved by 1002 in cobalt",
		"Draft Saved by default by 1003 in harbor",
		"Data Deleted by 1003 in harbor",
	)
}
