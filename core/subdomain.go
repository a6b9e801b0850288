package klime

import (
	"net"
	"strings"
)

// Subdomain returns the label that host has in front of domain, "" if it has
// none or several, or "www": "acme" of "Acme.example.com:443" in "example.com". It is for
// GroupID options of apps that give each customer a subdomain. The host is what
// the client sent: see [RequireMembership].
func Subdomain(host, domain string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	label, ok := strings.CutSuffix(host, "."+strings.ToLower(strings.Trim(domain, ".")))
	if !ok || label == "www" || strings.ContainsAny(label, ". *") {
		return ""
	}
	return label
}
