package klime

import (
	"log/slog"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Spool keeps events on disk: see Config.Spool. Package core/spool makes one;
// there is no other, and its method is for the client.
type Spool interface {
	// Attach is called by [New], once.
	Attach(logger *slog.Logger) (disk delivery.Spool, writeAhead bool, err error)
}

// attach returns the spool of the Config, nil if it has none.
//
//nolint:ireturn // what the spool hands over
func (c Config) attach() (disk delivery.Spool, writeAhead bool, err error) {
	if c.Spool == nil {
		return nil, false, nil
	}
	return c.Spool.Attach(c.Logger)
}
