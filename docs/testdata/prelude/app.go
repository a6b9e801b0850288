// Package docs is the app in which the snippets of the documentation are compiled.
package docs

import (
	"context"
	"net/http"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
	"github.com/klimeapp/klime-go/klimetest"
)

var (
	ctx      context.Context
	err      error
	cfg      klime.Config
	client   *klime.Client
	disk     *spool.Spool
	key      string
	t        *testing.T
	recorder *klimetest.Recorder
	server   *klimetest.Server
	srv      *http.Server
)

// What the app knows of its users and customers.
var (
	u       struct{ ID, Email, Name string }
	org     struct{ ID, Name, Plan string }
	invoice struct {
		ID     string
		Amount float64
		PaidAt time.Time
	}
)

// session is a session of the app, nil for a request without one.
type session struct{ UserID, Email, Name, OrgID, OrgName, Plan string }
