package routers

import (
	"net/http"
	"testing"

	"github.com/gorilla/mux"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	router := mux.NewRouter()
	api := router.PathPrefix("/api").Subrouter()
	for _, test := range []struct {
		route *mux.Route
		want  string
	}{
		{nil, ""},
		{router.Host("example.com"), ""},
		{router.Path("/reports/{id:[0-9]+}"), "/reports/{id:[0-9]+}"},
		{router.Path("/reports/"), "/reports/"},
		{api.Path("/reports"), "/api/reports"},
		{router.PathPrefix("/files/"), "/files/*"},  // a file server
		{router.PathPrefix("/legacy"), "/legacy/*"}, // another mux
		{router.PathPrefix("/orgs/{org}/"), "/orgs/{org}/*"},
		{router.PathPrefix("/"), "/*"}, // a single-page app
		{api.Methods(http.MethodGet), "/api/*"},
		{api.PathPrefix("/files"), "/api/files/*"},
		{router.Path("/rest/{rest:.*}"), "/rest/*"},
		{router.Path("/rest/{rest:.+}"), "/rest/*"},
		{router.Path("/rest-{rest:.*}"), "/rest-{rest:.*}"},
		{router.Path("/rest/{rest:.*}/end"), "/rest/{rest:.*}/end"},
	} {
		if got := template(test.route); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
