package klime_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// A middleware that stands behind the routes sees nothing, and the app gets no error.
func TestMiddlewareThatNoRequestPasses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		serve func(*klime.Tracker)
		quiet bool
		want  bool
	}{
		"none":         {serve: func(*klime.Tracker) {}, want: true},
		"none, NoHint": {serve: func(*klime.Tracker) {}, quiet: true},
		"one":          {serve: func(tracker *klime.Tracker) { traffic{tracker: tracker}.serve(nil) }},
		"one that no route matches": {serve: func(tracker *klime.Tracker) {
			traffic{tracker: tracker, exchange: klime.Exchange{Method: "GET", Route: "no slash", Path: "/favicon.ico", Status: 404}}.serve(nil)
		}, want: true},
		"one that is still open": {serve: func(tracker *klime.Tracker) { tracker.Begin(t.Context()) }},
		"one that is ignored": {serve: func(tracker *klime.Tracker) {
			tracker.Ignores("GET", "/internal", func(string) string { return "" })
		}},
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) {
			log = logTo(cfg)
			cfg.NoHints = tt.quiet
		})
		tt.serve(klime.NewTracker(client, asUser("u1"), klime.IgnoreRoutes("/internal")))
		shutDown(t, client)
		if told := strings.Contains(log.String(), "of the requests that have ended, none was for a route and passed a Middleware"); told != tt.want {
			t.Errorf("%s: log %s", name, log)
		}
	}
}

// Whoever tries out an app with a wrong setup learns at Shutdown what no request has had.
// Where all is well, the log says nothing.
func TestUnseen(t *testing.T) {
	t.Parallel()
	const nobody, noGroup = "no request has had a user", "no request has had a group"
	some, group, noOrg := asUser("u1"), klime.ResolveGroup(answerWith("g1")), klime.ResolveGroup(answerWith(""))
	options := func(opts ...klime.Option) []klime.Option { return opts }
	for name, tt := range map[string]struct {
		opts     []klime.Option
		mode     klime.Mode
		requests int
		in       klime.Exchange
		want     string
	}{
		"no requests":                     {opts: options(noOrg)},
		"one, as of a crawler":            {requests: 1},
		"some of nobody":                  {requests: 10, want: nobody},
		"some of users":                   {opts: options(some), requests: 10},
		"a user's first page":             {opts: options(some, noOrg), requests: 1},
		"users, whose events are skipped": {opts: options(some, klime.SkipRoutes("/reports")), requests: 10},
		"users, left out by Sample":       {opts: options(some, klime.Sample(0)), requests: 10},
		"users without a group":           {opts: options(some, noOrg), requests: 10, want: noGroup},
		"in user mode":                    {opts: options(some, noOrg), mode: klime.UserMode, requests: 10},
		"groups":                          {opts: options(some, group), requests: 10},
		"groups that are refused":         {opts: options(some, group), requests: 10, in: klime.Exchange{Status: 403}},
		"groups that nobody has linked":   {opts: options(some, group, klime.RequireMembership()), requests: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			client, _ := newClient(t, func(cfg *klime.Config) {
				cfg.Mode = tt.mode
				log = logTo(cfg)
			})
			tracker := klime.NewTracker(client, tt.opts...)
			for range tt.requests {
				traffic{tracker: tracker, exchange: tt.in}.serve(nil)
			}
			for range 2 { // tells once
				shutDown(t, client)
			}
			for _, text := range []string{nobody, noGroup} {
				want := 0
				if text == tt.want {
					want = 1
				}
				if got := strings.Count(log.String(), text); got != want {
					t.Errorf("%q is told %d times, want %d: %s", text, got, want, log)
				}
			}
		})
	}
}

