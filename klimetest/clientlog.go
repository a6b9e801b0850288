package klimetest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// clientLog is the first of what clients have logged: warnings, such as why an event is
// invalid, which a handler that tracks is not told, and from the debug level why
// something was not sent.
type clientLog struct {
	mu       sync.Mutex
	warnings []string
	unsent   []unsent
}

// unsent is a request or an event that was not sent.
type unsent struct{ subject, event, reason string }

func (l *clientLog) logger() *slog.Logger {
	return slog.New(logHandler{
		// Warnings are kept as they are, but for the time.
		Handler: slog.NewTextHandler(l, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
					return slog.Attr{}
				}
				return a
			},
		}),
		log: l,
	})
}

// logHandler keeps records in a clientLog.
type logHandler struct {
	slog.Handler // for warnings

	log *clientLog
}

// Handle implements [slog.Handler].
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		return h.Handler.Handle(ctx, r) //nolint:wrapcheck // it never fails
	}
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	if reason, ok := strings.CutPrefix(attrs["outcome"], "not sent: "); ok {
		h.log.add(unsent{subjectOf(r.Message, attrs), attrs["event"], reason})
	}
	return nil
}

// WithAttrs implements [slog.Handler].
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs), h.log}
}

// WithGroup implements [slog.Handler].
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name), h.log}
}

// subjectOf says which request or event a client explains.
func subjectOf(message string, attrs map[string]string) string {
	switch {
	case attrs["method"] != "":
		return strings.TrimSpace(attrs["method"] + " " + attrs["route"])
	case attrs["event"] != "":
		return fmt.Sprintf("%s %.100q", attrs["type"], attrs["event"])
	case attrs["type"] != "":
		return attrs["type"]
	default:
		return strings.TrimPrefix(message, "klime: ")
	}
}

// Write implements io.Writer for lines of warnings.
func (l *clientLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.warnings) < maxListed {
		l.warnings = append(l.warnings, strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

func (l *clientLog) add(u unsent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unsent) < maxListed && !slices.Contains(l.unsent, u) {
		l.unsent = append(l.unsent, u)
	}
}

// kept returns the warnings, and what was not sent for reasons that no warning tells.
func (l *clientLog) kept() (warnings, reasons []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range l.unsent {
		told := func(warning string) bool {
			return strings.Contains(warning, quoted(u.reason)) && strings.Contains(warning, quoted(u.event))
		}
		if !slices.ContainsFunc(l.warnings, told) {
			reasons = append(reasons, u.subject+": "+strings.TrimPrefix(u.reason, "klime: "))
		}
	}
	return slices.Clone(l.warnings), reasons
}

// quoted is s as it stands between the quotes of a log line.
func quoted(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
