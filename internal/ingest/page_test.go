package ingest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/internal/ingest"
)

func TestPageEmpty(t *testing.T) {
	s := ingest.New(ingest.Options{})
	wantIn(t, page(t, s),
		"0 batches · 0 accepted · 0 repeated · 0 rejected · 0 unlinked",
		"A customer appears only once <code>group()</code> was called for it",
		"No events yet",
		`<meta http-equiv="refresh" content="2">`)
}

func TestPageGrows(t *testing.T) {
	s := ingest.New(ingest.Options{})
	post(t, s,
		event("track", "1", "09:00", "event", `"Report Generated"`, "userId", `"ann"`, "properties", `{"rows": 12345678901234567890}`),
		event("identify", "2", "09:01", "userId", `"ann"`, "traits", `{"plan":"pro","email":"ann@acme.example","name":"Ann"}`),
		event("track", "3", "09:02", "event", `"Invoice Paid"`, "groupId", `"acme"`))
	p := page(t, s)
	wantIn(t, p,
		"1 batches · 3 accepted · 0 repeated · 0 rejected · 2 unlinked",
		"No customers yet",
		"Users without a customer", "Groups without group()",
		"Report Generated", `{&#34;rows&#34;:12345678901234567890}`, "2026-11-23 09:00:00")
	if n, e, rest := strings.Index(p, ">Ann<"), strings.Index(p, "ann@acme.example"), strings.Index(p, ">pro<"); n < 0 || n > e || e > rest {
		t.Errorf("name, email and plan are at %d, %d and %d, want them in this order", n, e, rest)
	}

	post(t, s, event("group", "4", "09:03", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"name":"Acme Inc","seats":12,"active":null}`))
	p = page(t, s)
	wantIn(t, p,
		"2 batches · 4 accepted · 0 repeated · 0 rejected · 0 unlinked",
		"<bdi>acme</bdi>", "Acme Inc", "<bdi>12</bdi>", "<bdi>null</bdi>", `<td class="n">2<td class="t">2026-11-23 09:02:00`)
	wantNotIn(t, p, "No customers yet", "Users without a customer", "Groups without group()")

	post(t, s, event("track", "5", "10:00", "event", `"Report Shared"`, "userId", `"ann"`))
	wantIn(t, page(t, s), "5 accepted", "Report Shared", `<td class="n">3<td class="t">2026-11-23 10:00:00`)
}

func TestPageLinksTraces(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, tt := range []struct{ url, context, want string }{
		{"http://127.0.0.1:8082/traces/", `{"trace":{"traceId":"` + id + `"}}`, `<a href="http://127.0.0.1:8082/traces/` + id + `">` + id + `</a>`},
		{"", `{"trace":{"traceId":"` + id + `"}}`, `<i>trace</i> ` + id},
		{"http://127.0.0.1:8082/traces/", `{"trace":{"traceId":"../` + id[3:] + `"}}`, ""},
		{"http://127.0.0.1:8082/traces/", `{"trace":{"traceId":"4bf9"}}`, ""},
		{"http://127.0.0.1:8082/traces/", `{"trace":"` + id + `"}`, ""},
		{"http://127.0.0.1:8082/traces/", `{}`, ""},
	} {
		s := ingest.New(ingest.Options{TraceURL: tt.url})
		post(t, s,
			event("group", "1", "09:00", "groupId", `"acme"`),
			event("track", "2", "09:00", "event", `"Done"`, "groupId", `"acme"`, "context", tt.context))
		p := page(t, s)
		if wantIn(t, p, tt.want, `<td id="acme">`); tt.want == "" {
			wantNotIn(t, p, "<a ", "<i>trace</i>")
		}
	}
}

func TestPageIsBounded(t *testing.T) {
	s := ingest.New(ingest.Options{})
	for i := range 250 {
		post(t, s,
			event("group", fmt.Sprint("g", i), "09:00", "groupId", fmt.Sprintf(`"group%03d"`, i)),
			event("group", fmt.Sprint("l", i), "09:00", "groupId", `"big"`, "userId", fmt.Sprintf(`"linked%03d"`, i)),
			event("track", fmt.Sprint("u", i), "09:00", "event", fmt.Sprintf(`"Opened %d."`, i), "userId", fmt.Sprintf(`"user%03d"`, i)))
	}
	p := page(t, s)
	wantIn(t, p,
		"<bdi>group198</bdi>", "… and 51 more", // customers: big and group000 to group198
		"<bdi>user199</bdi>", "… and 50 more",
		"<bdi>linked019</bdi>", "… and 230 more",
		"Opened 249.", "Opened 234.")
	wantNotIn(t, p, "group199", "user200", "<bdi>linked020</bdi></td>", "Opened 199.")
	if got := strings.Count(p, "<tr>"); got != 3+200+200+50 {
		t.Errorf("%d rows", got)
	}
}

func TestPageShowsHostileValuesAsText(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        string
	}{
		{"script", `<script>alert(1)</script>`, `&lt;script&gt;alert(1)&lt;/script&gt;`},
		{"attribute", `" onload="alert(1)`, `&#34; onload=&#34;alert(1)`},
		{"comment", `--><!--`, `--&gt;&lt;!--`},
		{"template", `{{.Counts}}`, `{{.Counts}}`},
		{"null byte", "a\x00b", `a\u0000b`},
		{"line break", "a\r\nb", `a\u000d\u000ab`},
		{"right-to-left override", "a\u202eb", `a\u202eb`},
		{"tag character", "a\U000e0041b", `a\ue0041b`},
		{"Hebrew", "שלום", "<bdi>שלום</bdi>"},
		{"emoji", "🎉", "🎉"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			value, err := json.Marshal(tt.value)
			if err != nil {
				t.Fatal(err)
			}
			v := string(value)
			s := ingest.New(ingest.Options{})
			post(t, s,
				event("group", "1", "09:00", "groupId", v, "userId", v, "traits", `{`+v+`:`+v+`}`),
				event("identify", "2", "09:00", "userId", `"other"`, "traits", `{`+v+`:{`+v+`:`+v+`}}`),
				event("track", "3", "09:00", "event", v, "groupId", `"unknown`+v[1:], "properties", `{`+v+`:`+v+`}`))
			p := page(t, s)
			wantIn(t, p, tt.want)
			wantNotIn(t, p, "<script", "onload=\"", "<!--", "\x00", "\r", "\u202e", "\U000e0041")
		})
	}
}

