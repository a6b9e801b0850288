package klime

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// valueError says why encoding/json could not encode a value. Its text is for the
// caller only, not for the log: it may quote what the value holds.
type valueError struct {
	kind string // the value's type
	err  error
}

func (e *valueError) Error() string { return e.kind + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

// misfit returns the error for a value that could not be encoded, or has too many bytes.
// It says which one, unless it may just be the last of many that are too large together.
func misfit(which string, size int, err error) error {
	within := (*oversize)(nil)
	switch {
	case err != nil && !errors.Is(err, ErrEventTooLarge):
		return fmt.Errorf("%s: %w", which, err)
	case errors.As(err, &within):
		return &oversize{which + ": " + within.which}
	case size > maxEventBytes:
		return &oversize{which}
	default:
		return err
	}
}

// oversize is ErrEventTooLarge because of one value.
type oversize struct{ which string }

func (e *oversize) Error() string { return ErrEventTooLarge.Error() + ": " + e.which }
func (e *oversize) Unwrap() error { return ErrEventTooLarge }

// quoted returns a key as it stands in an error: quoted and, if it is long,
// shortened.
func quoted(key string) string { return strconv.Quote(shortened(key)) }

func shortened(name string) string {
	const enough = 64
	if len(name) > enough {
		return strings.ToValidUTF8(name[:enough], "") + "…"
	}
	return name
}
