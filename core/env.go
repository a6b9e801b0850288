package klime

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
// An unset variable leaves the default. A KLIME variable that cannot be parsed makes
// New fail; malformed parts of OTEL_RESOURCE_ATTRIBUTES are ignored. Of other variables
// whose names begin with KLIME_, which may be typing errors, New tells the Logger, unless
// NoHints is set.
func FromEnv() Config {
	var c Config
	env := environment{}
	c.WriteKey = env.text("KLIME_WRITE_KEY")
	c.Endpoint = env.text("KLIME_ENDPOINT")
	c.Mode = read(&env, "KLIME_MODE", parseMode)
	c.BatchSize = read(&env, "KLIME_BATCH_SIZE", parseCount)
	c.FlushInterval = read(&env, "KLIME_FLUSH_INTERVAL", time.ParseDuration)
	c.QueueSize = read(&env, "KLIME_QUEUE_SIZE", parseCount)
	c.App = appFromEnv()
	c.envErr = errors.Join(env.errs...)
	c.envUnread = env.unread()
	return c
}

// environment reads the environment's variables, and collects the errors in them.
type environment struct {
	names []string // of the variables that were read
	errs  []error
}

// text returns a variable, "" if it is unset or blank.
func (env *environment) text(name string) string {
	env.names = append(env.names, name)
	return strings.TrimSpace(os.Getenv(name))
}

// unread returns the names of the other variables that begin with KLIME_, sorted. Those
// that Kubernetes sets for a service of such a name are no mistake.
func (env *environment) unread() (names []string) {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case !strings.HasPrefix(name, "KLIME_"), strings.TrimSpace(value) == "", slices.Contains(env.names, name):
		case strings.Contains(name, "_SERVICE_HOST"), strings.Contains(name+"_", "_PORT_"):
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// read parses a variable. If it is unset or empty, read returns zero.
func read[T any](env *environment, name string, parse func(string) (T, error)) T {
	var zero T
	text := env.text(name)
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

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of events, such as 20", text)
	}
	return n, nil
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

// appFromEnv reads the same variables as OpenTelemetry's SDKs (specification
// 1.49.0, "Resource SDK"). It skips malformed pairs, and what is too long for klime: these
// variables are not for klime alone.
func appFromEnv() App {
	known := map[string]string{}
	for pair := range strings.SplitSeq(os.Getenv("OTEL_RESOURCE_ATTRIBUTES"), ",") {
		key, value, _ := strings.Cut(pair, "=")
		if text, err := url.PathUnescape(strings.TrimSpace(value)); err == nil && len(text) <= maxAppBytes {
			known[strings.TrimSpace(key)] = strings.TrimSpace(text)
		}
	}
	a := App{
		Name:        known["service.name"],
		Version:     known["service.version"],
		Environment: known["deployment.environment.name"],
	}
	if name := strings.TrimSpace(os.Getenv("OTEL_SERVICE_NAME")); name != "" && len(name) <= maxAppBytes {
		a.Name = name
	}
	if a.Environment == "" {
		a.Environment = known["deployment.environment"] // as it was called before version 1.27.0 of the conventions
	}
	return a
}

// hintUnread tells of variables that are most likely typing errors. It never tells values.
func (c *Client) hintUnread() {
	if len(c.cfg.envUnread) > 0 {
		c.hint(slog.LevelWarn, "FromEnv does not read these variables; are their names right?", slog.Any("names", c.cfg.envUnread))
	}
}
