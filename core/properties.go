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
	b = p.appendText(b, `"method":`, x.Method)
	if p.route.text != "" && p.ours(routeMember) {
		b = append(append(b, p.route.property...), ',')
	}
	if x.Status > 0 {
		b = p.appendInt(b, `"status":`, int64(x.Status))
	}
	if status, ok := x.grpcStatus(); ok {
		b = p.appendInt(b, `"grpcStatus":`, status)
	}
	if x.Aborted {
		b = p.appendTrue(b, `"aborted":`)
	}
	if p.kind == KindStream {
		b = p.appendText(b, `"protocol":`, protocolOf(x))
		b = p.appendTook(b, `"openMs":`)
	} else {
		b = p.appendTook(b, `"durationMs":`)
	}
	if x.ResponseBytes >= 0 {
		b = p.appendInt(b, `"responseBytes":`, x.ResponseBytes)
	}
	if x.RequestBytes >= 0 {
		b = p.appendInt(b, `"requestBytes":`, x.RequestBytes)
	}
	b = p.appendText(b, `"path":`, p.captured.path)
	b = p.appendText(b, `"referrer":`, p.captured.referrer)
	if p.sampleRate > 0 {
		b = p.appendFloat(b, `"sampleRate":`, p.sampleRate)
	}
	for _, extra := range p.extra {
		b = append(append(b, extra.member...), ',')
	}
	if last := len(b) - 1; b[last] == ',' {
		b = b[:last]
	}
	return append(b, '}')
}

// ours reports whether the library sets the property whose member begins like this, such as
// with "status": and its colon. It does not if the app has set it itself: then none of the
// functions below, which also write the comma after the member, appends anything.
func (p *requestProperties) ours(begin string) bool {
	name := begin[1 : len(begin)-len(`":`)]
	for i := range p.extra { // not by slices, which takes twice as long
		if p.extra[i].key == name {
			return false
		}
	}
	return true
}

// appendText appends a text, unless it is empty.
func (p *requestProperties) appendText(b []byte, begin, text string) []byte {
	if text == "" || !p.ours(begin) {
		return b
	}
	return append(appendString(append(b, begin...), text), ',')
}

func (p *requestProperties) appendInt(b []byte, begin string, n int64) []byte {
	if !p.ours(begin) {
		return b
	}
	return append(strconv.AppendInt(append(b, begin...), n, 10), ',')
}

// appendFloat appends a number that is neither NaN nor infinite.
func (p *requestProperties) appendFloat(b []byte, begin string, n float64) []byte {
	if !p.ours(begin) {
		return b
	}
	b, _ = appendFloat(append(b, begin...), n)
	return append(b, ',')
}

func (p *requestProperties) appendTrue(b []byte, begin string) []byte {
	if !p.ours(begin) {
		return b
	}
	return append(append(b, begin...), "true,"...)
}

// appendTook appends the duration, if it is known.
func (p *requestProperties) appendTook(b []byte, begin string) []byte {
	if p.exchange.Start.IsZero() || p.exchange.Unfinished || !p.ours(begin) {
		return b
	}
	return append(appendMillis(append(b, begin...), p.exchange.took), ',')
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