func TestPageCutsHugeStrings(t *testing.T) {
	s := ingest.New(ingest.Options{})
	huge := `"` + strings.Repeat("é", 15_000) + `"`
	for i := range 6 {
		post(t, s,
			event("group", fmt.Sprint("g", i), "09:00", "groupId", huge, "userId", huge, "traits", `{`+huge+`:`+huge+`}`),
			event("track", fmt.Sprint("t", i), "09:00", "event", huge, "userId", huge, "properties", `{`+huge+`:`+huge+`}`))
	}
	if p := page(t, s); len(p) > 30_000 {
		t.Errorf("the page has %d bytes", len(p))
	} else {
		wantIn(t, p, strings.Repeat("é", 80)+"…")
	}
}

func TestPagePolicy(t *testing.T) {
	w := serve(ingest.New(ingest.Options{}), "GET", "/", "")
	_, rest, _ := strings.Cut(w.Body.String(), "<style>")
	style, _, ok := strings.Cut(rest, "</style>")
	if !ok {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if got := w.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("policy %s\n  want %s", got, want)
	}
	wantNotIn(t, w.Body.String(), "<script", "http://", "https://", " style=", "<link", "<img")
}

// BenchmarkPage is the page at the default bound of events.
func BenchmarkPage(b *testing.B) {
	s := ingest.New(ingest.Options{})
	for n := range 1000 {
		var events []string
		for i := range 100 {
			id, user := fmt.Sprintf("%d-%d", n, i), fmt.Sprintf(`"user%d"`, (n*100+i)%10_000)
			if n < 100 {
				group := fmt.Sprintf(`"group%d"`, i)
				events = append(events, event("group", id, "09:00", "groupId", group, "userId", user, "traits", `{"name":"Acme Inc"}`))
			} else {
				events = append(events, event("track", id, "09:00", "event", `"Opened"`, "userId", user))
			}
		}
		post(b, s, events...)
	}
	for b.Loop() {
		page(b, s)
	}
}
