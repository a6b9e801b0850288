// Package adaptertest runs klime-go's conformance suite on an adapter of your
// own, the same that its own adapters must pass. The suite describes small apps;
// your test builds each of them in your framework, behind your middleware, and
// serves it. The suite makes the requests and compares the events, as JSON,
// with those that every other adapter records:
//
//	func TestConformance(t *testing.T) {
//		adaptertest.Run(t, adaptertest.Adapter{Name: "mine", Start: start})
//	}
//
//	func start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
//		router := mine.New()
//		// app.Outside, then your middleware with app.Client unless app.Bare,
//		// then app.Inside, each wrapped in what your framework calls a middleware
//		for _, route := range app.Routes {
//			router.Handle(route.Method, dialect(route.FullPath()), func(c *mine.Context) { route.Handler(request{c}) })
//		}
//		return adaptertest.Serve(tb, app, router)
//	}
//
// Run it under the race detector too. examples/echo/echoklime has a whole one,
// docs/write-your-own-adapter.md is the guide. Where your router reads a pattern
// differently than the suite means it, let the test's app say it in your router's
// way. A later version of klime-go may add cases, and with them fields; what it
// wants of a Request beyond its methods is an interface of its own, like Streamer.
package adaptertest
