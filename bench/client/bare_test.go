package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"sync"
	"testing"
)

// bare is a client that one might write in an afternoon: encoding/json in the call,
// batches of a hundred, two senders. It does not retry, and has no bound except for the
// number of waiting batches.
type bare struct {
	progress

	tb      testing.TB
	url     string
	client  *http.Client
	batches chan [][]byte
	ended   sync.WaitGroup

	mu     sync.Mutex
	events [][]byte // the next batch
}

func newBare(tb testing.TB, endpoint string, transport http.RoundTripper) *bare {
	tb.Helper()
	b := &bare{
		progress: newProgress(), tb: tb, url: endpoint + "/v1/batch", client: &http.Client{Transport: transport}, batches: make(chan [][]byte, 100),
	}
	for range 2 {
		b.ended.Go(b.send)
	}
	return b
}

func (b *bare) track() {
	b.given.Add(1)
	encoded := b.encode()
	b.mu.Lock()
	b.events = append(b.events, encoded)
	var full [][]byte
	if len(b.events) == batch {
		full, b.events = b.events, make([][]byte, 0, batch)
	}
	b.mu.Unlock()
	if full != nil {
		b.batches <- full
	}
}

func (b *bare) close() {
	close(b.batches)
	b.ended.Wait()
	b.client.CloseIdleConnections()
}

func (b *bare) send() {
	for events := range b.batches {
		body := bytes.NewBufferString(`{"batch":[`)
		body.Write(bytes.Join(events, []byte{','}))
		body.WriteString(`]}`)
		b.post(body.Bytes())
		b.deliver(len(events))
	}
}

func (b *bare) post(body []byte) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		b.tb.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+key)
	answer, err := b.client.Do(request)
	if err != nil {
		b.tb.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		b.tb.Error(answer.Status)
	}
}

// newID is a random UUID.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := make([]byte, 0, 36)
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		start := [...]int{0, 4, 6, 8, 10}[i]
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, id[start:end])
	}
	return string(text)
}
