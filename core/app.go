package klime

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// App describes the app that makes the events. It is sent as context.app, without
// its empty fields.
type App struct {
	Name        string // such as "billing-api"
	Version     string // in whatever form the app has
	Environment string // such as "production"
}

// maxAppBytes bounds each field of an App, which is part of every event.
const maxAppBytes = 1 << 10

func (a App) validate() error {
	for _, field := range []struct{ name, value string }{{"Name", a.Name}, {"Version", a.Version}, {"Environment", a.Environment}} {
		if n := len(field.value); n > maxAppBytes {
			return fmt.Errorf("%w: App.%s has %d bytes, allowed are up to %d", ErrInvalidConfig, field.name, n, maxAppBytes)
		}
	}
	return nil
}

// encode returns context.app as a JSON member after a comma, "" if all fields are
// empty.
func (a App) encode() string {
	b := append([]byte(nil), `,"app":{`...)
	for _, member := range []struct{ key, value string }{{"name", a.Name}, {"version", a.Version}, {"environment", a.Environment}} {
		if member.value != "" {
			b = appendString(appendKey(b, member.key), member.value)
		}
	}
	if b[len(b)-1] == '{' {
		return ""
	}
	return string(append(b, '}'))
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
