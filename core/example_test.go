package klime_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// newExample returns a client, and a fake Klime that it sends to. An app has
// klime.New(klime.FromEnv()) in its place.
func newExample() (*klime.Client, *klimetest.Recorder) {
	recorder := klimetest.NewRecorder()
	client, err := klime.New(recorder.Config())
	if err != nil {
		log.Print("no analytics: ", err)
	}
	return client, recorder
}

// finish ends the client, and prints what Klime was told.
func finish(client *klime.Client, recorder *klimetest.Recorder) {
	if err := client.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, e := range recorder.Events() {
		fmt.Printf("%s %q user=%q group=%q\n", e.Type, e.Event, e.UserID, e.GroupID)
	}
}

// middleware stands for the Middleware of a framework's package, such as nethttp.
// Somebody is signed in.
func middleware(client *klime.Client, mux *http.ServeMux, opts ...klime.Option) http.Handler {
	user := klime.ResolveUser(func(any) any { return "user_123" })
	group := klime.ResolveGroup(func(any) any { return "org_abc" })
	tracker := klime.NewTracker(client, append(opts, user, group)...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tracker.Ignores(r.Method, r.URL.Path, r.Header.Get) {
			mux.ServeHTTP(w, r)
			return
		}
		scope := tracker.Begin(r.Context())
		scope.Bind(r, nil)
		answer := httptest.NewRecorder()
		_, pattern := mux.Handler(r)
		mux.ServeHTTP(answer, r.WithContext(scope))
		tracker.Observe(scope, klime.Exchange{
			Method: r.Method, Path: r.URL.Path, Route: pattern, Status: answer.Code, ContentType: answer.Header().Get("Content-Type"),
		})
		w.WriteHeader(answer.Code)
	})
}

// visit makes a request.
func visit(handler http.Handler, method, path string) {
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, http.NoBody))
}

// A client that could not be made is nil, and a nil client does nothing: the
// app runs without analytics.
func ExampleNew() {
	client, err := klime.New(klime.Config{})
	if errors.Is(err, klime.ErrMissingWriteKey) {
		fmt.Println("no analytics:", err)
	}
	fmt.Println(client.Track(context.Background(), "Report Generated", nil, klime.ForUser("user_123")))
	// Output:
	// no analytics: klime: missing write key (Config.WriteKey, or KLIME_WRITE_KEY with FromEnv)
	// <nil>
}

// In most apps KLIME_WRITE_KEY is the whole configuration. What is set in the
// environment may be changed before the client is made.
func ExampleFromEnv() {
	cfg := klime.FromEnv()
	cfg.WriteKey = "your-write-key"
	cfg.Logger = slog.New(slog.DiscardHandler) // yours is told what goes wrong
	cfg.FlushInterval = 5 * time.Second
	client, err := klime.New(cfg)
	fmt.Println(err)

	// … serve, and at the end:
	fmt.Println(client.Shutdown(context.Background()))
	// Output:
	// <nil>
	// <nil>
}

// Outside of a request an event names its user, or its group, or both.
func ExampleClient_Track() {
	client, recorder := newExample()
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

	// What is wrong with a call, it says itself.
	fmt.Println(client.Track(ctx, "Report Generated", nil))
	finish(client, recorder)
	// Output:
	// klime: event has neither user nor group
	// track "Report Generated" user="user_123" group="org_abc"
	// track "Invoice Paid" user="" group="org_abc"
}

func ExampleClient_Identify() {
	client, recorder := newExample()

	traits := klime.Traits{"email": "jane@acme.com", "name": "Jane"}
	if err := client.Identify(context.Background(), "user_123", traits); err != nil {
		log.Print(err)
	}
	finish(client, recorder)
	// Output: identify "" user="user_123" group=""
}

