package sessions

import (
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/ginklime"
)

// Gin is an app on Gin with its sessions, in signed cookies.
func Gin(client *klime.Client, key []byte) http.Handler {
	r := gin.New()
	r.Use(sessions.Sessions("session", cookie.NewStore(key)))
	r.Use(ginklime.Middleware(client,
		ginklime.UserID(func(c *gin.Context) any { return sessions.Default(c).Get("user") }),
		ginklime.GroupID(func(c *gin.Context) any { return sessions.Default(c).Get("org") })))
	r.POST("/login", ginLogin)
	r.POST("/logout", ginLogout)
	r.POST("/orgs/:org/switch", ginSwitch)
	r.GET("/reports", ginReports)
	return r
}

func ginLogin(c *gin.Context) {
	user, ok := accounts.SignIn(c.PostForm("email"), c.PostForm("password"))
	if !ok {
		c.String(http.StatusUnauthorized, "wrong e-mail address or password")
		return
	}
	session := sessions.Default(c)
	session.Set("user", user.ID)
	session.Set("org", user.Orgs[0].ID.String())
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}

	who, companies := user.Klime()
	klime.Link(c, who, companies...)
	c.Status(http.StatusNoContent)
}

func ginLogout(c *gin.Context) {
	// After the handler nobody is signed in: see logout.
	klime.Track(c, "User Signed Out", nil)
	session := sessions.Default(c)
	session.Clear()
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Status(http.StatusNoContent)
}

// ginSwitch changes the active company to another that the user belongs to.
func ginSwitch(c *gin.Context) {
	session := sessions.Default(c)
	id, _ := session.Get("user").(int)
	user, _ := accounts.ByID(id)
	org, ok := user.Org(c.Param("org"))
	if !ok {
		c.String(http.StatusForbidden, "not one of yours")
		return
	}
	session.Set("org", org.ID.String())
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Status(http.StatusNoContent)
}

func ginReports(c *gin.Context) {
	if sessions.Default(c).Get("user") == nil {
		c.String(http.StatusUnauthorized, "sign in first")
		return
	}
	klime.Track(c, "Report Generated", nil)
	c.Status(http.StatusOK)
}
