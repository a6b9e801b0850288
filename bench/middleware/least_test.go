package middleware

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// least is a sketch of about the least that one event for each request must cost. It
// writes the same bytes as klime, queues them, and joins up to 100 events in another
// goroutine. It finds no user, decides nothing and bounds nothing, and user, customer and
// route are constants. What klime costs beyond this is the cost of finding and deciding.
type least struct {
	mu     sync.Mutex
	memory []byte   // shared by events
	queue  [][]byte // events
	made   int      // events so far
	second int64    // of the last event
	text   []byte   // that second, formatted

	wake chan struct{}
	done chan struct{}
	last atomic.Pointer[[]byte] // the last batch
}

// leastScope is the request's context and its writer in one.
type leastScope struct {
	context.Context //nolint:containedctx // leastScope is itself a context

	wrapper
}

func (s *leastScope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return s.Context.Value(key)
}

const (
	leastBatch = 100
	leastDue   = 20
)

func newLeast() *least {
	l := &least{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for range l.wake {
			l.drain()
		}
	}()
	return l
}

func (l *least) close() {
	close(l.wake)
	<-l.done
}

func (l *least) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		scope := &leastScope{r.Context(), wrapper{ResponseWriter: w}}
		next.ServeHTTP(&scope.wrapper, r.WithContext(scope))
		l.push(start, time.Since(start), &scope.wrapper)
	})
}

func (l *least) push(start time.Time, took time.Duration, seen *wrapper) {
	const block, most = 16 << 10, 1 << 10
	l.mu.Lock()
	if cap(l.memory)-len(l.memory) < most {
		l.memory = make([]byte, 0, block)
	}
	b := l.memory[len(l.memory):]
	b = append(b, `{"type":"track","messageId":"`...)
	b = appendID(b)
	b = append(b, `","event":"API Called","userId":"`+user+`","groupId":"`+customer+`","timestamp":"`...)
	b = l.appendTime(b, start)
	b = append(b, `","properties":{"method":"GET","route":"`+route+`","status":`...)
	b = strconv.AppendInt(b, int64(seen.status), 10)
	b = append(b, `,"durationMs":`...)
	b = strconv.AppendInt(b, took.Microseconds()/1000, 10)
	b = appendThousandths(append(b, '.'), int(took.Microseconds()%1000))
	b = append(b, `,"responseBytes":`...)
	b = strconv.AppendInt(b, seen.bytes, 10)
	b = append(b, `,"requestBytes":0},"context":{"library":{"name":"go-sdk","version":"`+klime.Version+`"}}}`...)
	l.memory = l.memory[:len(l.memory)+len(b)]
	l.queue = append(l.queue, b)
	l.made++
	due := len(l.queue) == leastDue
	l.mu.Unlock()
	if due {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// appendID appends a random UUID.
func appendID(b []byte) []byte {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	b = append(hex.AppendEncode(b, id[:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:])
}

// appendTime formats each second only once.
func (l *least) appendTime(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != l.second {
		l.second, l.text = second, t.UTC().AppendFormat(l.text[:0], "2006-01-02T15:04:05.")
	}
	return append(appendThousandths(append(b, l.text...), t.Nanosecond()/1e6), 'Z')
}

func appendThousandths(b []byte, n int) []byte {
	return append(b, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
}

// verify checks that each request has made one event.
func (l *least) verify(requests int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made != requests {
		return errNotSent
	}
	return complete(*l.last.Load())
}

// drain joins the queued events into batches.
func (l *least) drain() {
	l.mu.Lock()
	events := l.queue
	l.queue = make([][]byte, 0, leastBatch)
	l.mu.Unlock()
	for len(events) > 0 {
		n := min(len(events), leastBatch)
		batch := bytes.Join(events[:n], []byte(","))
		l.last.Store(&batch)
		events = events[n:]
	}
}
