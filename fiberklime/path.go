package fiberklime

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// pathOf is the path in decoded form, as in net/http. Fiber itself decodes it only
// with Config.UnescapePath.
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
