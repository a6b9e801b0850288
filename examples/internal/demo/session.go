package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// SessionCookie is the name of the cookie that holds a session.
const SessionCookie = "sundial_session"

const sessionTTL = 12 * time.Hour

// signer signs bytes, to prove that they come from somebody who has the key.
type signer struct{ key []byte }

func (s signer) sign(data []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	_, _ = h.Write(data) // a hash never fails to write
	return h.Sum(nil)
}

func (s signer) verify(data, signature []byte) bool {
	return hmac.Equal(signature, s.sign(data)) // in constant time
}

// ticket is what a session cookie holds. It is signed, not secret.
type ticket struct {
	user, org string // IDs
}

// sealer turns tickets into cookie values and back. A value is the ticket with its
// expiry, a dot, and the signature of both, each in base64.
type sealer struct {
	signer

	ttl time.Duration
}

func (s sealer) seal(t ticket) string {
	expires := time.Now().Add(s.ttl).Unix()
	data := []byte(url.Values{"user": {t.user}, "org": {t.org}, "expires": {strconv.FormatInt(expires, 10)}}.Encode())
	return encode(data) + "." + encode(s.sign(data))
}

// open returns the ticket, or ErrSignedOut if the value was not made by seal
// with this key, or has expired.
func (s sealer) open(value string) (ticket, error) {
	encoded, signature, _ := strings.Cut(value, ".")
	data, ok := decode(encoded)
	mac, ok2 := decode(signature)
	if !ok || !ok2 || !s.verify(data, mac) {
		return ticket{}, ErrSignedOut
	}
	values, err := url.ParseQuery(string(data)) // trusted from here on: seal wrote it
	if err != nil {
		return ticket{}, ErrSignedOut
	}
	expires, err := strconv.ParseInt(values.Get("expires"), 10, 64)
	if err != nil || time.Now().Unix() >= expires {
		return ticket{}, ErrSignedOut
	}
	return ticket{values.Get("user"), values.Get("org")}, nil
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func decode(text string) (data []byte, ok bool) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return data, err == nil
}

// sessionCookie returns a cookie that scripts cannot read (HttpOnly), and that browsers
// do not send with forms of other sites (SameSite). An app on HTTPS also sets Secure.
// This one is on http://127.0.0.1.
func sessionCookie(value string, ttl time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without Secure: there is no TLS on 127.0.0.1
		Name: SessionCookie, Value: value, Path: "/", MaxAge: int(ttl / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// SignOutCookie returns the cookie that ends a session.
func SignOutCookie() *http.Cookie { return sessionCookie("", -time.Second) }
