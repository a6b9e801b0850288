package httpexchange

import (
	"context"
	"net/http"
)

// PassOn is the request that goes to the handlers in place of the one that came:
// a copy with another context. Net/http and what stands outside have the first:
// what is left in the copy is given back to it.
func PassOn(ctx context.Context, came *http.Request) *http.Request {
	if came.Trailer == nil && came.ContentLength < 0 {
		came.Trailer = http.Header{} // which net/http fills at the end of the body
	}
	return came.WithContext(ctx)
}

// GiveBack shows what the handlers have left in the request that was passed on to
// the one that came: the pattern that a ServeMux has matched, for metrics and
// traces, and parsed forms, whose files net/http removes.
func GiveBack(came, passed *http.Request) {
	if passed.Pattern != "" {
		came.Pattern = passed.Pattern
	}
	if came.MultipartForm == nil {
		came.MultipartForm = passed.MultipartForm
	}
	if came.Form == nil {
		came.Form, came.PostForm = passed.Form, passed.PostForm
	}
}
