package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/klimetest"
)

func TestEventHasACompany(t *testing.T) {
	server := klimetest.NewServer(t)
	request := httptest.NewRequest(http.MethodGet, "/hello/world", http.NoBody)
	request.Header.Set("X-User", "jane")
	request.Header.Set("X-Org", "acme")
	answer := httptest.NewRecorder()
	newApp(server.Client()).ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Errorf("status %d", answer.Code)
	}
	if e := server.Wait(1)[0]; e.UserID != "jane" || e.GroupID != "acme" || e.Properties["route"] != "/hello/{name}" {
		t.Errorf("got %+v", e)
	}
}

func TestGreeting(t *testing.T) {
	for printed, want := range map[bool]string{true: "is printed here", false: "as KLIME_WRITE_KEY is set"} {
		got := greeting(printed)
		for _, want := range []string{"http://" + addr, "Ctrl-C stops it", "curl -H 'X-User: jane' -H 'X-Org: acme'", want} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in:\n%s", want, got)
			}
		}
	}
}
