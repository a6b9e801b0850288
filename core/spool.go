package klime

import (
	"log/slog"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Spool keeps events on disk: see Config.Spool. The only implementation is package
// core/spool; its method is for the client.
type Spool interface {
	// Attach is called by [New], once.
	Attach(logger *slog.Logger) (delivery.Storage, error)
}

// attach returns the storage of the Config's spool, the zero Storage without one.
func (c Config) attach() (delivery.Storage, error) {
	if c.Spool == nil {
		return delivery.Storage{}, nil
	}
	return c.Spool.Attach(c.Logger)
}
