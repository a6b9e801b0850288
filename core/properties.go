package klime

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// requestProperties are the properties of an automatic event.
type requestProperties struct {
	exchange *Exchange
	kind     Kind
	duration time.Duration
	extra    []property // by SetProperty; these win
	captured captured

	sampleRate float64 // 0 if not sampled
}

// append appends the properties as a JSON object.
func (p *requestProperties) append(b []byte) []byte {
	x := p.exchange
	b = append(b, '{')
	b = p.text(b, "method", x.Method)
	b = p.text(b, "route", x.Route)
	if x.Status > 0 {
		b = p.number(b, "status", int64(x.Status))
	}
	if x.Aborted && p.key(&b, "aborted") {
		b = append(b, "true"...)
	}
	if p.kind == KindStream {
		b = p.text(b, "protocol", protocolOf(x))
		b = p.millis(b, "openMs")
	} else {
		b = p.millis(b, "durationMs")
	}
	if x.ResponseBytes >= 0 {
		b = p.number(b, "responseBytes", x.ResponseBytes)
	}
	if x.RequestBytes >= 0 {
		b = p.number(b, "requestBytes", x.RequestBytes)
	}
	b = p.text(b, "path", p.captured.path)
	b = p.text(b, "referrer", p.captured.referrer)
	if p.sampleRate > 0 && p.key(&b, "sampleRate") {
		b, _ = appendFloat(b, p.sampleRate) // it is a number
	}
	for _, extra := range p.extra {
		b = appendKey(b, extra.key)
		b = append(b, extra.value...)
	}
	return append(b, '}')
}

// key appends a key of ours unless the app has set that property itself.
func (p *requestProperties) key(b *[]byte, name string) bool {
	for i := range p.extra {
		if p.extra[i].key == name {
			return false
		}
	}
	*b = appendKey(*b, name)
	return true
}

func (p *requestProperties) text(b []byte, name, value string) []byte {
	if value != "" && p.key(&b, name) {
		b = appendString(b, value)
	}
	return b
}

func (p *requestProperties) number(b []byte, name string, value int64) []byte {
	if p.key(&b, name) {
		b = strconv.AppendInt(b, value, 10)
	}
	return b
}

func (p *requestProperties) millis(b []byte, name string) []byte {
	if !p.exchange.Start.IsZero() && !p.exchange.Unfinished && p.key(&b, name) {
		b = appendMillis(b, p.duration)
	}
	return b
}

// protocolOf names the protocol of a stream. What the client asks for may be
// anything.
func protocolOf(x *Exchange) string {
	switch {
	case x.Status != http.StatusSwitchingProtocols:
		return "sse"
	case strings.EqualFold(x.header("Upgrade"), "websocket"):
		return "websocket"
	default:
		return "other"
	}
}

// appendKey appends the key of an object's next member.
func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, key), ':')
}
