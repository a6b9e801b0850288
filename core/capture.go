package klime

import (
	"net/netip"
	"net/url"
)

// Captured is a part of a request that is recorded only if [Capture] asks for it, as it
// may identify a person. At most 2 KiB of each are sent, before escapes.
type Captured int

// What [Capture] can ask for.
const (
	IP        Captured = iota // context.ip: the caller's address, by the framework's rules for proxies; absent behind a Unix socket
	UserAgent                 // context.userAgent
	Path                      // property path: as requested, with any token in it, without the query
	Referrer                  // property referrer: without query, fragment and user info
)

// captured holds what was asked for and found.
type captured struct{ ip, userAgent, path, referrer string }

func (t *Tracker) captureFrom(x *Exchange) captured {
	var c captured
	for _, what := range t.capture {
		switch what {
		case IP:
			if x.Caller != nil {
				c.ip = addressOf(x.Caller.ClientIP())
			}
		case UserAgent:
			c.userAgent = bounded(x.header("User-Agent"))
		case Path:
			c.path = bounded(x.Path)
		case Referrer:
			c.referrer = bounded(withoutSecrets(x.header("Referer")))
		}
	}
	return c
}

// maxCaptured is how many bytes of each captured value are sent. Without a limit, a
// caller could make its events too large to be sent: see [maxPropertyBytes].
const maxCaptured = 2048

func bounded(s string) string { return s[:min(len(s), maxCaptured)] }

// addressOf returns the IP address in s without its port, if there is one (some proxies
// add it), and "" if s is none: the peer of a Unix socket is "@".
func addressOf(s string) string {
	if len(s) > maxCaptured {
		return ""
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return s
	}
	if address, err := netip.ParseAddrPort(s); err == nil {
		return address.Addr().String()
	}
	return ""
}

// withoutSecrets returns a URL without the parts that may hold a secret, "" if it cannot
// be parsed.
func withoutSecrets(link string) string {
	u, err := url.Parse(link)
	if err != nil || link == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
