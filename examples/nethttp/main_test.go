package main

import (
	"testing"

	"github.com/klimeapp/klime-go/examples/internal/demotest"
)

func TestExample(t *testing.T) { demotest.Run(t, "nethttp", newServer) }
