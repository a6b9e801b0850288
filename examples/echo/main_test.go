package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
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

func TestWrongKeyIsLogged(t *testing.T) {
	var log strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	t.Setenv("KLIME_WRITE_KEY", "wrong")
	t.Setenv("KLIME_ENDPOINT", klimetest.NewServer(t).Config().Endpoint)
	client, err := klime.New(klimeConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Track(t.Context(), "Greeted", nil, klime.ForUser("jane")); err != nil {
		t.Error(err)
	}
	if client.Shutdown(t.Context()) == nil || !strings.Contains(log.String(), "write key was not accepted") {
		t.Errorf("log: %s", log.String())
	}
}