func ExampleClient_Group() {
	client, recorder := newExample()
	ctx := context.Background()

	// A webhook tells that a company has changed its plan.
	if err := client.Group(ctx, "org_abc", klime.Traits{"plan": "pro"}); err != nil {
		log.Print(err)
	}

	// A user has joined a company.
	if err := client.Group(ctx, "org_abc", nil, klime.ForUser("user_456")); err != nil {
		log.Print(err)
	}
	finish(client, recorder)
	// Output:
	// group "" user="" group="org_abc"
	// group "" user="user_456" group="org_abc"
}

// Link may be called as often as you like: it sends only what is new.
func ExampleClient_Link() {
	client, recorder := newExample()

	for range 1000 {
		err := client.Link(context.Background(),
			klime.User{ID: "user_123", Traits: klime.Traits{"email": "jane@acme.com", "name": "Jane"}},
			klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc", "plan": "pro"}})
		if err != nil {
			log.Print(err)
		}
	}
	finish(client, recorder)
	// Output:
	// identify "" user="user_123" group=""
	// group "" user="user_123" group="org_abc"
}

// A function that handlers and jobs share needs no client and no IDs: they are in its context.
func ExampleClient_NewContext() {
	client, recorder := newExample()
	defer finish(client, recorder)

	sendReport := func(ctx context.Context) {
		klime.Track(ctx, "Report Sent", nil)
	}
	sendReport(client.NewContext(context.Background(), "user_123", "org_abc")) // a job, for one of its owners
	// Output:
	// track "Report Sent" user="user_123" group="org_abc"
}

// What is handed to a queue goes on for the same user, or unseen if the request is.
func ExampleScope_Silenced() {
	client, recorder := newExample()
	defer finish(client, recorder)

	type job struct {
		user, group string
		silenced    bool
	}
	handOver := func(ctx context.Context) job { // in a handler
		s := klime.ScopeFrom(ctx)
		return job{s.UserID(), s.GroupID(), s.Silenced()}
	}
	consume := func(j job) { // in the worker
		ctx := client.NewContext(context.Background(), j.user, j.group)
		if j.silenced {
			klime.Silence(ctx)
		}
		klime.Track(ctx, "Report Sent", nil)
	}

	ctx := client.NewContext(context.Background(), "user_123", "org_abc") // or that of a request
	consume(handOver(ctx))
	klime.Silence(ctx) // staff act as the customer
	consume(handOver(ctx))
	// Output:
	// track "Report Sent" user="user_123" group="org_abc"
}

// One request at once, for what must not be lost in between: Klime's own answer.
func ExampleClient_TrackSync() {
	client, recorder := newExample()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	result, err := client.TrackSync(ctx, "Account Closed", nil, klime.ForGroup("org_abc"))
	fmt.Println(result.Accepted, err)

	recorder.Fail(klimetest.Status(http.StatusServiceUnavailable))
	_, err = client.TrackSync(ctx, "Account Closed", nil, klime.ForGroup("org_abc"))
	if failure := (*klime.DeliveryError)(nil); errors.As(err, &failure) {
		fmt.Println(failure.StatusCode, "try again:", failure.Temporary())
	}
	// Output:
	// 1 <nil>
	// 503 try again: true
}

// A sign-up that must be known to Klime before the page says welcome.
func ExampleClient_IdentifySync() {
	client, _ := newExample()
	result, err := client.IdentifySync(context.Background(), "user_123", klime.Traits{"email": "jane@acme.com", "name": "Jane"})
	fmt.Println(result.Accepted, err)
	// Output: 1 <nil>
}

// A customer that Klime refuses to take: the answer says why.
func ExampleClient_GroupSync() {
	client, recorder := newExample()
	recorder.Fail(klimetest.Reject(0))
	result, err := client.GroupSync(context.Background(), "org_abc", klime.Traits{"name": "Acme Inc"})
	fmt.Println(result.Failed, err != nil)
	// Output: 1 true
}

// Is the key good, and is Klime there? That makes a good log line at the
// start; events are kept and sent later in any case.
func ExampleClient_Ping() {
	client, recorder := newExample()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(client.Ping(ctx))

	recorder.Fail(klimetest.Status(http.StatusUnauthorized))
	var failure *klime.DeliveryError
	if err := client.Ping(ctx); errors.As(err, &failure) && !failure.Temporary() {
		fmt.Println("check KLIME_WRITE_KEY: status", failure.StatusCode)
	}
	// Output:
	// <nil>
	// check KLIME_WRITE_KEY: status 401
}

// An import of the companies and users that an app already has makes events faster than
// they are delivered. With a Flush now and then none is dropped, and those of requests
// that are served meanwhile have room.
func ExampleClient_Flush_import() {
	client, recorder := newExample()
	err := importAccounts(context.Background(), client, []account{
		{orgID: "org_abc", orgName: "Acme", ownerID: "user_123", email: "jane@acme.example"},
		{orgID: "org_def", orgName: "Globex", ownerID: "user_456", email: "joe@globex.example"},
	})
	fmt.Println(err)
	finish(client, recorder)
	// Output:
	// <nil>
	// identify "" user="user_123" group=""
	// group "" user="user_123" group="org_abc"
	// identify "" user="user_456" group=""
	// group "" user="user_456" group="org_def"
}

// account is a company with its owner.
type account struct{ orgID, orgName, ownerID, email string }

func importAccounts(ctx context.Context, client *klime.Client, accounts []account) error {
	for i, a := range accounts {
		owner := klime.User{ID: a.ownerID, Traits: klime.Traits{"email": a.email}}
		company := klime.Group{ID: a.orgID, Traits: klime.Traits{"name": a.orgName}}
		if err := client.Link(ctx, owner, company); err != nil {
			slog.Warn("account not recorded", "account", i, "error", err)
		}
		if i%1000 == 999 { // the queue holds 10,000 events
			if err := client.Flush(ctx); err != nil {
				return err // Klime cannot be reached: import again later
			}
		}
	}
	return client.Flush(ctx)
}

// A function that may be frozen after each invocation delivers what it has before.
func ExampleClient_Flush() {
	client, recorder := newExample()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()

	_ = client.Track(ctx, "Report Generated", nil, klime.ForUser("user_123"))
	fmt.Println(client.Flush(ctx), len(recorder.Events()))
	// Output: <nil> 1
}

// What could not be delivered is counted, and given to OnError.
func ExampleClient_Shutdown() {
	recorder := klimetest.NewRecorder()
	recorder.Fail(klimetest.Status(http.StatusServiceUnavailable)) // an outage
	cfg := recorder.Config()
	cfg.OnError = func(_ error, events []klime.Event) { fmt.Println("given up:", len(events)) }
	client, err := klime.New(cfg)
	if err != nil {
		log.Print(err)
	}
	_ = client.Track(context.Background(), "Report Generated", nil, klime.ForUser("user_123"))

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond) // too short
	defer cancel()
	fmt.Println(client.Shutdown(ctx) != nil, client.Stats().Dropped[klime.DropShutdown])
	// Output:
	// given up: 1
	// true 1
}

