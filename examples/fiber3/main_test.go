package main

import (
	"net/http"
	"net/http/httptest"
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
