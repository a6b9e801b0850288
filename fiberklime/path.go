package fiberklime

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// pathOf is the path as net/http has it: decoded, which Fiber leaves to
// Config.UnescapePath.
func pathOf(c *fiber.Ctx) string {
	path := c.Path()
	if strings.IndexByte(path, '%') < 0 || c.App().Config().UnescapePath {
		return path
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}
