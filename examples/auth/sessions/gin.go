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
func Gin(client *klime.Client, key []byte) *gin.Engine {
	store := cookie.NewStore(key)
	store.Options(sessions.Options{Path: "/", MaxAge: 24 * 60 * 60, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
	r := gin.New()
	r.Use(sessions.Sessions("session", store), ginklime.Middleware(client), ginLoad)
	r.POST("/login", ginLogin)
	r.POST("/logout", ginLogout)
	r.POST("/orgs/:org/switch", ginSwitch)
	r.GET("/reports", ginReports)
	return r
}

// ginLoad reads the session once. ginklime by itself finds the values under "userId" and
// "groupId". It could not read the session itself: goroutines of a handler may track while
// the handler changes the session, which is not safe for that.
func ginLoad(c *gin.Context) {
	session := sessions.Default(c)
	c.Set("userId", session.Get("user"))
	c.Set("groupId", session.Get("org"))
}

func ginLogin(c *gin.Context) {
	user, ok := accounts.SignIn(c.PostForm("email"), c.PostForm("password"))
	if !ok {
		c.String(http.StatusUnauthorized, "wrong e-mail address or password")
		return
	}
	session := sessions.Default(c)
	session.Set("user", user.ID)
	session.Set("org", user.StartOrg())
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}

	who, companies := user.Klime()
	klime.Link(c, who, companies...)
	// The session was empty, or someone else's, when ginLoad read it.
	klime.SetGroup(c, user.StartOrg())
	c.Status(http.StatusNoContent)
}

func ginLogout(c *gin.Context) {
	session := sessions.Default(c)
	session.Clear()
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	klime.SetEvent(c, "User Signed Out") // by whom ginLoad has found
	c.Status(http.StatusNoContent)
}

// ginSwitch changes the active company to another that the user belongs to.
func ginSwitch(c *gin.Context) {
	user, _ := accounts.ByID(c.GetInt("userId"))
	org, ok := user.Org(c.Param("org"))
	if !ok {
		c.String(http.StatusForbidden, "not one of yours")
		return
	}
	session := sessions.Default(c)
	session.Set("org", org.ID.String())
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	klime.SetGroup(c, org.ID.String())
	c.Status(http.StatusNoContent)
}

func ginReports(c *gin.Context) {
	if c.GetInt("userId") == 0 {
		c.String(http.StatusUnauthorized, "sign in first")
		return
	}
	klime.Track(c, "Report Generated", nil)
	c.Status(http.StatusOK)
}
