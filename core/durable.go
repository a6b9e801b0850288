package klime

import (
	"log/slog"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Spool keeps events on disk: see Config.Spool. Package core/spool makes one;
// there is no other, and its method is for the client.
type Spool interface {
	// Attach is called by [New], once.
	Attach(logger *slog.Logger) (delivery.Storage, error)
}

// attach returns what the spool of the Config hands over, nothing if it has none.
func (c Config) attach() (delivery.Storage, error) {
	if c.Spool == nil {
		return delivery.Storage{}, nil
	}
	return c.Spool.Attach(c.Logger)
}
