package klime

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const defaultEndpoint = "https://i.klime.com"

// batchURL checks the endpoint and returns where batches are posted.
func (c Config) batchURL() (string, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		// err would quote it, key and all
		return "", fmt.Errorf("%w: Endpoint is not a URL such as https://klime.example.com or http://127.0.0.1:8081", ErrInvalidConfig)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%w: Endpoint must begin with https://, or with http:// on this machine", ErrInvalidConfig)
	case u.Host == "" || u.Hostname() == "":
		return "", fmt.Errorf("%w: Endpoint has no host", ErrInvalidConfig)
	case !isPort(u.Port()):
		return "", fmt.Errorf("%w: Endpoint has no valid port", ErrInvalidConfig)
	case u.User != nil:
		return "", fmt.Errorf("%w: Endpoint has user info", ErrInvalidConfig)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%w: Endpoint has a query or fragment", ErrInvalidConfig)
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/v1/batch"):
		return "", fmt.Errorf("%w: Endpoint must be without /v1/batch, which is added to it", ErrInvalidConfig)
	case u.Scheme == "http" && !c.AllowInsecure && !isLoopback(u.Hostname()):
		return "", fmt.Errorf("%w: Endpoint %s would carry the write key in the clear (see AllowInsecure)", ErrInvalidConfig, u)
	}
	return u.JoinPath("v1", "batch").String(), nil
}

// isPort reports whether s is a port, or none.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
