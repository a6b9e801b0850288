package klime

import "fmt"

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
