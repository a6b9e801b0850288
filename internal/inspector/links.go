package inspector

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// maxHandle is the length in bytes beyond which links hold a hash of a text.
const maxHandle = 300

// handle stands for an ID or a name in links and forms. It is the text itself, or, as a
// page full of long ones could not be loaded, the hash of a long text.
func handle(s string) string {
	if len(s) <= maxHandle {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// matchesHandle reports whether a link or a script asks for s, by itself or by its hash.
func matchesHandle(s, asked string) bool {
	return s == asked || len(s) > maxHandle && handle(s) == asked
}

func userLink(id string) string { return "/user?" + url.Values{"id": {handle(id)}}.Encode() }

func customerLink(id string) string { return "/customer?" + url.Values{"id": {handle(id)}}.Encode() }

// groupLink leads to the customer's page, or, if the group is not a customer, to its
// events.
func (f *figures) groupLink(id string) string {
	if f.mode == GroupMode && f.customers[id] != nil {
		return customerLink(id)
	}
	return eventsLink("group", id)
}

func eventsLink(key, value string) string {
	return "/events?" + url.Values{key: {handle(value)}}.Encode()
}

func problemsLink(code string) string {
	return "/events?" + url.Values{showKey: {"problems"}, "code": {code}}.Encode()
}

func kindLink(k *ingest.Kind) string {
	if k.Type != ingest.TypeTrack {
		return eventsLink("type", k.Type)
	}
	return eventsLink("event", k.Name)
}
