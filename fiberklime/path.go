package fiberklime

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
)

// pathOf is the path in decoded form, as in net/http. Fiber itself decodes it only
// with Config.UnescapePath, and then takes a + for a space.
func pathOf(c *fiber.Ctx) string {
	path := utils.UnsafeString(c.Request().URI().PathOriginal())
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}
