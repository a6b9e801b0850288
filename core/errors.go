package klime

import (
	"errors"
	"slices"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// The configuration is wrong: errors of [New]. Match these and all below with [errors.Is],
// as returned errors may wrap them and add detail.
var (
	ErrMissingWriteKey = errors.New("klime: missing write key (Config.WriteKey, or KLIME_WRITE_KEY with FromEnv)")
	ErrInvalidConfig   = errors.New("klime: invalid configuration") // names the field, or the variable that FromEnv read
)

// The call is wrong, and nothing was sent. [Track] and [Link] in handlers return no error:
// they log these, and count the events in Stats as Invalid.
var (
	ErrMissingUser     = errors.New("klime: missing user ID")                  // or blank, or not UTF-8; from Identify, Link and ForUser
	ErrMissingGroup    = errors.New("klime: missing group ID")                 // or blank, or not UTF-8; from Group, InGroup and ForGroup
	ErrMissingIdentity = errors.New("klime: event has neither user nor group") // from Track
	ErrMissingEvent    = errors.New("klime: missing event name")               // or blank; from Track
	ErrInvalidOption   = errors.New("klime: invalid option")                   // such as a blank message ID; also from Tracker.Err
	ErrEventTooLarge   = errors.New("klime: event exceeds 200 KiB")            // 200 × 1024 bytes of JSON
	ErrUserMode        = errors.New("klime: no groups in user mode")           // from Group, and from Track for a group without a user

	// ErrNotEncodable is returned for NaN, a channel, a MarshalJSON that fails or panics,
	// more than 1,000 levels of nesting, a year that does not have four digits, or an
	// EventType that BeforeSend has made up.
	ErrNotEncodable = errors.New("klime: value cannot be sent as JSON")
)

// The event was valid, but it is not queued, or not durably. Beside each error stands
// where [Stats] counts the event.
var (
	ErrQueueFull = errors.New("klime: queue full")          // see Config.Overflow; DropQueueFull, DropSpoolBusy or DropSpoolFull
	ErrClosed    = errors.New("klime: client is shut down") // or is shutting down; Late

	// ErrNotDurable comes with a write-ahead Config.Spool: the event is queued, in memory
	// only. It wraps why: one of the errors below, or the disk's own, such as
	// syscall.ENOSPC. Without ErrNotDurable, the errors below are given to OnError, and the
	// event was dropped.
	ErrNotDurable = errors.New("klime: event is kept in memory only")                                   // Accepted
	ErrSpoolBusy  = errors.New("klime: queue full and spool too slow")                                  // DropSpoolBusy
	ErrSpoolFull  = errors.New("klime: spool full")                                                     // DropSpoolFull
	ErrSpoolLost  = errors.New("klime: spooled events are lost: file was damaged, deleted or replaced") // DropSpoolLost
)

// DeliveryError is an answer of Klime, or the lack of one, that kept events
// from being delivered. Match with [errors.As].
type DeliveryError struct {
	StatusCode int           // HTTP status of the answer, 0 without an answer
	Attempts   int           // how often the event, or the first of them, was sent so far
	RetryAfter time.Duration // how long the answer asked to wait, at most 5 minutes; 0 if it did not ask
	Message    string        // what the answer said, shortened
	Err        error         // why there was no usable answer, or what it means (3xx, 401, 404, 405, a web page); else nil
}

func (e *DeliveryError) Error() string { return "klime: " + e.internal(nil).Error() }

// Unwrap returns Err.
func (e *DeliveryError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Temporary reports whether the same request may succeed later.
func (e *DeliveryError) Temporary() bool { return e.internal(nil).Temporary() }

// internal returns delivery's form of e. The named events are those that the answer
// singled out.
func (e *DeliveryError) internal(named []EventError) *delivery.SendError {
	if e == nil { // within an error that a Transport has made
		return &delivery.SendError{}
	}
	return &delivery.SendError{
		StatusCode: e.StatusCode, RetryAfter: e.RetryAfter, Message: e.Message, Err: e.Err, Rejected: rejections(named),
	}
}

// publicError turns what delivery reports into the errors of this package.
func publicError(err error) error {
	switch {
	case err == nil:
		return nil
	case err == delivery.ErrQueueFull: //nolint:errorlint // nothing more to say than that
		return ErrQueueFull
	case errors.Is(err, delivery.ErrClosed):
		return ErrClosed
	}
	public := &translatedError{err: err}
	for _, sentinel := range []struct{ internal, public error }{
		{delivery.ErrQueueFull, ErrQueueFull},
		{delivery.ErrNotDurable, ErrNotDurable},
		{delivery.ErrSpoolBusy, ErrSpoolBusy},
		{delivery.ErrSpoolFull, ErrSpoolFull},
		{delivery.ErrSpoolLost, ErrSpoolLost},
	} {
		if errors.Is(err, sentinel.internal) {
			public.as = append(public.as, sentinel.public)
		}
	}
	if failure := (*delivery.SendError)(nil); errors.As(err, &failure) {
		public.as = append(public.as, &DeliveryError{
			StatusCode: failure.StatusCode, Attempts: failure.Attempts,
			RetryAfter: failure.RetryAfter, Message: failure.Message, Err: failure.Err,
		})
	}
	return public
}

// translatedError is an error of package delivery that also matches errors of this
// package.
type translatedError struct {
	err error
	as  []error // errors of this package
}

func (f *translatedError) Error() string { return "klime: " + f.err.Error() }

func (f *translatedError) Unwrap() []error { return append(slices.Clip(f.as), f.err) }
