package klimetest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// The code that docs/testing.md shows.

// newRouter stands for the app of the guide.
func newRouter(client *klime.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports", func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": "revenue"})
		w.WriteHeader(http.StatusCreated)
	})
	return nethttp.Middleware(client)(nethttp.Link(whoIs)(mux))
}

func whoIs(r *http.Request) (klime.User, []klime.Group) {
	user, org, _ := r.BasicAuth()
	return klime.User{ID: user, Traits: klime.Traits{"name": "Jane Doe"}}, []klime.Group{{ID: org, Traits: klime.Traits{"name": "Acme Inc"}}}
}

func signIn(r *http.Request) { r.SetBasicAuth("user_123", "org_abc") }

func TestReportIsTracked(t *testing.T) {
	server := klimetest.NewServer(t)
	app := newRouter(server.Client())

	request := httptest.NewRequest(http.MethodPost, "/reports", http.NoBody)
	signIn(request) // as your tests do: there are no anonymous events
	app.ServeHTTP(httptest.NewRecorder(), request)

	events := server.Wait(4) // identify and group (from Link), the app's own event, and that of the request
	if e := events[2]; e.Event != "Report Generated" || e.UserID != "user_123" || e.GroupID != "org_abc" {
		t.Errorf("got %+v", e)
	}
	if e := events[3]; e.Event != "API Called" || e.Properties["route"] != "/reports" {
		t.Errorf("got %+v", e)
	}
}

func TestConfigOfYourOwn(t *testing.T) {
	server := klimetest.NewServer(t)
	cfg := server.Config()
	cfg.BeforeSend = func(e *klime.Event) bool { return e.UserID != "user_staff" }
	client, err := klime.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	for _, id := range []string{"user_staff", "user_123"} {
		err := client.Link(ctx, klime.User{ID: id}, klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}})
		if err != nil {
			t.Error(err)
		}
	}
	if err := client.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, customer := range server.Customers() {
		if got := fmt.Sprint(customer.ID, customer.Traits["name"], customer.Users); got != "org_abcAcme Inc[user_123]" {
			t.Error(got)
		}
	}
	if n := len(server.Customers()); n != 1 {
		t.Errorf("%d customers", n)
	}
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := klimetest.NewRecorder()
		client, err := klime.New(recorder.Config())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Shutdown(context.Background()) }) // a bubble must end without goroutines
		recorder.Fail(klimetest.Status(503), klimetest.RetryAfter(429, time.Minute), klimetest.Cut())

		if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("user_123")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // of the bubble: no time at all
		defer cancel()
		if err := client.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if len(recorder.Events()) != 1 || recorder.Repeated() != 1 {
			t.Errorf("%d events, %d came again", len(recorder.Events()), recorder.Repeated())
		}
	})
}

func TestNilClient(t *testing.T) {
	app := newRouter(nil)

	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/reports", http.NoBody))
	if answer.Code != http.StatusCreated {
		t.Error(answer.Code)
	}
}
