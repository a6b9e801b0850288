package klime

import (
	"net"
	"strings"
)

// Subdomain returns the label in front of domain in host, in lower case: "acme" for
// "Acme.example.com:443" and "example.com". If there is no label, or several, or "www",
// it returns "". It is for GroupID options of apps that give each customer a subdomain.
// The caller chooses the host it sends: see [RequireMembership].
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
