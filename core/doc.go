// Package klime tells Klime (customer analytics for B2B products) how the
// customers of an app use it. It lives in the folder core, so that imports say
//
//	import klime "github.com/klimeapp/klime-go/core"
//
// Most apps need three things: a [Client], the Middleware of the package for
// their framework, and a Link that says whose requests they are:
//
//   - [github.com/klimeapp/klime-go/ginklime] for Gin
//   - [github.com/klimeapp/klime-go/fiberklime] for Fiber
//   - [github.com/klimeapp/klime-go/chiklime] for chi
//   - [github.com/klimeapp/klime-go/nethttp] for net/http, and routers that build on it
//   - a [Tracker] for a framework of your own
//
// In handlers there are [Track], [Link], [SetUser], [SetGroup], [SetEvent],
// [SetProperty], [Skip] and [Silence], which take the request's context and
// return nothing; elsewhere the methods of [Client], which return errors. An
// [Option] tunes a middleware, a [Config] the client. Tests of apps have
// [github.com/klimeapp/klime-go/klimetest], events that outlive the process
// [github.com/klimeapp/klime-go/core/spool]. Guides are in docs/.
//
// # From a request to Klime
//
//	adapters observe          core decides                     delivery delivers
//
//	request ─ Middleware ─▶ Scope: whose request is it?
//	                          │
//	answer ── Exchange ────▶ Tracker: page, API call or noise?
//	                          │
//	Track, Identify, Group ─▶ Event ─▶ JSON ─▶ queue ─▶ batches ─▶ POST /v1/batch
//
// An event is encoded where it is made: its errors are the call's, and what it
// was made of may change afterwards.
//
// # What is promised
//
//   - No call waits for the network, but Ping, Flush, Shutdown and the Sync
//     forms; none waits for anything else, unless Config.Overflow is [Block] or
//     Config.Spool is write-ahead.
//   - Memory is bounded, by [Config] QueueSize and QueueBytes.
//   - Transient failures are retried until Shutdown; repeats carry the same
//     message ID, by which Klime recognises them.
//   - What is not delivered is counted: see [Stats].
//   - The app's panics, its ResponseWriter's interfaces and its request bodies
//     are left as they are.
//   - The write key, IDs and contents of events are not logged.
//
// # Users and groups
//
// A user is a person. A group is a customer: a company, organisation or team.
// An event belongs to a user, to a group, or to a user in a group; Klime has no
// anonymous events, so a request of which neither is known is not recorded. A
// customer appears at Klime once [Link] or [Client.Group] has named it.
//
// # Units
//
// Durations in properties are milliseconds, sizes are bytes of the body, times are
// UTC with milliseconds. In Go, durations are [time.Duration], and sizes bytes.
//
// # Concurrency
//
// A [Client], a [Tracker], a [Scope] and all functions may be used from several
// goroutines at once. So are resolvers and Config.BeforeSend, in the goroutines that
// serve requests or track; OnSuccess and OnError have goroutines of their own. A
// [Config] is read when it is given, and may be used again, but for its Spool, which
// is one client's.
package klime
