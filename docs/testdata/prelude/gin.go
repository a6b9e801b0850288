package docs

import (
	"net/http"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
)

var (
	r *gin.Engine
	c *gin.Context
)

func whoIs(*gin.Context) (klime.User, []klime.Group) { return klime.User{}, nil }

func sessionOf(*gin.Context) *session { return nil }
func auth(*gin.Context)               {}

func newRouter(*klime.Client) http.Handler { return nil }
