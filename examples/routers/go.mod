module github.com/klimeapp/klime-go/examples/routers

go 1.25.0

require (
	github.com/gorilla/mux v1.8.1
	github.com/julienschmidt/httprouter v1.3.0
	github.com/klimeapp/klime-go v0.0.0
)

require (
	go.opentelemetry.io/otel v1.35.0 // indirect
	go.opentelemetry.io/otel/metric v1.35.0 // indirect
	go.opentelemetry.io/otel/trace v1.35.0 // indirect
)

replace github.com/klimeapp/klime-go => ../..
