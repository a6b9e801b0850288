package fiberklime

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	klime "github.com/klimeapp/klime-go/core"
)

// exchange describes c and its answer. Its strings are in memory that Fiber reuses.
// Fiber does not tell how a streamed answer ends, nor a connection that was taken
// over.
func exchange(c *fiber.Ctx) klime.Exchange {
	answer := c.Response()
	if late := c.Context().LastTimeoutErrorResponse(); late != nil {
		answer = late // which goes out in place of Fiber's
	}
	x := klime.Exchange{
		Method:        c.Method(),
		Status:        answer.StatusCode(),
		RequestBytes:  int64(c.Request().Header.ContentLength()),
		ResponseBytes: int64(answer.Header.ContentLength()),
		ContentType:   utils.UnsafeString(answer.Header.ContentType()),
		Location:      utils.UnsafeString(answer.Header.Peek(fiber.HeaderLocation)),
		Caller:        caller{c},
		Unfinished:    answer.IsBodyStream() || c.Context().Hijacked(),
	}
	if strings.HasPrefix(x.ContentType, "application/grpc") {
		x.GRPCStatus = utils.UnsafeString(answer.Header.Peek("Grpc-Status"))
	}
	if x.RequestBytes == noBody {
		x.RequestBytes = 0
	}
	if !answer.IsBodyStream() {
		x.ResponseBytes = int64(len(answer.Body()))
	}
	x.Hijacked = c.Context().Hijacked() && x.Status == http.StatusOK // which HijackSetNoResponse may hold back
	return x
}

// caller tells who sent a request.
type caller struct{ c *fiber.Ctx }

// Header finds a header however it is spelled, also with Config.DisableHeaderNormalizing.
func (q caller) Header(name string) (value string) {
	if !q.c.App().Server().DisableHeaderNamesNormalizing {
		return q.c.Get(name)
	}
	q.c.Request().Header.VisitAll(func(key, v []byte) {
		if value == "" && strings.EqualFold(utils.UnsafeString(key), name) {
			value = utils.UnsafeString(v)
		}
	})
	return value
}

// ClientIP goes by the app's trusted proxies.
func (q caller) ClientIP() string { return q.c.IP() }

// noBody is fasthttp's length of a request with neither Content-Length nor chunks.
const noBody = -2

// statusOf is the status that err asks for, 0 if only the app's ErrorHandler knows.
func statusOf(err error) int {
	if err == nil {
		return 0
	}
	known := (*fiber.Error)(nil)
	if errors.As(err, &known) {
		return known.Code
	}
	return 0
}

// isUnmatched reports whether err is what Fiber returns for a path without a route.
func isUnmatched(err error) bool {
	status := statusOf(err)
	return status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

// isSilent reports whether the answer is the one that Fiber sends if no handler has
// answered.
func isSilent(x *klime.Exchange) bool {
	return x.Status == http.StatusOK && x.ResponseBytes == 0 && !x.Unfinished
}