func ExampleClient_Stats() {
	client, recorder := newExample()
	ctx := context.Background()
	_ = client.Track(ctx, "Report Generated", nil, klime.ForUser("user_123"))
	_ = client.Track(ctx, "Report Shared", nil, klime.ForUser("user_123"))
	finish(client, recorder)

	s := client.Stats()
	fmt.Printf("accepted %d = sent %d + failed %d + queued %d, halted: %v\n", s.Accepted, s.Sent, s.Failed, s.Queued, s.Halted)
	// Output:
	// track "Report Generated" user="user_123" group=""
	// track "Report Shared" user="user_123" group=""
	// accepted 2 = sent 2 + failed 0 + queued 0, halted: false
}

// Where users sign in, Link says who they are, and whose the request is.
func ExampleLink() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// … check the password …
		klime.Link(r.Context(),
			klime.User{ID: "user_123", Traits: klime.Traits{"email": "jane@acme.com", "name": "Jane"}},
			klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc", "plan": "pro"}})
		w.WriteHeader(http.StatusNoContent)
	})
	visit(middleware(client, mux), http.MethodPost, "/login")
	finish(client, recorder)
	// Output:
	// identify "" user="user_123" group=""
	// group "" user="user_123" group="org_abc"
	// track "API Called" user="user_123" group="org_abc"
}

