package klime

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Mode says who Klime's customers are.
type Mode int

const (
	// GroupMode: customers are groups (companies, teams, accounts) of users.
	GroupMode Mode = iota
	// UserMode: customers are single users; group IDs are never sent.
	UserMode
)

// Overflow says what gives way to an event for which a full queue has no room.
// Automatic events always go before explicit ones, and never wait.
type Overflow int

const (
	// DropOldest: the oldest event is dropped.
	DropOldest Overflow = iota
	// DropNewest: the new event is refused with [ErrQueueFull].
	DropNewest
	// Block: the call waits for room, in the order in which calls came. It gives up
	// with [ErrQueueFull] when its context ends or sending is halted, and with
	// [ErrClosed] at Shutdown.
	Block
)

const defaultEndpoint = "https://i.klime.com"

// Config configures a [Client]. The zero value of each field stands for its
// default; only WriteKey has none.
type Config struct {
	// AllowInsecure allows an http Endpoint that is not on this machine: the write
	// key and all events then travel in the clear. Default false.
	AllowInsecure bool

	// App is the app that makes the events. Default: not sent.
	App App

	// BatchSize is how many waiting events start a send, 1 to 100. A send takes all
	// that wait, up to 100 events and 10 MB. Default 20.
	BatchSize int

	// BeforeSend has the last word before an event is queued: it may change the
	// event, or drop it by returning false. The event is its own; it may keep it.
	// Values are as JSON has them: integers are int64, other numbers float64, what is
	// beyond these json.Number, times strings. A TrackEvent has Properties, the others
	// have Traits; what is put into the other one is left out. It runs in the goroutine
	// that tracks, and only that one waits. What has neither user nor group afterwards
	// is refused; if it panics, the event is dropped. Default none.
	BeforeSend func(*Event) bool

	// Endpoint is the base URL of Klime. Its path is kept, and /v1/batch is added.
	// It is https, or http for a loopback host. Default https://i.klime.com.
	Endpoint string

	// FlushInterval is the longest an event waits for others before it is sent, 1ms
	// to 24h. Default 2s.
	FlushInterval time.Duration

	// HTTPClient makes the requests. Redirects are not followed whatever it says,
	// as they would carry the write key elsewhere. See docs/opentelemetry.md for
	// one that traces them. Default: a client of its own, with the proxy of the
	// environment, that sends no header of a trace.
	HTTPClient *http.Client

	// LinkTTL is how long a [Link] is known as sent, so that it is not sent again,
	// 10,000h at most. Default 24h.
	LinkTTL time.Duration

	// Logger is told what goes wrong, never IDs or contents of events. One that is
	// enabled for debug level when the client is made is also told, once for each
	// route and event and each thing that can become of it, how a request was
	// classified, named and attributed, and why nothing was sent. Default:
	// discards.
	Logger *slog.Logger

	// MaxAttempts is how often an event is sent before it is given up, and a few
	// times more where others are delivered meanwhile and it must be found which
	// event of a batch is at fault: 1 to 1,000,000. Default 0: transient failures
	// are retried until the event is delivered, pushed out of a full queue, or left
	// over at shutdown.
	MaxAttempts int

	// MeterProvider is given the client's own figures, those of [Stats] and how
	// requests to Klime go: see docs/opentelemetry.md for their names. One that
	// panics, as a nil pointer does, costs these figures alone. Default none.
	MeterProvider metric.MeterProvider

	// Mode says who the customers are. Default GroupMode.
	Mode Mode

	// NoHints keeps from the Logger what is most likely a mistake in what the app
	// sends: IDs that will change or stand for nothing, traits that Klime does not
	// know, users who are never linked to a group. Default false: the Logger is
	// told, of each kind at most once an hour.
	NoHints bool

	// OnError is told of events that were given up (refused by Klime, pushed out of
	// a full queue, left over at shutdown), and without events when sending is
	// halted. It runs in a goroutine of its own and may block, but while it does
	// only so many events are kept for it: then the error says how many more there
	// were. It must not call Shutdown, which waits for it until the deadline.
	// Default none.
	OnError func(error, []Event)

	// OnSuccess is told of each batch that Klime took, with the events in it that
	// Klime refused. It runs like OnError, and must not call Shutdown either.
	// Default none.
	OnSuccess func(BatchResult)

	// Overflow says what gives way when the queue is full. Default DropOldest.
	Overflow Overflow

	// QueueBytes is how many bytes of events are held in memory at most: queued, in
	// flight and waiting for a retry together. Then the oldest event makes room,
	// automatic ones first. A request holds a copy of what it carries beside that,
	// up to 10 MB a sender. It is 200 KiB to 1 TiB. Default 64 MiB.
	QueueBytes int

	// QueueSize is how many events are held in memory at most, likewise: 1 to
	// 100,000,000. Default 10,000.
	QueueSize int

	// RedactProperties also replaces, in the properties of Track, what SecretKeys
	// names. Default false: what the app tracks by itself is sent as it is.
	RedactProperties bool

	// RetryDelay is the wait before the first retry, 1ms to 1h. It doubles for each
	// further one, to 16s, with jitter; Klime may ask for other waits. Default 1s.
	RetryDelay time.Duration

	// SecretKeys says under which keys traits, and properties set with
	// [SetProperty], are secrets: their values are sent as "[redacted]", at any
	// depth. A key is meant if it holds these words one after the other, in
	// whatever case ("api key" means userApiKey, api-key and APIKEY, but not
	// capikeys, singular or plural), and with a = after them if it ends so.
	// Booleans and times are never secrets, nor are numbers under a plural that
	// only "token=" means: promptTokens is a count. An empty list that is not nil
	// means none. Default [SecretKeys].
	SecretKeys []string

	// Senders is how many requests with queued events are made at the same time at
	// most, 1 to 100; those of TrackSync and its like come on top. Default 2.
	Senders int

	// ShutdownTimeout bounds Flush and Shutdown when their context has no deadline.
	// It is 24h at most. Default 10s.
	ShutdownTimeout time.Duration

	// Spool keeps on disk what memory cannot hold, what an outage keeps waiting and
	// what is left at Shutdown: see package core/spool, which opens one, and
	// docs/durability.md. Up to 16 MiB of events wait to be written, beside
	// QueueBytes. The client closes it at Shutdown. Default none.
	Spool Spool

	// Timeout bounds one request, 1ms to 1h. Default 10s.
	Timeout time.Duration

	// Transport carries the batches, in place of a POST to Endpoint. WriteKey,
	// Endpoint and HTTPClient are not used then. Default none.
	Transport Transport

	// WriteKey is the key that Klime gave you to send with. It is needed unless
	// there is a Transport, and not shown when a Config is printed. But of a Config
	// in an unexported field of a struct of yours fmt and slog call no method, and
	// show the key (%v, %+v and the like): do not print such.
	WriteKey string

	envErr error // what FromEnv could not read, for New to report
}

