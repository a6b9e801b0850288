package main

import (
	"net/http"
	"net/http/httptest"
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