// Requests of nobody that track a company's events are no mistake, but what a process sends
// on its own says nothing about its requests. What several middlewares have seen counts
// together, and is told once.
func TestUnseenByAny(t *testing.T) {
	t.Parallel()
	const atAll, soFar = "no request has had a user", "almost no request so far has had a user"
	serve := func(c *klime.Client, n int, handle func(context.Context), opts ...klime.Option) {
		tracker := klime.NewTracker(c, opts...)
		for range n {
			traffic{tracker: tracker}.serve(handle)
		}
	}
	for name, tt := range map[string]struct {
		run  func(*klime.Client)
		want string
	}{
		"webhooks": {run: func(c *klime.Client) {
			serve(c, 60, func(ctx context.Context) { klime.Track(ctx, "Paid", nil, klime.ForGroup("g1")) })
		}},
		"webhooks that wait for Klime": {run: func(c *klime.Client) {
			serve(c, 60, func(ctx context.Context) { _, _ = c.TrackSync(ctx, "Paid", nil, klime.ForGroup("g1")) })
		}},
		"webhooks that describe": {run: func(c *klime.Client) {
			serve(c, 60, func(ctx context.Context) { _ = c.Group(ctx, "g1", klime.Traits{"name": "Acme"}) })
			serve(c, 60, func(ctx context.Context) { _ = c.Identify(ctx, "u1", klime.Traits{"name": "Jane"}) })
		}},
		"one that tracks for somebody, few for nobody": {run: func(c *klime.Client) {
			serve(c, 1, func(ctx context.Context) { klime.Track(ctx, "Signed In", nil, klime.ForUser("u1")) })
			serve(c, 30, nil)
		}, want: atAll},
		"one that tracks for somebody, many for nobody": {run: func(c *klime.Client) {
			serve(c, 1, func(ctx context.Context) { klime.Track(ctx, "Signed In", nil, klime.ForUser("u1")) })
			serve(c, 60, nil)
		}, want: soFar},
		"requests that track for nobody": {run: func(c *klime.Client) {
			serve(c, 30, func(ctx context.Context) { klime.Track(ctx, "Paid", nil) })
		}, want: atAll},
		"after companies were sent": {run: func(c *klime.Client) {
			_ = c.Group(t.Context(), "g1", klime.Traits{"name": "Acme"})
			_ = c.Track(t.Context(), "Imported", nil, klime.ForGroup("g1"))
			serve(c, 30, nil)
		}, want: atAll},
		"two middlewares": {run: func(c *klime.Client) {
			serve(c, 30, nil)
			serve(c, 30, nil)
		}, want: atAll},
		"one that was told before": {run: func(c *klime.Client) { serve(c, 60, nil) }, want: soFar},
		"users, whose events are skipped": {run: func(c *klime.Client) {
			serve(c, 10, nil, asUser("u1"), klime.SkipRoutes("/reports"))
			serve(c, 10, nil)
		}},
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
		tt.run(client)
		shutDown(t, client)
		for _, text := range []string{atAll, soFar} {
			want := 0
			if text == tt.want {
				want = 1
			}
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("%s: %q is told %d times, want %d: %s", name, text, got, want, log)
			}
		}
	}
}

// Which pattern matches a request is known when it ends, and which route it has. The log says
// that it is about these.
func TestPatternsOfOpenRequests(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ended klime.Exchange // zero for none
		want  string         // "" for nothing
	}{
		"none has ended": {},
		"one for another route": {klime.Exchange{Route: "/reports"},
			`msg="klime: of the requests that have ended, none has matched these patterns of SkipRoutes, IgnoreRoutes, NameRoutes or HealthRoutes" patterns="[GET /ws]"`},
		"one for no route": {klime.Exchange{Route: "no slash", Path: "/favicon.ico", Status: 404},
			`msg="klime: of the requests that have ended, none was for a route and passed a Middleware`},
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
		tracker := klime.NewTracker(client, asUser("u1"), klime.NameRoutes(map[string]string{"GET /ws": "Chat Joined"}))
		tracker.Begin(t.Context())
		if tt.ended.Route != "" {
			traffic{tracker: tracker, exchange: tt.ended}.serve(nil)
		}
		shutDown(t, client)
		if got := log.String(); !strings.Contains(got, tt.want) || strings.Count(got, "\n") != min(1, len(tt.want)) {
			t.Errorf("%s: log %s", name, got)
		}
	}
}

