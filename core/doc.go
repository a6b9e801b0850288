// Package klime tells Klime (customer analytics for B2B products) how the
// customers of an app use it. It lives in the folder core, so the import reads
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
// Handlers call [Track], [Link], [SetUser], [SetGroup], [SetEvent],
// [SetProperty], [Skip] and [Silence], which take the request's context and
// return nothing. With a context that has passed no Middleware they do nothing. Other
// code calls the methods of [Client], which return errors.
// An [Option] tunes a middleware, a [Config] the client. Package
// [github.com/klimeapp/klime-go/klimetest] helps to test an app, and package
// [github.com/klimeapp/klime-go/core/spool] keeps events on disk, where they
// outlive the process. The folder docs/ has guides.
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
// An event is encoded by the call that makes it. So the call can return what is
// wrong with the event, and the caller may change its maps afterwards.
//
// # What is promised
//
//   - Only Ping, Flush, Shutdown and the Sync methods wait for the network. Other
//     calls do not block, unless Config.Overflow is [Block] or Config.Spool is
//     write-ahead.
//   - Memory is bounded: that of events by [Config] QueueSize and QueueBytes, the rest
//     by fixed limits. For each window length, [RollUp] holds up to 160,000 keys, 64 MiB
//     of text in all and half a kilobyte to two of counts each; [Link] remembers facts in
//     some 10 MB; 16 MiB may wait to be written to a Spool, and 8 MiB for OnError and
//     OnSuccess.
//   - Transient failures are retried until Shutdown, unless Config.MaxAttempts is
//     set. A retry carries the same message ID, by which Klime recognises it.
//   - Every event that is not delivered is counted: see [Stats].
//   - The app's panics, its ResponseWriter's interfaces and its request bodies
//     are left as they are.
//   - The write key, IDs, properties and traits are never logged. Names of events and keys
//     of properties may be.
//
// # Users and groups
//
// A user is a person. A group is a customer: a company, organisation or team.
// An event belongs to a user, to a group, or to a user in a group; Klime has no
// anonymous events, so a request without a known user or group is not recorded. A
// customer appears in Klime once [Link] or [Client.Group] has named it.
//
// # Units
//
// In properties, durations are in milliseconds, sizes are in bytes of the body, and
// times are in UTC with milliseconds. In Go, durations are [time.Duration], and
// sizes are in bytes.
//
// # Concurrency
//
// A [Client], a [Tracker], a [Scope] and all functions may be used from several
// goroutines at once. Resolvers and Config.BeforeSend must be safe for that too: they
// run in the goroutines that serve requests or track events. OnSuccess and OnError
// run in goroutines of their own. [New] reads a [Config] once, so one Config may serve
// several clients; only its Spool belongs to one client.
package klime
