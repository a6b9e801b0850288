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
	maxSpans     = 10_000   // that are kept; the oldest makes room
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

	mu    sync.Mutex
	klime string     // base URL of the Klime that shows the customers, "" for none
	spans []spanView // in order of arrival
}

// traceView is a trace as far as it has arrived.
type traceView struct {
	ID             string
	User, Customer string // as AnnotateSpan has written them
	Spans          []spanView
}

// spanView is a span.
type spanView struct {
	TraceID        string
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
		TraceID:  hex.EncodeToString(s.GetTraceId()),
		ID:       hex.EncodeToString(s.GetSpanId()),
		Parent:   hex.EncodeToString(s.GetParentSpanId()),
		Name:     s.GetName(),
		Server:   s.GetKind() == otlp.Span_SPAN_KIND_SERVER,
		User:     valueOf(s.GetAttributes(), "user.id"),
		Customer: valueOf(s.GetAttributes(), "klime.group.id"),
		Start:    time.Unix(0, int64(s.GetStartTimeUnixNano())).UTC(),                              //nolint:gosec // times do not get that large
		Duration: time.Duration(s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano()) * time.Nanosecond, //nolint:gosec // as above
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans[max(0, len(r.spans)+1-maxSpans):], span)
}

func valueOf(all []*common.KeyValue, key string) string {
	for _, a := range all {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// all returns the traces, the newest first.
func (r *receiver) all() []traceView {
	r.mu.Lock()
	spans := slices.Clone(r.spans)
	r.mu.Unlock()
	var traces []traceView
	place := make(map[string]int) // in traces, by ID
	for _, s := range spans {
		i, ok := place[s.TraceID]
		if !ok {
			i = len(traces)
			place[s.TraceID] = i
			traces = append(traces, traceView{ID: s.TraceID})
		}
		t := &traces[i]
		t.Spans = append(t.Spans, s)
		t.User, t.Customer = cmp.Or(t.User, s.User), cmp.Or(t.Customer, s.Customer)
	}
	for _, t := range traces {
		slices.SortFunc(t.Spans, func(a, b spanView) int { return a.Start.Compare(b.Start) })
	}
	slices.Reverse(traces)
	return traces
}

// view is what a page shows.
type view struct {
	*receiver

	Customer string      // list: only this customer's traces
	Traces   []traceView // list
	Trace    traceView   // trace
}

// list shows all traces, or with ?customer= those of one customer.
func (r *receiver) list(w http.ResponseWriter, req *http.Request) {
	customer := req.URL.Query().Get("customer")
	traces := slices.DeleteFunc(r.all(), func(t traceView) bool { return customer != "" && t.Customer != customer })
	r.render(w, http.StatusOK, "list", view{receiver: r, Customer: customer, Traces: traces})
}

// show shows one trace.
func (r *receiver) show(w http.ResponseWriter, req *http.Request) {
	id, traces := req.PathValue("id"), r.all()
	i := slices.IndexFunc(traces, func(t traceView) bool { return t.ID == id })
	if i < 0 {
		r.render(w, http.StatusNotFound, "trace", view{receiver: r, Trace: traceView{ID: id}})
		return
	}
	r.render(w, http.StatusOK, "trace", view{receiver: r, Trace: traces[i]})
}

func (r *receiver) render(w http.ResponseWriter, status int, page string, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := r.pages.ExecuteTemplate(w, page, v); err != nil {
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
