// Package adaptertest runs klime-go's conformance suite on your own adapter. It is
// the suite that klime-go's adapters must pass. It describes small apps; your test
// builds each of them in your framework, behind your middleware, and serves it. The
// suite makes the requests and compares the events, each as a line of text, with those
// that every other adapter records:
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
// Run it under the race detector too. There are complete examples in
// examples/echo/echoklime and, with a server of the framework's own, in
// examples/fiber3/fiber3klime; the guide is docs/write-your-own-adapter.md. Where a
// pattern means something else to your router than to net/http, have your test
// register one that means the same. A later version of klime-go may add cases, and
// fields for them. It will not add methods to Request: new ones come as optional
// interfaces, like Streamer and HeaderSetter.
package adaptertest
