package klime

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/klimeapp/klime-go/internal/delivery"
	"github.com/klimeapp/klime-go/internal/secretkeys"
)

// Mode says who Klime's customers are.
type Mode int

const (
	// GroupMode: customers are groups (companies, teams, accounts) of users.
	GroupMode Mode = iota
	// UserMode: customers are single users; group IDs are never sent.
	UserMode
)

// Overflow says what gives way when an event finds the queue full. The events that a
// middleware makes of requests are dropped before those that the app tracks, and do not
// wait, except for those of [RollUp].
type Overflow int

const (
	// DropOldest: the oldest event is dropped.
	DropOldest Overflow = Overflow(delivery.DropOldest)
	// DropNewest: the new event is refused with [ErrQueueFull].
	DropNewest Overflow = Overflow(delivery.DropNewest)
	// Block: the call waits for room, first come, first served. It gives up with
	// [ErrQueueFull] when its context ends or sending is halted, and with [ErrClosed]
	// at Shutdown. An ErrQueueFull also matches why: the context's error and its
	// [context.Cause], or the [DeliveryError] of the halt.
	Block Overflow = Overflow(delivery.Block)
)

// Config configures a [Client]. The zero value of each field stands for its
// default; only WriteKey has none.
type Config struct {
	// WriteKey is the key that Klime gave you to send with. It is needed unless there is
	// a Transport. A Config that is printed hides it, except for the verbs %w and %p, and
	// in an unexported field of another struct: there fmt and slog call no methods.
	WriteKey string

	// Endpoint is the base URL of Klime. Its path is kept, and /v1/batch is added.
	// It is https, or http for a loopback host. Default https://i.klime.com.
	Endpoint string

	// AllowInsecure allows an http Endpoint that is not on this machine: the write
	// key and all events then travel in the clear. Default false.
	AllowInsecure bool

	// Mode says who the customers are. Default GroupMode.
	Mode Mode

	// App describes the app that makes the events, each field with up to 1 KiB. Default:
	// not sent.
	App App

	// FlushInterval is the longest an event waits for others before it is sent, 1ms
	// to 24h. Default 2s.
	FlushInterval time.Duration

	// BatchSize is how many waiting events start a send, 1 to 100. A send takes all
	// waiting events, up to 100 and 10 MiB. With a small queue both are less: all Senders
	// together take half of QueueSize and QueueBytes at most. Default 20.
	BatchSize int

	// QueueSize limits the number of events in memory, counted like QueueBytes: 1 to
	// 100,000,000. Default 10,000.
	QueueSize int

	// QueueBytes limits the bytes of events in memory: queued, in flight and waiting
	// for a retry together. Overflow says what gives way beyond that. Each request
	// holds a copy of its events on top, up to 10 MiB per sender. With what Go's garbage
	// collector leaves, a process may grow by three to four times QueueBytes in an outage:
	// in a small container, lower QueueBytes or set GOMEMLIMIT. 200 KiB to 1 TiB. Default
	// 64 MiB.
	QueueBytes int

	// Overflow says what gives way when the queue is full. Default DropOldest.
	Overflow Overflow

	// Senders is how many requests with queued events are made at the same time at
	// most, 1 to 100; those of TrackSync, IdentifySync and GroupSync come on top.
	// Default 2.
	Senders int

	// MaxAttempts is how often an event is sent before it is given up, 1 to
	// 1,000,000. It may be a few more where other events are delivered meanwhile, to
	// find out which event of a batch is at fault. Requests that meet a halt do not
	// count. Default 0: transient failures are retried until the event is delivered,
	// pushed out of a full queue, or left over at shutdown.
	MaxAttempts int

	// RetryDelay is the wait before the first retry, 1ms to 1h. It doubles for each
	// further retry, up to 16s, with jitter; Klime may ask for other waits. Default
	// 1s.
	RetryDelay time.Duration

	// Timeout bounds one request, 1ms to 1h. Default 10s.
	Timeout time.Duration

	// ShutdownTimeout bounds Flush and Shutdown when their context has no deadline.
	// It is 24h at most. Default 10s.
	ShutdownTimeout time.Duration

	// LinkTTL is how long a [Link] is known as sent, and not sent again: 10,000h at
	// most. Default 24h.
	LinkTTL time.Duration

	// Spool keeps on disk what memory cannot hold, what waits during an outage and
	// what is left at Shutdown: see package core/spool, which opens one, and
	// docs/spool.md. In memory, up to 16 MiB of events that wait to be written
	// come on top of QueueBytes. The client closes it at Shutdown. Default none.
	Spool Spool

	// HTTPClient makes the requests. Redirects are never followed, whatever its
	// CheckRedirect says, as they would carry the write key elsewhere. See
	// docs/opentelemetry.md for one that traces requests. Default: a client of the
	// library's own that uses the environment's proxy and sends no trace headers.
	HTTPClient *http.Client

	// Transport carries the batches, in place of a POST to Endpoint. WriteKey,
	// Endpoint and HTTPClient are not used then. Default none.
	Transport Transport

	// Logger is told what goes wrong, never IDs, properties or traits. If it is
	// enabled for debug level when the client is made, it is also told how requests
	// were classified, named and attributed, and why nothing was sent: once for each
	// route or event and each outcome. Default: discards.
	Logger *slog.Logger

	// NoHints switches off hints in the log about likely mistakes: in what the app sends,
	// in how a middleware is set up, and in names of variables. docs/troubleshooting.md
	// explains them. Default false: each kind is logged once, or at most once an hour.
	NoHints bool

	// MeterProvider is given the client's own metrics: the figures of [Stats], and
	// size, duration and outcome of requests to Klime. See docs/opentelemetry.md for
	// their names. If it panics, as a nil pointer does, only metrics are lost.
	// Default none.
	MeterProvider metric.MeterProvider

	// BeforeSend has the last word before an event is queued: it may change the
	// event, or drop it by returning false. The event is a copy that it may keep,
	// but not change once it has returned. Values are as they come out of JSON:
	// integers are int64, other numbers float64, numbers beyond these json.Number, times
	// strings. A TrackEvent has Properties, the others have Traits; the field that an
	// event does not have is not sent. It runs in the goroutine that tracks, and holds up
	// no other. An event that it leaves with neither user nor group, of an unknown Type,
	// or with a MessageID that is blank or not UTF-8, is refused. A zero Timestamp becomes
	// the original one again. If it panics, the event is dropped. What it drops is counted
	// ([DropBeforeSend]), but not given to OnError; that it has returned false is logged
	// only at debug level. An event that it sends itself comes to it, too: it must not send
	// one for each, which would have no end and overflow the stack. Nor must it call Flush
	// or Shutdown, which wait until their deadline for an event of [RollUp] that it holds
	// up. Default none.
	BeforeSend func(*Event) bool

	// OnSuccess is told of each batch that Klime took, with the events in it that
	// Klime refused. It runs the way OnError does, and must not call Shutdown either.
	// While it blocks, a limited number of these events is kept for it: results of
	// further batches have no Errors, and those of batches beyond 1,000 are added up.
	// Default none.
	OnSuccess func(BatchResult)

	// OnError is told of events that were given up (refused by Klime, pushed out of
	// a full queue, left over at shutdown), and without events when sending is
	// halted, or when the events themselves are lost. The error is a [DeliveryError] if
	// Klime was asked, else one that matches [ErrQueueFull], [ErrSpoolBusy], [ErrSpoolFull]
	// or [ErrSpoolLost], or, of what Shutdown leaves over, how its ctx ended. It runs in a
	// goroutine of its own and may block. While it blocks, a limited number of events is
	// kept for it; the error then says how many more there were. It must not call
	// Shutdown, which waits for it until the deadline. Default none.
	OnError func(error, []Event)

	// SecretKeys says which keys hold secrets, in traits and in properties set with
	// [SetProperty]: their values are sent as "[redacted]", at any depth. An entry is
	// one or more words, and matches a key that has these words in a row, in any case
	// and however divided, singular or plural: "api key" matches userApiKey and API_KEYS.
	// One that ends in = matches only the end of a key: "token=" matches csrfToken, not
	// tokenType. An entry of the default list matches no key that ends in a word which only
	// tells about a secret: apiKeyCount, passwordPolicy. An entry without a word is an error.
	// Booleans, times, and numbers under a plural that only "token=" matches (promptTokens)
	// are not redacted. An empty list that is not nil means no secrets. Default [SecretKeys].
	SecretKeys []string

	// RedactProperties also redacts, by SecretKeys, the properties given to Track.
	// Default false: what the app tracks itself is sent as it is.
	RedactProperties bool

	envErr    error    // what FromEnv could not read, for New to report
	envUnread []string // variables that FromEnv does not read, though they look like it: for New to tell of
}

