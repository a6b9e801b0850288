package klime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	klime "github.com/klimeapp/klime-go/core"
)

// quoting answers with what it was sent: a server that quotes the key.
type quoting struct{ status int }

func (q quoting) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.Header.Get("Authorization")
	return &http.Response{
		StatusCode: q.status,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(fmt.Sprintf(`{"message":"no such key: %s"}`, key))),
		Request:    r,
	}, nil
}

func TestTheWriteKeyIsNeverShown(t *testing.T) {
	t.Parallel()
	const key = "wk_very-secret"
	synctest.Test(t, func(t *testing.T) {
		var shown, log bytes.Buffer
		config := klime.Config{
			WriteKey:   key,
			Logger:     slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			HTTPClient: &http.Client{Transport: quoting{http.StatusUnauthorized}},
			OnError:    func(err error, _ []klime.Event) { fmt.Fprintf(&shown, "%v %+v %#v", err, err, err) },
		}
		client, err := klime.New(config)
		if err != nil {
			t.Fatal(err)
		}
		trackJane(t, client, 20)
		synctest.Wait()
		errs := []error{client.Ping(t.Context()), client.Flush(t.Context()), client.Shutdown(context.Background())}
		type unexported struct{ c *klime.Client } // fmt and slog call no method of what is in it
		for _, value := range []any{
			config, &config, client, []any{config, client}, struct{ C klime.Config }{config}, errs, unexported{client}, &unexported{client},
		} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
				fmt.Fprintf(&shown, verb, value)
			}
			if encoded, err := json.Marshal(value); err == nil {
				shown.Write(encoded)
			}
			slog.New(slog.NewJSONHandler(&shown, nil)).Info("", "value", value)
			slog.New(slog.NewTextHandler(&shown, nil)).Info("", "value", value)
		}
		for _, err := range errs {
			fmt.Fprintf(&shown, "%v %+v %#v", err, err, err)
		}
		for name, text := range map[string]string{"output": shown.String(), "log": log.String()} {
			if i := strings.Index(text, key); i >= 0 {
				t.Errorf("the write key is in the %s: …%s", name, text[max(0, i-200):i+len(key)])
			}
		}
		if !strings.Contains(shown.String(), "no such key: Bearer [write key]") {
			t.Errorf("the server's message is missing: %s", errs[0])
		}
	})
}

// Nor is a password in the endpoint, also if that is no URL. New refuses both.
func TestThePasswordOfAnEndpointIsNeverShown(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"https://jane:opensesame@acme.com", "https://jane:opensesame@acme.com:%zz"} {
		config := klime.Config{WriteKey: "key", Endpoint: endpoint}
		_, err := klime.New(config)
		if text := fmt.Sprint(config, &config, err); err == nil || strings.Contains(text, "opensesame") {
			t.Errorf("%s: %s", endpoint, text)
		}
	}
}

// explosive is a slog.Handler of an app that does not return.
type explosive struct {
	slog.Handler

	end func()
}

func (explosive) Enabled(context.Context, slog.Level) bool    { return true }
func (e explosive) Handle(context.Context, slog.Record) error { e.end(); return nil }

func TestLoggerThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("the app's bug") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, err := klime.New(klime.Config{
					WriteKey:   "key",
					Logger:     slog.New(explosive{slog.DiscardHandler, end}),
					HTTPClient: &http.Client{Transport: quoting{http.StatusUnauthorized}},
				})
				if err != nil {
					t.Fatal(err)
				}
				trackJane(t, client, 20)
				synctest.Wait()
				if s := client.Stats(); !s.Halted || s.Panics == 0 {
					t.Errorf("stats: %+v", s)
				}
				if err := client.Shutdown(t.Context()); err == nil {
					t.Error("Shutdown: no error")
				}
				checkSum(t, client)
			})
		})
	}
}
