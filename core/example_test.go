package klime_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// A client that could not be made is nil, and a nil client does nothing: the
// app runs without analytics.
func ExampleNew() {
	client, err := klime.New(klime.Config{})
	if errors.Is(err, klime.ErrMissingWriteKey) {
		fmt.Println("no analytics:", err)
	}
	fmt.Println(client.Track(context.Background(), "Report Generated", nil, klime.ForUser("user_123")))
	// Output:
	// no analytics: klime: missing write key
	// <nil>
}

// In most apps KLIME_WRITE_KEY is the whole configuration. What is set in the
// environment may be changed before the client is made.
func ExampleFromEnv() {
	cfg := klime.FromEnv()
	cfg.WriteKey = "your-write-key"
	cfg.FlushInterval = 5 * time.Second
	client, err := klime.New(cfg)
	if err != nil {
		log.Print("no analytics: ", err)
	}
	// … serve, and at the end:
	if err := client.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	// Output:
}

// Outside of a request an event names its user, or its group, or both.
func ExampleClient_Track() {
	var client *klime.Client // made by klime.New when the app starts
	ctx := context.Background()

	// A user's event, in one of the groups that the user belongs to.
	err := client.Track(ctx, "Report Generated", klime.Properties{"reportType": "revenue"},
		klime.ForUser("user_123"), klime.InGroup("org_abc"))
	if err != nil {
		log.Print(err)
	}

	// An organisation's event, such as a nightly job's. The message ID keeps it
	// from being counted twice when the job runs again.
	err = client.Track(ctx, "Invoice Paid", klime.Properties{"amount": 99.5},
		klime.ForGroup("org_abc"), klime.WithMessageID("invoice-2026-11-42"))
	if err != nil {
		log.Print(err)
	}
	// Output:
}

func ExampleClient_Identify() {
	var client *klime.Client // made by klime.New when the app starts

	traits := klime.Traits{"email": "jane@acme.com", "name": "Jane"}
	if err := client.Identify(context.Background(), "user_123", traits); err != nil {
		log.Print(err)
	}
	// Output:
}

func ExampleClient_Group() {
	var client *klime.Client // made by klime.New when the app starts
	ctx := context.Background()

	// A webhook tells that a company has changed its plan.
	if err := client.Group(ctx, "org_abc", klime.Traits{"plan": "pro"}); err != nil {
		log.Print(err)
	}

	// A user has joined a company.
	if err := client.Group(ctx, "org_abc", nil, klime.ForUser("user_456")); err != nil {
		log.Print(err)
	}
	// Output:
}

// Is the key good, and is Klime there? That makes a good log line at the
// start; events are kept and sent later in any case.
func ExampleClient_Ping() {
	var client *klime.Client // made by klime.New when the app starts

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var failure *klime.DeliveryError
	if err := client.Ping(ctx); errors.As(err, &failure) && !failure.Temporary() {
		log.Print("check KLIME_WRITE_KEY: ", err)
	}
	// Output:
}

// Link may stand in front of every request: it sends only what is new.
func ExampleLink() {
	mux := http.NewServeMux() // behind a middleware of this library
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// … check the password …
		klime.Link(r.Context(),
			klime.User{ID: "user_123", Traits: klime.Traits{"email": "jane@acme.com", "name": "Jane"}},
			klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc", "plan": "pro"}})
		w.WriteHeader(http.StatusNoContent)
	})
	// Output:
}

// In a handler behind a middleware, user and group are those of the request.
func ExampleTrack() {
	mux := http.NewServeMux() // behind a middleware of this library
	mux.HandleFunc("POST /reports", func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": "revenue"})
		w.WriteHeader(http.StatusCreated)
	})
	// Output:
}

// Staff who look at a customer's account are not that customer.
func ExampleSilence() {
	isStaff := func(*http.Request) bool { return true } // the app knows
	mux := http.NewServeMux()                           // behind a middleware of this library
	mux.HandleFunc("GET /dashboard", func(w http.ResponseWriter, r *http.Request) {
		if isStaff(r) {
			klime.Silence(r.Context())
		}
		w.WriteHeader(http.StatusOK)
	})
	// Output:
}

// What an adapter of another framework does for each request.
func ExampleTracker() {
	var client *klime.Client // made by klime.New when the app starts

	tracker := klime.NewTracker(client, klime.ResolveUser(func(native any) any {
		user, _, _ := native.(*http.Request).BasicAuth()
		return user
	}))
	observed := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := klime.Exchange{Method: r.Method, Path: r.URL.Path, Start: time.Now(), Header: r.Header.Get}
			scope := tracker.Begin(r.Context())
			r = r.WithContext(scope)
			scope.Bind(r, nil)
			next.ServeHTTP(w, r)
			x.Route, x.Status = r.Pattern, http.StatusOK // a real one sees the status
			tracker.Observe(scope, x)
		})
	}
	http.NewServeMux().Handle("/", observed(http.NotFoundHandler()))
	// Output:
}

func ExampleScope() {
	scope := klime.NewTracker(nil).Begin(context.Background())
	klime.SetUser(scope, "user_123")
	klime.SetGroup(scope, "org_abc")
	fmt.Println(scope.UserID(), scope.GroupID())
	// Output: user_123 org_abc
}