// FromEnv reads a Config from the environment, for [New] to check:
//
//	KLIME_WRITE_KEY       WriteKey
//	KLIME_ENDPOINT        Endpoint
//	KLIME_MODE            Mode: "group" or "user"
//	KLIME_BATCH_SIZE      BatchSize
//	KLIME_FLUSH_INTERVAL  FlushInterval, such as "500ms"
//	KLIME_QUEUE_SIZE      QueueSize
//
//	OTEL_SERVICE_NAME         App.Name
//	OTEL_RESOURCE_ATTRIBUTES  App, by service.name, service.version and
//	                          deployment.environment.name
//
// What is unset is left at its default; what cannot be read makes New fail.
func FromEnv() Config {
	var c Config
	env := environment{}
	c.WriteKey = strings.TrimSpace(os.Getenv("KLIME_WRITE_KEY"))
	c.Endpoint = strings.TrimSpace(os.Getenv("KLIME_ENDPOINT"))
	c.Mode = read(&env, "KLIME_MODE", parseMode)
	c.BatchSize = read(&env, "KLIME_BATCH_SIZE", strconv.Atoi)
	c.FlushInterval = read(&env, "KLIME_FLUSH_INTERVAL", time.ParseDuration)
	c.QueueSize = read(&env, "KLIME_QUEUE_SIZE", strconv.Atoi)
	c.App = appFromEnv()
	c.envErr = errors.Join(env.errs...)
	return c
}

// environment collects what is wrong with the environment.
type environment struct{ errs []error }

// read parses a variable; one that is unset or empty is zero.
func read[T any](env *environment, name string, parse func(string) (T, error)) T {
	var zero T
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return zero
	}
	value, err := parse(text)
	if err != nil {
		env.errs = append(env.errs, fmt.Errorf("%w: %s: %w", ErrInvalidConfig, name, err))
		return zero
	}
	return value
}

func parseMode(text string) (Mode, error) {
	switch strings.ToLower(text) {
	case "group":
		return GroupMode, nil
	case "user":
		return UserMode, nil
	default:
		return 0, fmt.Errorf(`%q is neither "group" nor "user"`, text)
	}
}

// withDefaults returns c with every field set.
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

// validate checks a Config that has its defaults, against one list of limits.
func (c Config) validate() error {
	if c.envErr != nil {
		return c.envErr
	}
	if c.WriteKey == "" && c.Transport == nil {
		return ErrMissingWriteKey
	}
	for _, err := range []error{
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

// batchURL checks the endpoint and returns where batches are posted.
func (c Config) batchURL() (string, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: Endpoint is no URL", ErrInvalidConfig) // err would quote it, key and all
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%w: Endpoint needs https, or http on this machine", ErrInvalidConfig)
	case u.Host == "" || u.Hostname() == "":
		return "", fmt.Errorf("%w: Endpoint has no host", ErrInvalidConfig)
	case u.User != nil:
		return "", fmt.Errorf("%w: Endpoint has user info", ErrInvalidConfig)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%w: Endpoint has a query or fragment", ErrInvalidConfig)
	case u.Scheme == "http" && !c.AllowInsecure && !isLoopback(u.Hostname()):
		return "", fmt.Errorf("%w: Endpoint %s would carry the write key in the clear (see AllowInsecure)", ErrInvalidConfig, u)
	}
	return u.JoinPath("v1", "batch").String(), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
