package klime_test

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

func TestNewNeedsAWriteKey(t *testing.T) {
	t.Parallel()
	client, err := klime.New(klime.Config{})
	if !errors.Is(err, klime.ErrMissingWriteKey) {
		t.Errorf("error %v, want ErrMissingWriteKey", err)
	}
	if client != nil {
		t.Error("a client all the same")
	}
}

// A key that no header can carry is refused, and never shown.
func TestNewRefusesWriteKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"sec\nret", "sec ret", " secret", "secret\r\n", "sec\x00ret", "sécret", "sec\xffret", "sec\x7fret", "\t"} {
		client, err := klime.New(klime.Config{WriteKey: key})
		if !errors.Is(err, klime.ErrInvalidConfig) || client != nil {
			t.Errorf("%q: error %v, want ErrInvalidConfig", key, err)
		} else if strings.Contains(err.Error(), "ret") {
			t.Errorf("%q: the error shows it: %v", key, err)
		}
	}
}

// The limits of each number; what is beyond is refused, not bent.
func TestConfigLimits(t *testing.T) {
	t.Parallel()
	type change = func(*klime.Config)
	duration := func(field func(*klime.Config) *time.Duration) func(time.Duration) change {
		return func(d time.Duration) change { return func(c *klime.Config) { *field(c) = d } }
	}
	number := func(field func(*klime.Config) *int) func(int) change {
		return func(n int) change { return func(c *klime.Config) { *field(c) = n } }
	}
	batchSize := number(func(c *klime.Config) *int { return &c.BatchSize })
	queueSize := number(func(c *klime.Config) *int { return &c.QueueSize })
	queueBytes := func(n int64) change { return func(c *klime.Config) { c.QueueBytes = int(n) } }
	senders := number(func(c *klime.Config) *int { return &c.Senders })
	attempts := number(func(c *klime.Config) *int { return &c.MaxAttempts })
	flush := duration(func(c *klime.Config) *time.Duration { return &c.FlushInterval })
	retry := duration(func(c *klime.Config) *time.Duration { return &c.RetryDelay })
	timeout := duration(func(c *klime.Config) *time.Duration { return &c.Timeout })
	shutdown := duration(func(c *klime.Config) *time.Duration { return &c.ShutdownTimeout })
	ttl := duration(func(c *klime.Config) *time.Duration { return &c.LinkTTL })
	secrets := func(entries ...string) change { return func(c *klime.Config) { c.SecretKeys = entries } }
	mode := func(m klime.Mode) change { return func(c *klime.Config) { c.Mode = m } }
	app := func(field func(*klime.App) *string, bytes int) change {
		return func(c *klime.Config) { *field(&c.App) = strings.Repeat("x", bytes) }
	}
	appName := func(a *klime.App) *string { return &a.Name }
	appVersion := func(a *klime.App) *string { return &a.Version }
	appEnvironment := func(a *klime.App) *string { return &a.Environment }

	tests := []struct {
		field   string
		said    string // in its comment
		allowed []change
		refused []change
	}{
		{"BatchSize", "1 to 100", []change{batchSize(0), batchSize(1), batchSize(100)}, []change{batchSize(-1), batchSize(101)}},
		{"QueueSize", "1 to 100,000,000", []change{queueSize(0), queueSize(1), queueSize(100_000_000)}, []change{queueSize(-1), queueSize(100_000_001)}},
		{"QueueBytes", "200 KiB to 1 TiB", []change{queueBytes(0), queueBytes(200 * 1024), queueBytes(1 << 40)}, []change{queueBytes(-1), queueBytes(200*1024 - 1), queueBytes(1<<40 + 1)}},
		{"Senders", "1 to 100", []change{senders(0), senders(1), senders(100)}, []change{senders(-1), senders(101)}},
		{"MaxAttempts", "1 to 1,000,000", []change{attempts(0), attempts(1), attempts(1_000_000)}, []change{attempts(-1), attempts(1_000_001)}},
		{"FlushInterval", "1ms to 24h", []change{flush(0), flush(time.Millisecond), flush(24 * time.Hour)}, []change{flush(-1), flush(1), flush(24*time.Hour + 1)}},
		{"RetryDelay", "1ms to 1h", []change{retry(0), retry(time.Millisecond), retry(time.Hour)}, []change{retry(-1), retry(1000), retry(time.Hour + 1)}},
		{"Timeout", "1ms to 1h", []change{timeout(0), timeout(time.Millisecond), timeout(time.Hour)}, []change{timeout(-1), timeout(1), timeout(time.Hour + 1)}},
		{"ShutdownTimeout", "24h at most", []change{shutdown(0), shutdown(1), shutdown(24 * time.Hour)}, []change{shutdown(-1), shutdown(24*time.Hour + 1)}},
		{"LinkTTL", "10,000h at most", []change{ttl(0), ttl(1), ttl(10_000 * time.Hour)}, []change{ttl(-1), ttl(10_000*time.Hour + 1)}},
		{"SecretKeys", "without a word is an error", []change{secrets(), secrets("token=", "api key", "ключ")}, []change{secrets(""), secrets("password", " "), secrets("-_=")}},
		{"Mode", "", []change{mode(klime.GroupMode), mode(klime.UserMode)}, []change{mode(-1), mode(2)}},
		{"App", "up to 1 KiB", []change{app(appName, 1024), app(appVersion, 1024), app(appEnvironment, 1024)}, []change{app(appName, 1025), app(appVersion, 1025), app(appEnvironment, 1<<20)}},
	}
	code, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		comment := regexp.MustCompile(`\n\n((?:\t// .*\n)+)\t` + tt.field + ` `).FindSubmatch(code)
		if len(comment) < 2 || !strings.Contains(strings.ReplaceAll(string(comment[1]), "\n\t//", ""), tt.said) {
			t.Errorf("%s: its comment does not say %q:\n%s", tt.field, tt.said, comment)
		}
		for i, allowed := range tt.allowed {
			client, _ := newClient(t, allowed)
			if client == nil {
				t.Errorf("%s: allowed value %d refused", tt.field, i)
			}
		}
		for i, refused := range tt.refused {
			cfg := klime.Config{WriteKey: "secret"}
			refused(&cfg)
			client, err := klime.New(cfg)
			if client != nil || !errors.Is(err, klime.ErrInvalidConfig) || !strings.Contains(err.Error(), tt.field) {
				t.Errorf("%s: value %d beyond the limits: error %v", tt.field, i, err)
			}
		}
	}
}