// A middleware inside another tells what requests have passed and matched it, as any does.
func TestHintsOfAMiddlewareInside(t *testing.T) {
	t.Parallel()
	unmatched := klime.Exchange{Route: "no slash", Path: "/favicon.ico", Status: 404}
	for name, tt := range map[string]struct {
		ended   klime.Exchange
		pattern string
		want    string
	}{
		"a pattern that matches":   {ended: klime.Exchange{Route: "/reports"}, pattern: "/reports"},
		"a pattern that does not":  {ended: klime.Exchange{Route: "/reports"}, pattern: "/repotrs", want: "patterns=[/repotrs]"},
		"requests without a route": {ended: unmatched, pattern: "/repotrs", want: "was for a route and passed"},
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
		outer := klime.NewTracker(client, asUser("u1"))
		inner := klime.NewTracker(client, klime.SkipRoutes(tt.pattern))
		traffic{tracker: outer, exchange: tt.ended}.serve(func(ctx context.Context) {
			traffic{tracker: inner, ctx: ctx, exchange: tt.ended}.serve(nil)
		})
		shutDown(t, client)
		for _, text := range []string{"patterns=", "was for a route and passed"} {
			if got := log.String(); strings.Contains(got, text) != strings.Contains(tt.want, text) {
				t.Errorf("%s: log %s", name, got)
			}
		}
	}
}

// A middleware further in, around a part of the app that nobody has used, is no mistake.
func TestOneOfSeveralMiddlewares(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100} { // of 100, those that requests have passed give way to the others
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
		for range n {
			traffic{tracker: klime.NewTracker(client)}.serve(nil)
		}
		for range n {
			klime.NewTracker(client)
		}
		shutDown(t, client)
		if got := log.String(); strings.Contains(got, "of the requests that have ended, none was for a route and passed") {
			t.Errorf("%d of each: log %s", n, got)
		}
	}
}

// Of very many that no request has passed, later ones are not watched: perhaps one has.
func TestOneOfVeryManyMiddlewares(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
	for range 100 {
		klime.NewTracker(client)
	}
	traffic{tracker: klime.NewTracker(client)}.serve(nil)
	shutDown(t, client)
	if strings.Contains(log.String(), "of the requests that have ended, none was for a route and passed a Middleware") {
		t.Errorf("log %s", log)
	}
}

// However many middlewares have served their time, later ones are watched, and those with
// patterns stay.
func TestManyMiddlewares(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	traffic{tracker: klime.NewTracker(client, klime.SkipRoutes("/extrenal"))}.serve(nil)
	for range 150 {
		traffic{tracker: klime.NewTracker(client)}.serve(nil)
	}
	traffic{tracker: klime.NewTracker(client, klime.SkipRoutes("/intrenal"))}.serve(nil)
	shutDown(t, client)
	if got := log.String(); !strings.Contains(got, "/intrenal") || !strings.Contains(got, "/extrenal") || strings.Contains(got, "was for a route and passed") {
		t.Errorf("log %s", got)
	}
}

// Some options of a middleware inside another have no effect. It costs money if nobody
// says so.
func TestOptionsOfAMiddlewareInside(t *testing.T) {
	t.Parallel()
	rollUp, sample, capture := klime.RollUp(time.Minute), klime.Sample(0.5), klime.Capture(klime.Path)
	type options = []klime.Option
	for name, tt := range map[string]struct {
		outer, inner options
		want         int
	}{
		"RollUp":              {nil, options{rollUp}, 1},
		"another window":      {options{klime.RollUp(time.Hour)}, options{rollUp}, 1},
		"another capture":     {options{klime.Capture(klime.IP)}, options{capture}, 1},
		"captured twice":      {options{capture}, options{capture, capture}, 0},
		"Sample":              {nil, options{sample}, 1},
		"Capture":             {nil, options{capture}, 1},
		"those of both":       {options{rollUp, sample, capture}, options{rollUp, sample, capture}, 0},
		"those of the outer":  {options{rollUp, sample, capture}, nil, 0},
		"others of the inner": {nil, options{klime.SkipRoutes("/internal")}, 0},
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
		outer, inner := klime.NewTracker(client, tt.outer...), klime.NewTracker(client, tt.inner...)
		for range 3 {
			traffic{tracker: outer}.serve(func(ctx context.Context) { traffic{tracker: inner, ctx: ctx}.serve(nil) })
		}
		if got := strings.Count(log.String(), "inside another one"); got != tt.want {
			t.Errorf("%s: told %d times, want %d: %s", name, got, tt.want, log)
		}
	}
}

// Where a process has two clients by mistake, one of them knows nobody.
func TestTrackWithAnotherClient(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	other, _ := newClient(t)
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
		_, inTime := other.TrackSync(ctx, "Report Generated", nil)
		for _, err := range []error{other.Track(ctx, "Report Generated", nil), inTime} {
			if !errors.Is(err, klime.ErrMissingIdentity) || !strings.Contains(err.Error(), "another client") {
				t.Errorf("error %v", err)
			}
		}
	})
	if err := other.Track(t.Context(), "Report Generated", nil); !errors.Is(err, klime.ErrMissingIdentity) || strings.Contains(err.Error(), "client") {
		t.Errorf("outside a request: %v", err)
	}
}

