package klime

import (
	"strconv"
	"strings"
)

// requestProperties are the properties of an automatic event.
type requestProperties struct {
	exchange *Exchange
	route    *route
	kind     Kind
	extra    []property // from SetProperty; these win over the library's own
	captured captured

	sampleRate float64 // 0 if not sampled
}

// append appends the properties as a JSON object.
func (p *requestProperties) append(b []byte) []byte {
	x := p.exchange
	b = append(b, '{')
	if p.ours("method") {
		b = append(append(append(b, `"method":"`...), x.Method...), `",`...) // a known method needs no escapes
	}
	if p.route.text != "" && p.ours("route") {
		b = append(append(b, p.route.property...), ',')
	}
	if x.Status > 0 && p.ours("status") {
		b = appendNumber(b, `"status":`, int64(x.Status))
	}
	if status, ok := x.grpcStatus(); ok && p.ours("grpcStatus") {
		b = appendNumber(b, `"grpcStatus":`, status)
	}
	if x.Aborted && p.ours("aborted") {
		b = append(b, `"aborted":true,`...)
	}
	if p.kind == KindStream {
		if p.ours("protocol") {
			b = append(append(append(b, `"protocol":"`...), protocolOf(x)...), `",`...)
		}
		b = p.appendTook(b, "openMs", `"openMs":`)
	} else {
		b = p.appendTook(b, "durationMs", `"durationMs":`)
	}
	if x.ResponseBytes >= 0 && p.ours("responseBytes") {
		b = appendNumber(b, `"responseBytes":`, x.ResponseBytes)
	}
	if x.RequestBytes >= 0 && p.ours("requestBytes") {
		b = appendNumber(b, `"requestBytes":`, x.RequestBytes)
	}
	b = p.appendAsked(b)
	for _, extra := range p.extra {
		b = append(append(b, extra.member...), ',')
	}
	if last := len(b) - 1; b[last] == ',' {
		b = b[:last]
	}
	return append(b, '}')
}

// appendAsked appends what an option has asked for.
func (p *requestProperties) appendAsked(b []byte) []byte {
	if p.captured.path != "" && p.ours("path") {
		b = append(appendString(append(b, `"path":`...), p.captured.path), ',')
	}
	if p.captured.referrer != "" && p.ours("referrer") {
		b = append(appendString(append(b, `"referrer":`...), p.captured.referrer), ',')
	}
	if p.sampleRate > 0 && p.ours("sampleRate") {
		b, _ = appendFloat(append(b, `"sampleRate":`...), p.sampleRate) // never NaN or infinite
		b = append(b, ',')
	}
	return b
}

// ours reports whether the library sets a property: the app has not set it itself.
func (p *requestProperties) ours(name string) bool {
	for i := range p.extra {
		if p.extra[i].key == name {
			return false
		}
	}
	return true
}

// appendTook appends the duration as a member, if it is known.
func (p *requestProperties) appendTook(b []byte, name, member string) []byte {
	if p.exchange.Start.IsZero() || p.exchange.Unfinished || !p.ours(name) {
		return b
	}
	return append(appendMillis(append(b, member...), p.exchange.took), ',')
}

// appendNumber appends a member and the comma after it.
func appendNumber(b []byte, member string, value int64) []byte {
	return append(strconv.AppendInt(append(b, member...), value, 10), ',')
}

// protocolOf names the protocol of a stream. The caller's Upgrade header may say
// anything, so only known names are passed on.
func protocolOf(x *Exchange) string {
	switch {
	case !x.speaksAnotherProtocol():
		return "sse"
	case strings.EqualFold(x.header("Upgrade"), "websocket"):
		return "websocket"
	default:
		return "other"
	}
}

// property is a property with its encoding: "key":value.
type property struct {
	key    string
	member []byte
}

// maxProperties is how many properties the app may add to a request's event.
const maxProperties = 100

// maxPropertyBytes is how many bytes these properties may have together, encoded. It
// leaves room for the rest of the event, which would be refused if it were too large: most
// of it for what [Capture] asks for. Its four values have up to [maxCaptured] each, which
// escaping makes up to six times as long.
const maxPropertyBytes = maxEventBytes - 48*1024

// setProperty sets a property, or returns ErrEventTooLarge if there is no room for it.
func (r *request) setProperty(key string, member []byte) error {
	size, at := len(member), len(r.properties)
	for i, p := range r.properties {
		if p.key == key {
			at = i
		} else {
			size += len(p.member)
		}
	}
	switch {
	case size > maxPropertyBytes, at == maxProperties:
		return ErrEventTooLarge
	case at < len(r.properties):
		r.properties[at].member = member
	default:
		r.properties = append(r.properties, property{strings.Clone(key), member})
	}
	return nil
}