// withDefaults returns c with the defaults filled in.
func (c Config) withDefaults() Config {
	c.BatchSize = cmp.Or(c.BatchSize, 20)
	c.Endpoint = cmp.Or(c.Endpoint, defaultEndpoint)
	c.FlushInterval = cmp.Or(c.FlushInterval, 2*time.Second)
	c.LinkTTL = cmp.Or(c.LinkTTL, 24*time.Hour)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.QueueBytes = cmp.Or(c.QueueBytes, 64<<20)
	c.QueueSize = cmp.Or(c.QueueSize, 10_000)
	if c.SecretKeys == nil {
		c.SecretKeys = SecretKeys()
	}
	c.RetryDelay = cmp.Or(c.RetryDelay, time.Second)
	c.Senders = cmp.Or(c.Senders, 2)
	c.ShutdownTimeout = cmp.Or(c.ShutdownTimeout, 10*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	return c
}

// validate checks a Config whose defaults are filled in.
func (c Config) validate() error {
	if c.envErr != nil {
		return c.envErr
	}
	if c.WriteKey == "" && c.Transport == nil {
		if len(c.envUnread) > 0 {
			return fmt.Errorf("%w; not read: %s", ErrMissingWriteKey, strings.Join(c.envUnread, ", "))
		}
		return ErrMissingWriteKey
	}
	for _, err := range []error{
		c.App.validate(),
		within("BatchSize", c.BatchSize, 1, delivery.MaxBatchItems),
		within("FlushInterval", c.FlushInterval, time.Millisecond, 24*time.Hour),
		within("LinkTTL", c.LinkTTL, 1, 10_000*time.Hour),
		within("MaxAttempts", c.MaxAttempts, 0, 1_000_000),
		within("Mode", c.Mode, GroupMode, UserMode),
		within("Overflow", c.Overflow, DropOldest, Block),
		within("QueueBytes", int64(c.QueueBytes), maxEventBytes, 1<<40),
		within("QueueSize", c.QueueSize, 1, 100_000_000),
		within("RetryDelay", c.RetryDelay, time.Millisecond, time.Hour),
		within("Senders", c.Senders, 1, 100),
		within("ShutdownTimeout", c.ShutdownTimeout, 1, 24*time.Hour),
		within("Timeout", c.Timeout, time.Millisecond, time.Hour),
	} {
		if err != nil {
			return err
		}
	}
	for _, entry := range c.SecretKeys {
		if !secretkeys.HasWord(entry) {
			return fmt.Errorf("%w: SecretKeys has an entry without a word: %q", ErrInvalidConfig, entry)
		}
	}
	for _, r := range c.WriteKey {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%w: WriteKey has a space or a character that no HTTP header can carry", ErrInvalidConfig)
		}
	}
	return nil
}

// within checks a field against its limits.
func within[T int | int64 | time.Duration | Mode | Overflow](field string, value, low, high T) error {
	if value >= low && value <= high {
		return nil
	}
	hint := ""
	if d, ok := any(value).(time.Duration); ok && 0 < d && d < time.Microsecond {
		hint = "; without a unit, a number is nanoseconds"
	}
	return fmt.Errorf("%w: %s is %v, allowed is %v to %v%s", ErrInvalidConfig, field, value, low, high, hint)
}
