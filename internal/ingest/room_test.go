package ingest

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is counted of users and groups is what they take, whatever was forgotten.
func TestFactBytesAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := New(Options{MaxEvents: 20, MaxBytes: 9000})
	for i := range 3000 {
		user, group := fmt.Sprint("u", random.IntN(40)), fmt.Sprint("g", random.IntN(30))
		traits := fmt.Sprintf(`{"a%d":%q}`, random.IntN(10), strings.Repeat("x", random.IntN(40)))
		fields := []string{
			fmt.Sprintf(`"type":"identify","userId":%q,"traits":%s`, user, traits),
			fmt.Sprintf(`"type":"group","groupId":%q,"userId":%q,"traits":%s`, group, user, traits),
			fmt.Sprintf(`"type":"track","event":"A","groupId":%q,"userId":%q`, group, user),
		}[random.IntN(3)]
		body := fmt.Sprintf(`{"batch":[{"messageId":"%d","timestamp":"2026-11-23T10:00:00Z",%s}]}`, i, fields)
		r := httptest.NewRequest("POST", "/v1/batch", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer key")
		s.ServeHTTP(httptest.NewRecorder(), r)
		sum := 0
		for u := range s.users.all() {
			sum += u.bytes()
		}
		for g := range s.groups.all() {
			sum += g.bytes()
		}
		if sum != s.factBytes {
			t.Fatalf("after %d events: %d bytes are counted, %d taken", i+1, s.factBytes, sum)
		}
	}
	if s.counts.ForgottenUsers == 0 || s.counts.ForgottenGroups == 0 {
		t.Errorf("too little was forgotten: %+v", s.counts)
	}
}
