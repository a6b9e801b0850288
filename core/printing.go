package klime

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
)

// The write key must not get into logs, however a Config is printed. It cannot be
// hidden in an unexported field of another struct, or from the verbs %w and %p: there fmt
// calls no methods, and prints WriteKey as the string it is.

// hidden is printed in place of a secret.
const hidden = "[hidden]"

// String describes the Config without its write key.
func (c Config) String() string {
	return fmt.Sprintf("klime.Config{Endpoint: %q, Mode: %d, WriteKey: %s}", c.shownEndpoint(), c.Mode, c.shownKey())
}

// Format makes every verb print [Config.String], except those for which fmt calls no
// methods: %T, and %w and %p, which are mistakes here.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue implements [slog.LogValuer].
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes [Config.String].
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(c.String()) //nolint:wrapcheck // a string has no error
}

// shownEndpoint returns the endpoint, unless it may contain a password. (New refuses
// such an endpoint.)
func (c Config) shownEndpoint() string {
	if u, err := url.Parse(c.Endpoint); err != nil || u.User != nil {
		return hidden
	}
	return c.Endpoint
}

func (c Config) shownKey() string {
	if c.WriteKey == "" {
		return "none"
	}
	return hidden
}

// String says only that c is a Client, and nothing of what is in it.
func (c *Client) String() string {
	if c == nil {
		return "klime.Client(nil)"
	}
	return "klime.Client"
}

// Format makes every verb print [Client.String].
func (c *Client) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }
