package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// splitBatch cuts a body {"batch":[…]} into the elements of its array. Klime
// accepts up to 100 events a batch, and an empty batch as a test of the key.
//
// It reads tokens instead of unmarshalling the whole body, so that a body of millions
// of tiny members takes no more memory than it has bytes.
func splitBatch(body []byte) ([]json.RawMessage, *refusal) {
	if !json.Valid(body) {
		return nil, badRequest(CodeInvalidJSON, "the body is not JSON")
	}
	noBatch := badRequest(CodeInvalidBatch, `the body must be an object with an array "batch"`)

	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, noBatch
	}
	var batch []json.RawMessage
	found := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, noBatch
		}
		if name != "batch" {
			var ignored json.RawMessage
			if err := dec.Decode(&ignored); err != nil {
				return nil, noBatch
			}
			continue
		}
		if t, err := dec.Token(); err != nil || t != json.Delim('[') {
			return nil, noBatch
		}
		batch, found = nil, true // if two members have this name, the last counts
		for dec.More() {
			if len(batch) == MaxBatchEvents {
				return nil, badRequest(CodeTooManyEvents, fmt.Sprintf("a batch may have %d events", MaxBatchEvents))
			}
			var element json.RawMessage
			if err := dec.Decode(&element); err != nil {
				return nil, noBatch
			}
			batch = append(batch, element)
		}
		if _, err := dec.Token(); err != nil { // the closing bracket
			return nil, noBatch
		}
	}
	if !found {
		return nil, noBatch
	}
	return batch, nil
}
