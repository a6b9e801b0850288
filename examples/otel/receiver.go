package main

import (
	"cmp"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	maxTraces    = 500      // traces that are kept; the oldest makes room
	maxSpans     = 200      // spans of a trace
	maxExport    = 16 << 20 // bytes of one export
	traceIDBytes = 16
)

//go:embed traces.html
var tracesHTML string

// receiver accepts spans by OTLP over HTTP, as the OpenTelemetry Collector does, and
// shows them on web pages. In a real deployment, your tracing backend does this.
type receiver struct {
	url    string
	server *http.Server
	served chan error
	pages  *template.Template

	mu     sync.Mutex
	klime  string // base URL of the Klime that shows the customers, "" for none
	traces map[string]*traceView
	order  []string // IDs of traces, in order of arrival
}

// traceView is a trace as far as it has arrived.
type traceView struct {
	ID             string
	User, Customer string // as AnnotateSpan has written them
	Spans          []spanView
}

// spanView is a span.
type spanView struct {
	ID, Parent     string
	Name           string
	Server         bool
	User, Customer string
	Start          time.Time
	Duration       time.Duration
}

// startReceiver starts a receiver on listener.
func startReceiver(listener net.Listener) *receiver {
	r := &receiver{
		url:    "http://" + listener.Addr().String(),
		served: make(chan error, 1),
		pages:  template.Must(template.New("traces").Parse(tracesHTML)),
		traces: make(map[string]*traceView),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.export)
	mux.HandleFunc("GET /traces", r.list)
	mux.HandleFunc("GET /traces/{id}", r.show)
	mux.Handle("GET /{$}", http.RedirectHandler("/traces", http.StatusSeeOther))
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { r.served <- r.server.Serve(listener) }()
	return r
}

func (r *receiver) shutdown(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// linkCustomers says which Klime shows the customers.
func (r *receiver) linkCustomers(klime string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.klime = klime
}

// export accepts spans, as specified by OTLP.
func (r *receiver) export(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "only protobuf", http.StatusUnsupportedMediaType)
		return
	}
	message, err := readExport(w, req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, resource := range message.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				r.add(span)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // the empty body is an empty ExportTraceServiceResponse
}

func readExport(w http.ResponseWriter, req *http.Request) (*collector.ExportTraceServiceRequest, error) {
	var body io.Reader = http.MaxBytesReader(w, req.Body, maxExport)
	if req.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = io.LimitReader(unpacked, maxExport)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	message := new(collector.ExportTraceServiceRequest)
	return message, proto.Unmarshal(raw, message)
}

func (r *receiver) add(s *otlp.Span) {
	if len(s.GetTraceId()) != traceIDBytes {
		return
	}
	span := spanView{
		ID:       hex.EncodeToString(s.GetSpanId()),
		Parent:   hex.EncodeToString(s.GetParentSpanId()),
		Name:     s.GetName(),
		Server:   s.GetKind() == otlp.Span_SPAN_KIND_SERVER,
		User:     valueOf(s.GetAttributes(), "user.id"),
		Customer: valueOf(s.GetAttributes(), "klime.group.id"),
		Start:    time.Unix(0, int64(s.GetStartTimeUnixNano())).UTC(),                              //nolint:gosec // times do not get that large
		Duration: time.Duration(s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano()) * time.Nanosecond, //nolint:gosec // as above
	}
	id := hex.EncodeToString(s.GetTraceId())
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.traces[id]
	if t == nil {
		t = &traceView{ID: id}
		r.traces[id] = t
		r.order = append(r.order, id)
		if len(r.order) > maxTraces {
			delete(r.traces, r.order[0])
			r.order = r.order[1:]
		}
	}
	if len(t.Spans) < maxSpans {
		t.Spans = append(t.Spans, span)
		slices.SortFunc(t.Spans, func(a, b spanView) int { return a.Start.Compare(b.Start) })
	}
	t.User, t.Customer = cmp.Or(t.User, span.User), cmp.Or(t.Customer, span.Customer)
}

func valueOf(all []*common.KeyValue, key string) string {
	for _, a := range all {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// all returns the traces of a customer, or of all if customer is "", the newest first.
func (r *receiver) all(customer string) []traceView {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []traceView
	for _, id := range slices.Backward(r.order) {
		if t := r.traces[id]; customer == "" || t.Customer == customer {
			found = append(found, t.clone())
		}
	}
	return found
}

// trace returns a trace, without spans if nothing of it has arrived.
func (r *receiver) trace(id string) traceView {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.traces[id]; t != nil {
		return t.clone()
	}
	return traceView{ID: id}
}

func (t *traceView) clone() traceView {
	c := *t
	c.Spans = slices.Clone(t.Spans)
	return c
}

// list shows all traces, or with ?customer= those of one customer.
func (r *receiver) list(w http.ResponseWriter, req *http.Request) {
	customer := req.URL.Query().Get("customer")
	r.render(w, http.StatusOK, "list", struct {
		*receiver

		Customer string
		Traces   []traceView
	}{r, customer, r.all(customer)})
}

// show shows one trace.
func (r *receiver) show(w http.ResponseWriter, req *http.Request) {
	t, status := r.trace(req.PathValue("id")), http.StatusOK
	if len(t.Spans) == 0 {
		status = http.StatusNotFound
	}
	r.render(w, status, "trace", struct {
		*receiver

		Trace traceView
	}{r, t})
}

func (r *receiver) render(w http.ResponseWriter, status int, name string, view any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := r.pages.ExecuteTemplate(w, name, view); err != nil {
		fmt.Fprintln(w, "the page ends here") // most likely the browser has gone away
	}
}

// CustomerURL is where Klime shows a customer, "" if that is unknown.
func (r *receiver) CustomerURL(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.klime == "" {
		return ""
	}
	return r.klime + "/customer?id=" + url.QueryEscape(id)
}