// In a handler behind a middleware, user and group are those of the request.
func ExampleTrack() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports", func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": "revenue"})
		w.WriteHeader(http.StatusCreated)
	})
	visit(middleware(client, mux), http.MethodPost, "/reports")
	finish(client, recorder)
	// Output:
	// track "Report Generated" user="user_123" group="org_abc"
	// track "API Called" user="user_123" group="org_abc"
}

// Where the request is the action, it has the action's name, and one event.
func ExampleSetEvent() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /graphql", func(_ http.ResponseWriter, r *http.Request) {
		klime.SetEvent(r.Context(), "Report Generated")
		klime.SetProperty(r.Context(), "reportType", "revenue")
	})
	visit(middleware(client, mux), http.MethodPost, "/graphql")
	finish(client, recorder)
	fmt.Println(recorder.Events()[0].Properties["reportType"])
	// Output:
	// track "Report Generated" user="user_123" group="org_abc"
	// revenue
}

// A company's API key has been verified: the company calls, and no user.
func ExampleSetGroup() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/reports", func(_ http.ResponseWriter, r *http.Request) {
		klime.SetUser(r.Context(), "")
		klime.SetGroup(r.Context(), "org_of_the_key")
	})
	visit(middleware(client, mux), http.MethodGet, "/api/reports")
	finish(client, recorder)
	// Output: track "API Called" user="" group="org_of_the_key"
}

// Skip is about the request's own event. What the app tracks is sent.
func ExampleSkip() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /autosave", func(_ http.ResponseWriter, r *http.Request) {
		klime.Skip(r.Context())
		klime.Track(r.Context(), "Draft Saved", nil)
	})
	visit(middleware(client, mux), http.MethodPost, "/autosave")
	finish(client, recorder)
	// Output: track "Draft Saved" user="user_123" group="org_abc"
}

// Staff who look at a customer's account are not that customer.
func ExampleSilence() {
	client, recorder := newExample()
	isStaff := func(*http.Request) bool { return true } // the app knows
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dashboard", func(_ http.ResponseWriter, r *http.Request) {
		if isStaff(r) {
			klime.Silence(r.Context())
		}
		klime.Track(r.Context(), "Dashboard Opened", nil)
	})
	visit(middleware(client, mux), http.MethodGet, "/dashboard")
	finish(client, recorder)
	fmt.Println(len(recorder.Events()), "events")
	// Output: 0 events
}

// A table of names, beside the middleware. The most specific pattern counts.
func ExampleNameRoutes() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orgs/{org}/reports", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /poll", func(http.ResponseWriter, *http.Request) {})
	handler := middleware(client, mux,
		klime.NameRoutes(map[string]string{"POST /orgs/:org/reports": "Report Generated", "/orgs/*": "Company Changed"}),
		klime.SkipRoutes("GET /poll"))
	visit(handler, http.MethodPost, "/orgs/acme/reports")
	visit(handler, http.MethodGet, "/poll")
	finish(client, recorder)
	// Output: track "Report Generated" user="user_123" group="org_abc"
}

// What is ignored costs nothing. SkipRoutes would leave Track in the handler its effect.
func ExampleIgnoreRoutes() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reports", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /static/{file}", func(_ http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "File Read", nil) // of nobody, and not sent
	})
	handler := middleware(client, mux, klime.IgnoreRoutes("/static/*"))
	visit(handler, http.MethodGet, "/static/app.js")
	visit(handler, http.MethodGet, "/reports")
	finish(client, recorder)
	// Output: track "API Called" user="user_123" group="org_abc"
}

