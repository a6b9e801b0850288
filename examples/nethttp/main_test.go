package main

import (
	"net/http"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/demotest"
	"github.com/klimeapp/klime-go/examples/internal/web"
)

func TestExample(t *testing.T) { demotest.Run(t, "nethttp", newServer) }

// With RollUp the sample traffic makes fewer events, and no request is lost.
func TestRollUp(t *testing.T) {
	demotest.RunRollUp(t, "nethttp", func(app *demo.App, cfg klime.Config) (*http.Server, *klime.Client, error) {
		client, err := klime.New(cfg)
		if err != nil {
			return nil, nil, err
		}
		return &http.Server{Handler: newHandler(web.New(app), client, klime.RollUp(time.Hour)), ReadHeaderTimeout: time.Second}, client, nil
	})
}

func TestMain(m *testing.M) { demotest.Main(m, main) }

func TestTerminate(t *testing.T) { demotest.Terminate(t) }
