package middleware

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// least is the least that makes an event of each request: it writes what klime writes,
// queues it, and joins up to 100 of them beside the caller. It asks for nobody, decides
// nothing, bounds nothing, and knows here what it could not know elsewhere. What klime
// costs beyond this, it costs to do without asking.
type least struct {
	mu     sync.Mutex
	memory []byte   // that events share
	queue  [][]byte // of them
	made   int

	wake chan struct{}
	done chan struct{}
	last atomic.Pointer[[]byte] // batch
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
	return floorOf(next, func(start time.Time, seen *wrapper) {
		l.push(start, time.Since(start), seen)
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
	b = start.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","properties":{"method":"GET","route":"`+route+`","status":`...)
	b = strconv.AppendInt(b, int64(seen.status), 10)
	b = append(b, `,"durationMs":`...)
	b = strconv.AppendInt(b, took.Milliseconds(), 10)
	b = append(b, `,"responseBytes":`...)
	b = strconv.AppendInt(b, seen.bytes, 10)
	b = append(b, `,"requestBytes":0},"context":{"library":{"name":"go-sdk","version":"0.0.0"}}}`...)
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

func appendID(b []byte) []byte {
	var id [16]byte
	for i := 0; i < len(id); i += 8 {
		v := rand.Uint64()
		for j := range 8 {
			id[i+j] = byte(v >> (8 * j))
		}
	}
	return hex.AppendEncode(b, id[:])
}

// verify is that of a subject whose requests are each one event.
func (l *least) verify(requests int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made != requests {
		return errNotSent
	}
	return complete(*l.last.Load())
}

// drain joins what is queued.
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