// A limit is told in the unit of the field.
func TestConfigErrorsHaveUnits(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]klime.Config{
		"FlushInterval is 500ns, allowed is 1ms to 24h0m0s; without a unit, a number is nanoseconds": {FlushInterval: 500},
		"Timeout is 2h0m0s, allowed is 1ms to 1h0m0s":                                                {Timeout: 2 * time.Hour},
		"RetryDelay is -1s, allowed is 1ms to 1h0m0s":                                                {RetryDelay: -time.Second},
		"QueueBytes is 1000, allowed is 204800 to 1099511627776":                                     {QueueBytes: 1000},
		"App.Version has 1025 bytes, allowed are up to 1024":                                         {App: klime.App{Version: strings.Repeat("1", 1025)}},
	} {
		cfg.WriteKey = "key"
		_, err := klime.New(cfg)
		if err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// Every request as Klime wants it.
func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	request := wire.lastRequest()
	if request.Method != http.MethodPost {
		t.Errorf("method %s", request.Method)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer key", "Content-Type": "application/json", "User-Agent": "klime-go/" + klime.Version,
	} {
		if got := request.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// The zero Config waits two seconds or for 20 events, whichever comes first.
func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		arrived := func() int {
			synctest.Wait()
			wire.mu.Lock()
			defer wire.mu.Unlock()
			return len(wire.accepted)
		}
		track := func(n int) {
			for range n {
				trackDone(t, client, "u1")
			}
		}
		track(1)
		time.Sleep(2*time.Second - time.Millisecond)
		if got := arrived(); got != 0 {
			t.Errorf("%d events before two seconds", got)
		}
		time.Sleep(time.Millisecond)
		if got := arrived(); got != 1 {
			t.Errorf("%d events after two seconds, want 1", got)
		}
		track(19)
		if got := arrived(); got != 1 {
			t.Errorf("%d events at once, want the first alone", got)
		}
		track(1)
		if got := arrived(); got != 21 {
			t.Errorf("%d events when 20 waited, want 21", got)
		}
		wire.answers(always(http.StatusServiceUnavailable, ""))
		track(10_001)
		if stats := client.Stats(); stats.Queued != 10_000 || stats.Dropped[klime.DropQueueFull] != 1 {
			t.Errorf("queued %d, dropped %v, want a queue of 10,000", stats.Queued, stats.Dropped)
		}
		wire.answers(nil)
		wire.events(t, client)
	})
}
