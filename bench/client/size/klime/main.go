// Command klime is the same program as bare, with the middleware.
package main

import (
	"log"
	"net/http"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

func main() {
	client, err := klime.New(klime.FromEnv())
	if err != nil {
		log.Print("no analytics: ", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orgs/{org}/reports/{id}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{}`))
	})
	handler := nethttp.Middleware(client)(mux)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
