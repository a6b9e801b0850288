package main

import (
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/klimeapp/klime-go/examples/internal/demotest"
)

func TestExample(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	demotest.Run(t, newServer)
}

func TestMain(m *testing.M) { demotest.Main(m, main) }

func TestTerminate(t *testing.T) { demotest.Terminate(t) }
