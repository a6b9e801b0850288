package klime_test

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

func TestFromEnv(t *testing.T) {
	set := func(t *testing.T, vars map[string]string) klime.Config {
		t.Helper()
		for _, name := range []string{
			"KLIME_WRITE_KEY", "KLIME_ENDPOINT", "KLIME_MODE", "KLIME_BATCH_SIZE", "KLIME_FLUSH_INTERVAL", "KLIME_QUEUE_SIZE",
		} {
			t.Setenv(name, vars[name])
		}
		return klime.FromEnv()
	}

	t.Run("nothing set", func(t *testing.T) {
		if client, err := klime.New(set(t, nil)); client != nil || !errors.Is(err, klime.ErrMissingWriteKey) {
			t.Errorf("error %v, want ErrMissingWriteKey", err)
		}
	})
	t.Run("a write key under another name", func(t *testing.T) {
		t.Setenv("KLIME_WRITEKEY", "the key")
		_, err := klime.New(set(t, nil))
		if !errors.Is(err, klime.ErrMissingWriteKey) || !strings.HasSuffix(err.Error(), "; not read: KLIME_WRITEKEY") {
			t.Errorf("error %v does not name the variable", err)
		}
	})
	t.Run("all set", func(t *testing.T) {
		cfg := set(t, map[string]string{
			"KLIME_WRITE_KEY": " key\n", "KLIME_ENDPOINT": " http://localhost:1 ", "KLIME_MODE": "User",
			"KLIME_BATCH_SIZE": "7", "KLIME_FLUSH_INTERVAL": "500ms", "KLIME_QUEUE_SIZE": " 70 ",
		})
		if cfg.WriteKey != "key" || cfg.Endpoint != "http://localhost:1" || cfg.Mode != klime.UserMode ||
			cfg.BatchSize != 7 || cfg.FlushInterval != 500*time.Millisecond || cfg.QueueSize != 70 {
			t.Errorf("read %+v", cfg)
		}
		client, err := klime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		shutDown(t, client)
	})
	t.Run("group mode", func(t *testing.T) {
		if cfg := set(t, map[string]string{"KLIME_MODE": "group"}); cfg.Mode != klime.GroupMode {
			t.Errorf("mode %v", cfg.Mode)
		}
	})
	for name, value := range map[string]string{
		"KLIME_MODE": "both", "KLIME_BATCH_SIZE": "many", "KLIME_FLUSH_INTERVAL": "5", "KLIME_QUEUE_SIZE": "1e3", "KLIME_ENDPOINT": "http://example.com",
	} {
		t.Run(name+" is "+value, func(t *testing.T) {
			client, err := klime.New(set(t, map[string]string{"KLIME_WRITE_KEY": "key", name: value}))
			if client != nil || !errors.Is(err, klime.ErrInvalidConfig) {
				t.Errorf("error %v, want ErrInvalidConfig", err)
			} else if !strings.Contains(err.Error(), strings.TrimPrefix(name, "KLIME_")) && !strings.Contains(err.Error(), "Endpoint") {
				t.Errorf("error %v does not name the variable", err)
			}
		})
	}
	t.Run("all that is wrong is told at once", func(t *testing.T) {
		_, err := klime.New(set(t, map[string]string{"KLIME_MODE": "both", "KLIME_BATCH_SIZE": "many"}))
		if err == nil || !strings.Contains(err.Error(), "KLIME_MODE") || !strings.Contains(err.Error(), `KLIME_BATCH_SIZE: "many" is not a number of events`) {
			t.Errorf("error %v", err)
		}
	})
}

// A variable that looks like the client's own and is not read is most likely a typing
// error: the client is told where to send in vain.
func TestFromEnvTellsOfUnreadVariables(t *testing.T) {
	tests := map[string]struct {
		vars map[string]string
		want string // the names, or nothing
	}{
		"typing errors":                {map[string]string{"KLIME_FLUSHINTERVAL": "secret", "KLIME_ENDPONT": "secret"}, "[KLIME_ENDPONT KLIME_FLUSHINTERVAL]"},
		"a field without a variable":   {map[string]string{"KLIME_TIMEOUT": "secret"}, "[KLIME_TIMEOUT]"},
		"empty":                        {map[string]string{"KLIME_ENDPONT": " "}, ""},
		"those that are read":          {map[string]string{"KLIME_MODE": "user", "KLIME_QUEUE_SIZE": "70"}, ""},
		"of another program":           {map[string]string{"MYKLIME_ENDPOINT": "secret", "KLIMEX": "secret"}, ""},
		"a Kubernetes service's":       {map[string]string{"KLIME_SERVICE_HOST": "secret", "KLIME_PORT": "secret"}, ""},
		"a Kubernetes service's ports": {map[string]string{"KLIME_LOCAL_SERVICE_PORT_HTTP": "secret", "KLIME_LOCAL_PORT_8081_TCP_ADDR": "secret"}, ""},
	}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KLIME_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("KLIME_WRITE_KEY", "key")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for variable, value := range tt.vars {
				t.Setenv(variable, value)
			}
			for _, noHints := range []bool{false, true} {
				cfg := klime.FromEnv()
				cfg.NoHints = noHints
				log := logFrom(&cfg, slog.LevelInfo)
				client, err := klime.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				shutDown(t, client)
				text := log.String()
				if strings.Contains(text, "secret") {
					t.Errorf("a value is logged: %s", text)
				}
				if told := tt.want != "" && !noHints; strings.Contains(text, "FromEnv does not read") != told || !strings.Contains(text, tt.want) && told {
					t.Errorf("no hints: %v; log %q, want %q", noHints, text, tt.want)
				}
			}
		})
	}
}
