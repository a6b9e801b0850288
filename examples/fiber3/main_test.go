package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/klimetest"
)

func TestEventsHaveACompany(t *testing.T) {
	server := klimetest.NewServer(t)
	request := httptest.NewRequest(http.MethodGet, "/hello/world", http.NoBody)
	request.Header.Set("X-User", "jane")
	request.Header.Set("X-Org", "acme")
	answer, err := newApp(server.Client()).Test(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %d", answer.StatusCode)
	}
	events := server.Wait(2)
	for i, want := range []string{"Greeted", "API Called"} {
		if e := events[i]; e.Event != want || e.UserID != "jane" || e.GroupID != "acme" {
			t.Errorf("got %+v, want %s", e, want)
		}
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