// The log tells, once, which context value cannot be an ID where that leaves a request
// without user or group: its name and its type, and never what it holds.
func TestContextValuesThatAreNoIDs(t *testing.T) {
	t.Parallel()
	type account struct{ Name string }
	const wrongType = "a context value that klime reads is of a type that cannot be an ID"
	some, company := asUser("u1"), klime.ResolveGroup(answerWith("g1"))
	for name, tt := range map[string]struct {
		key    string
		value  any
		opts   []klime.Option
		handle func(context.Context)
		mode   klime.Mode
		inside bool     // a second middleware
		want   []string // in the only line of the log; none for no line
	}{
		"a number of JSON":   {key: "userId", value: 7.5, want: []string{wrongType, "value=userId type=float64"}},
		"a struct":           {key: "userId", value: account{"jane"}, want: []string{wrongType, "value=userId type=klime_test.account"}},
		"a pointer to one":   {key: "userId", value: &account{"jane"}, want: []string{wrongType, "value=userId type=*klime_test.account"}},
		"a company":          {key: "groupId", value: 7.5, opts: []klime.Option{some}, want: []string{wrongType, "value=groupId type=float64"}},
		"bytes":              {key: "userId", value: "jane\xf1", want: []string{"bytes that are not UTF-8", "value=userId"}},
		"further in":         {key: "userId", value: 7.5, inside: true, want: []string{wrongType, "value=userId type=float64"}},
		"an ID":              {key: "userId", value: 7},
		"nobody":             {key: "userId", value: (*int)(nil)},
		"another key":        {key: "user", value: 7.5},
		"the user is found":  {key: "userId", value: 7.5, opts: []klime.Option{some}},
		"the user is linked": {key: "userId", value: 7.5, handle: func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}) }},
		"an option's nobody": {key: "userId", value: &account{}, opts: []klime.Option{asUser("")}},
		"an option's no one": {key: "groupId", value: []string{}, opts: []klime.Option{some, klime.ResolveGroup(answerWith(""))}},
		"found further in":   {key: "userId", value: 7.5, opts: []klime.Option{some}, inside: true},
		"the group is found": {key: "groupId", value: 7.5, opts: []klime.Option{some, company}},
		"without groups":     {key: "groupId", value: 7.5, opts: []klime.Option{some}, mode: klime.UserMode},
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) {
			cfg.Mode = tt.mode
			log = logFrom(cfg, slog.LevelWarn)
		})
		middle, tracker := klime.NewTracker(client), klime.NewTracker(client, tt.opts...)
		for range 3 {
			serve := func(ctx context.Context) {
				traffic{tracker: tracker, ctx: context.WithValue(ctx, tt.key, tt.value)}.serve(tt.handle) //nolint:revive,staticcheck // klime's keys are plain
			}
			if tt.inside {
				traffic{tracker: middle}.serve(serve)
			} else {
				serve(t.Context())
			}
		}
		got := log.String()
		if strings.Count(got, "\n") != min(1, len(tt.want)) || strings.Contains(got, "jane") {
			t.Errorf("%s: log %q", name, got)
		}
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: log %q, want %q", name, got, want)
			}
		}
	}
}

// The middleware with an option may not be the one that finds the value, but it must be in
// the same request: in others, the value is still a mistake.
func TestContextValuesBesideAnOption(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelWarn) })
	web, with := klime.NewTracker(client), klime.NewTracker(client, asUser(""))
	ctx := context.WithValue(t.Context(), "userId", 7.5) //nolint:revive,staticcheck // klime's keys are plain
	for _, trackers := range [][2]*klime.Tracker{{web, with}, {with, web}} {
		traffic{tracker: trackers[0], ctx: ctx}.serve(func(ctx context.Context) { traffic{tracker: trackers[1], ctx: ctx}.serve(nil) })
	}
	if log.String() != "" {
		t.Errorf("in one request with the option: %s", log)
	}
	traffic{tracker: web, ctx: ctx}.serve(nil)
	if !strings.Contains(log.String(), "cannot be an ID") {
		t.Errorf("in a request without it: log %q", log)
	}
}