// A busy integration is one event a minute, with exact counts.
func ExampleRollUp() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/reports/{id}", func(http.ResponseWriter, *http.Request) {})
	handler := middleware(client, mux, klime.RollUp(time.Minute))
	for id := range 1000 {
		visit(handler, http.MethodGet, fmt.Sprint("/api/reports/", id))
	}
	if err := client.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	count := 0.0
	for _, e := range recorder.Events() { // one; two if the clock has struck in between
		count += e.Properties["count"].(float64)
	}
	e := recorder.Events()[0]
	fmt.Println(e.Event, e.UserID, e.GroupID, e.Properties["route"], count)
	// Output: API Usage Recorded user_123 org_abc /api/reports/{id} 1000
}

// A tenth of the API calls. Each says so, for whoever adds them up.
func ExampleSample() {
	client, recorder := newExample()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/reports/{id}", func(http.ResponseWriter, *http.Request) {})
	handler := middleware(client, mux, klime.Sample(0.1))
	for id := range 1000 {
		visit(handler, http.MethodGet, fmt.Sprint("/api/reports/", id))
	}
	if err := client.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	events := recorder.Events()
	fmt.Println(len(events) > 50, len(events) < 200, events[0].Properties["sampleRate"])
	// Output: true true 0.1
}

// Other names than those of OpenID Connect, and a claim in an object.
func ExampleClaimNames() {
	claims := map[string]any{"uid": 123, "email": "jane@acme.com", "o": map[string]any{"id": "org_abc", "label": "Acme Inc"}}
	names := klime.ClaimNames{UserID: "uid", GroupID: "o.id", GroupTraits: map[string]string{"name": "o.label"}}
	user, groups := names.Read(claims)
	fmt.Println(user, groups)
	// Output: {123 map[email:jane@acme.com]} [{org_abc map[name:Acme Inc]}]
}

func ExampleFromClaims() {
	claims := map[string]any{"sub": "user_123", "email": "jane@acme.com", "org_id": "org_abc", "org_name": "Acme Inc"}
	user, groups := klime.FromClaims(claims)
	fmt.Println(user, groups)
	// Output: {user_123 map[email:jane@acme.com]} [{org_abc map[name:Acme Inc]}]
}

// A subdomain is no ID: look the ID up, and check the membership.
func ExampleSubdomain() {
	fmt.Printf("%q %q %q\n", klime.Subdomain("acme.example.com:443", "example.com"),
		klime.Subdomain("www.example.com", "example.com"), klime.Subdomain("evil.test", "example.com"))
	// Output: "acme" "" ""
}

// What an adapter of another framework does for each request.
func ExampleTracker() {
	client, recorder := newExample()

	signedIn := func(*http.Request) string { return "user_123" } // of the app's session
	tracker := klime.NewTracker(client, klime.UserFrom(signedIn))
	observed := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tracker.Ignores(r.Method, r.URL.Path, r.Header.Get) {
				next.ServeHTTP(w, r)
				return
			}
			x := klime.Exchange{Method: r.Method, Path: r.URL.Path, Start: time.Now(), Header: r.Header.Get}
			scope := tracker.Begin(r.Context())
			r = r.WithContext(scope)
			scope.Bind(r, nil)
			scope.ReadHeader(r.Header.Get)
			defer func() {
				panicked := recover()
				x.Recovered(panicked)
				x.Route, x.Status = r.Pattern, http.StatusOK // a real one sees the status
				tracker.Observe(scope, x)
				if panicked != nil {
					panic(panicked)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reports", func(http.ResponseWriter, *http.Request) {})

	request := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
	observed(mux).ServeHTTP(httptest.NewRecorder(), request)
	finish(client, recorder)
	// Output: track "API Called" user="user_123" group=""
}

func ExampleScope() {
	scope := klime.NewTracker(nil).Begin(context.Background())
	klime.SetUser(scope, "user_123")
	klime.SetGroup(scope, "org_abc")
	fmt.Println(scope.UserID(), scope.GroupID())
	// Output: user_123 org_abc
}
