// The otel example is Sundial, a small reporting product whose customers are
// companies, on Gin with Klime and OpenTelemetry: an event in Klime leads to its
// trace, and a trace to its customer.
//
//	cd examples/otel && go run .
//
// It needs no key and no collector: it runs a local Klime and a receiver of traces
// itself. This file has all that the app does with klime and OpenTelemetry.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/web"
	"github.com/klimeapp/klime-go/ginklime"
)

const (
	service     = "sundial"
	stopTimeout = 10 * time.Second
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(run())
}

func run() int {
	var t telemetry
	// Run serves until Ctrl-C or SIGTERM. Then it calls srv.Shutdown, and after
	// that client.Shutdown.
	code := demo.Run(demo.Options{Name: "otel", Traces: t.start}, t.newServer)
	if err := t.shutdown(); err != nil {
		fmt.Fprintln(os.Stderr, "otel:", err)
		return 1
	}
	return code
}

// telemetry is what makes the traces, and what receives them.
type telemetry struct {
	provider *sdktrace.TracerProvider
	receiver *receiver
}

func (t *telemetry) start(listener net.Listener) error {
	t.receiver = startReceiver(listener)
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(t.receiver.url+"/v1/traces"))
	if err != nil {
		return errors.Join(err, t.receiver.shutdown(context.Background()))
	}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))))
	return nil
}

// shutdown exports the spans that are left. It must come after the shutdown of server
// and client, so that their last spans are exported too.
func (t *telemetry) shutdown() error {
	if t.provider == nil {
		return nil // never started
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return errors.Join(t.provider.Shutdown(ctx), t.receiver.shutdown(ctx))
}

// newServer builds the app. Your own app makes its client with
// klime.New(klime.FromEnv()), which takes App from OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES. Here cfg is the same, or points to the local Klime.
func (t *telemetry) newServer(app *demo.App, cfg klime.Config) (*http.Server, *klime.Client, error) {
	cfg.App.Name = cmp.Or(cfg.App.Name, service)
	client, err := klime.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	t.receiver.linkCustomers(cfg.Endpoint)
	handler := http.MaxBytesHandler(newRouter(app, client, t.provider), demo.MaxBody)
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, client, nil
}

func newRouter(app *demo.App, client *klime.Client, provider trace.TracerProvider) http.Handler {
	h := &handlers{site: web.New(app), klime: client, tracer: provider.Tracer(service)}
	r := gin.New()
	r.Use(gin.Recovery())
	// The span of the request comes first, so that Klime's middleware sees it. That is
	// all that is needed for events to name it.
	r.Use(otelgin.Middleware(service, otelgin.WithTracerProvider(provider), otelgin.WithPropagators(propagation.TraceContext{})))
	// AnnotateSpan writes user.id and klime.group.id on the span: that is the way back.
	r.Use(ginklime.Middleware(client, klime.AnnotateSpan(),
		ginklime.UserID(func(c *gin.Context) string { return web.Session(c.Request).User.ID }),
		ginklime.GroupID(func(c *gin.Context) string { return web.Session(c.Request).Org.ID })))
	r.Use(pathValues, through(h.site.Authenticate), skipStaff)

	r.GET("/healthz", gin.WrapF(web.Healthz))
	r.GET("/login", gin.WrapF(h.site.LoginPage))
	r.POST("/login", ginklime.Event("User Signed In"), h.login)
	r.POST("/logout", gin.WrapF(h.site.Logout))
	r.POST("/webhooks/billing", ginklime.Skip(), h.billing)

	pages := r.Group("/", through(h.site.RequireCustomer))
	pages.GET("/", gin.WrapF(h.site.Dashboard))
	pages.GET("/reports", gin.WrapF(h.site.Reports))
	pages.GET("/reports/:id", gin.WrapF(h.site.Report))
	pages.POST("/reports", h.generate)
	pages.POST("/switch", h.switchOrg)

	api := r.Group("/api/orgs/:org", h.requireMember)
	api.GET("/reports", gin.WrapF(h.site.APIReports))
	api.POST("/reports", h.apiGenerate)
	api.GET("/reports/:id", gin.WrapF(h.site.APIReport))
	api.GET("/reports/:id/export", ginklime.Event("Report Exported"), gin.WrapF(h.site.APIExport))

	admin := r.Group("/admin", through(h.site.RequireStaff))
	admin.GET("", gin.WrapF(h.site.Admin))
	admin.POST("/orgs/:org", h.adminUpdate)
	return r
}

type handlers struct {
	site   *web.Site
	klime  *klime.Client
	tracer trace.Tracer
}

// generate makes a report in a span of its own. As Track gets the context of that span,
// the event names it. User and company still come from the request.
func (h *handlers) generate(c *gin.Context) {
	ctx, span := h.tracer.Start(c.Request.Context(), "generate report")
	defer span.End()
	if report, ok := h.site.Generate(c.Writer, c.Request); ok {
		klime.Track(ctx, "Report Generated", klime.Properties{"reportType": report.Type, "via": "web"})
	}
}

// apiGenerate has no span of its own. Klime finds no span in a *gin.Context, but the
// request: the event names the span that the request began with.
func (h *handlers) apiGenerate(c *gin.Context) {
	if report, ok := h.site.APIGenerate(c.Writer, c.Request); ok {
		klime.Track(c, "Report Generated", klime.Properties{"reportType": report.Type, "via": "api"})
	}
}

// login links the user to their companies. The gin example explains this, and all that
// follows.
func (h *handlers) login(c *gin.Context) {
	switch s, ok := h.site.SignIn(c.Writer, c.Request); {
	case !ok:
	case s.User.Staff:
		klime.Skip(c)
	default:
		klime.Link(c, klime.User{ID: s.User.ID, Traits: klime.Traits{
			"email": s.User.Email, "name": s.User.Name, "createdAt": s.User.Since,
		}}, demo.Groups(s.Orgs)...)
		klime.SetGroup(c, s.Org.ID)
	}
}

func (h *handlers) switchOrg(c *gin.Context) {
	if s, ok := h.site.Switch(c.Writer, c.Request); ok {
		klime.SetGroup(c, s.Org.ID)
	}
}

func (h *handlers) requireMember(c *gin.Context) {
	org, ok := h.site.Enter(c.Writer, c.Request)
	if !ok {
		c.Abort()
		return
	}
	klime.SetGroup(c, org.ID)
}

func (h *handlers) adminUpdate(c *gin.Context) {
	if org, ok := h.site.UpdateOrg(c.Writer, c.Request); ok {
		demo.Warn(h.klime.Group(c, org.ID, demo.Traits(org)))
	}
}

func (h *handlers) billing(c *gin.Context) {
	if org, ok := h.site.ChangePlan(c.Writer, c.Request); ok {
		demo.Warn(h.klime.Group(c, org.ID, klime.Traits{"plan": org.Plan}))
		demo.Warn(h.klime.Track(c, "Plan Changed", klime.Properties{"plan": org.Plan}, klime.ForGroup(org.ID)))
	}
}

func skipStaff(c *gin.Context) {
	if web.Session(c.Request).User.Staff {
		klime.Skip(c)
	}
}

// pathValues passes Gin's path parameters to the handlers, which are for net/http.
func pathValues(c *gin.Context) {
	for _, p := range c.Params {
		c.Request.SetPathValue(p.Key, p.Value)
	}
}

// through turns a middleware for net/http, which may answer itself, into one for Gin.
func through(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request, passed = r, true
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}
