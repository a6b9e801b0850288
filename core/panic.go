package klime

import (
	"fmt"
	"log/slog"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// panicAttrs describes a panic for the log, without the app's data. The caller must be
// deferred, so that the stack is still that of the panic. Without a value, the
// goroutine was ended instead.
func panicAttrs(v any) []slog.Attr {
	if v == nil {
		return []slog.Attr{slog.String("panic", "none: it ended its goroutine (runtime.Goexit)")}
	}
	attrs := []slog.Attr{slog.String("panic", panicText(v))}
	if at := panickedAt(); at != "" {
		attrs = append(attrs, slog.String("at", at))
	}
	return attrs
}

// panicText is what may be shown of a panic: the runtime's own errors tell of types and
// indexes, anything else may hold data.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok && isOfRuntime(reflect.TypeOf(v)) {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

// isOfRuntime reports whether t is declared in package runtime, or points to such a type.
func isOfRuntime(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "runtime"
}

// panickedAt is the line in the app's function from which the panic came, perhaps
// through libraries that it called: the last one before klime's.
func panickedAt() (at string) {
	frames := runtime.CallersFrames(callers())
	own, more := frames.Next()
	module := path.Dir(path.Dir(own.File))
	thrown := false
	for more {
		var frame runtime.Frame
		frame, more = frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, "runtime."):
			thrown = thrown || frame.Function == "runtime.gopanic"
		case thrown && at != "" && strings.HasPrefix(frame.File, module+"/") && !strings.HasSuffix(frame.File, "_test.go"):
			return at
		case thrown:
			at = fmt.Sprintf("%s:%d", frame.File, frame.Line)
		}
	}
	return at
}

// callers returns the stack from panickedAt on, however deep it is.
func callers() []uintptr {
	for size := 64; ; size *= 4 {
		pcs := make([]uintptr, size)
		if n := runtime.Callers(2, pcs); n < size {
			return pcs[:n]
		}
	}
}
