package klime

import "net/http"

// knownMethod returns a method of HTTP (RFC 9110, 5789 and 4918) as it is, and "_OTHER"
// for any other, as OpenTelemetry does: callers can invent any number of methods. The
// result is a constant, so it may be kept even if the framework reuses the memory of
// method.
func knownMethod(method string) string {
	for _, known := range [...]string{ // the usual ones first
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions,
		http.MethodConnect, http.MethodTrace, "QUERY", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT",
	} {
		if method == known {
			return known
		}
	}
	return "_OTHER"
}
