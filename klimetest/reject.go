package klimetest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
)

// reject answers a request that meets a Reject: Klime gets the rest of its batch.
func (b *backend) reject(w http.ResponseWriter, r *http.Request, indexes []int) {
	body, _ := io.ReadAll(r.Body)
	rest, restIndexes, rejected := splitBatch(body, indexes)
	r.Body = io.NopCloser(bytes.NewReader(rest))
	r.ContentLength = int64(len(rest))
	answer := httptest.NewRecorder()
	b.ingest.ServeHTTP(answer, r)
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	if answer.Code != http.StatusOK {
		_, _ = w.Write(answer.Body.Bytes())
		return
	}
	b.mu.Lock()
	b.rejected += len(rejected)
	b.mu.Unlock()
	_, _ = w.Write(wholeAnswer(answer.Body.Bytes(), restIndexes, rejected))
}

// What the answer says of the events that a Reject refuses.
const (
	rejectCode    = "rejected"
	rejectMessage = "rejected by the test"
)

// batchAnswer is Klime's answer to a batch.
type batchAnswer struct {
	Status   string      `json:"status"`
	Accepted int         `json:"accepted"`
	Failed   int         `json:"failed"`
	Errors   []rejection `json:"errors,omitempty"`
}

type rejection struct {
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// splitBatch returns a batch without the events at these indexes, the indexes that
// the remaining events had in body, and those of the events that were left out. A
// body that is no batch is returned as it is, for Klime to judge.
func splitBatch(body []byte, indexes []int) (rest []byte, restIndexes, rejected []int) {
	var batch struct {
		Batch []json.RawMessage `json:"batch"`
	}
	if err := json.Unmarshal(body, &batch); err != nil || batch.Batch == nil {
		return body, nil, nil
	}
	left := []json.RawMessage{}
	for i, event := range batch.Batch {
		if slices.Contains(indexes, i) {
			rejected = append(rejected, i)
		} else {
			left, restIndexes = append(left, event), append(restIndexes, i)
		}
	}
	batch.Batch = left
	rest, _ = json.Marshal(batch) //nolint:errchkjson // raw messages that were just read
	return rest, restIndexes, rejected
}

// wholeAnswer turns Klime's answer to the rest of a batch into one to the whole
// batch. The indexes are those that splitBatch returned.
func wholeAnswer(restAnswer []byte, restIndexes, rejected []int) []byte {
	var whole batchAnswer
	_ = json.Unmarshal(restAnswer, &whole) // our own JSON
	for i := range whole.Errors {
		whole.Errors[i].Index = restIndexes[whole.Errors[i].Index]
	}
	for _, index := range rejected {
		whole.Errors = append(whole.Errors, rejection{Index: index, Code: rejectCode, Message: rejectMessage})
	}
	slices.SortFunc(whole.Errors, func(a, b rejection) int { return a.Index - b.Index })
	whole.Failed = len(whole.Errors)
	text, _ := json.Marshal(whole) //nolint:errchkjson // strings and numbers
	return text
}
