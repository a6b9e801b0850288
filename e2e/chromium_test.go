package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium, controlled over a pipe by the Chrome DevTools Protocol:
// messages are JSON, each followed by a null byte.
type browser struct {
	out io.Writer

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	logs    map[string][]string // errors of scripts, and of what failed to load, by session
	closed  bool
}

type reply struct {
	ID        int             `json:"id"`
	SessionID string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message string }
}

// startBrowser starts a Chromium that ends with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("these tests need Chromium: apt-get install chromium")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-extensions", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	in, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{in, out} // file descriptors 3 and 4, which Chromium uses
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Close(), out.Close()
	b := &browser{out: toBrowser, waiting: make(map[int]chan reply), logs: make(map[string][]string)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(bufio.NewReader(fromBrowser))
	}()
	t.Cleanup(func() {
		_, _ = b.send("", "Browser.close", nil)
		kill := time.AfterFunc(10*time.Second, cancel)
		_ = cmd.Wait()
		kill.Stop()
		cancel()
		_, _ = toBrowser.Close(), fromBrowser.Close()
		<-done
	})
	return b
}

func (b *browser) read(from *bufio.Reader) {
	for {
		message, err := from.ReadBytes(0)
		if err != nil {
			b.end()
			return
		}
		var r reply
		if json.Unmarshal(bytes.TrimSuffix(message, []byte{0}), &r) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.waiting[r.ID]; r.ID != 0 && c != nil {
			delete(b.waiting, r.ID)
			c <- r
		}
		b.note(&r)
		b.mu.Unlock()
	}
}

// end releases everything that waits for an answer.
func (b *browser) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for id, c := range b.waiting {
		close(c)
		delete(b.waiting, id)
	}
}

// note keeps what no page should cause: exceptions, errors in the console, and what the
// page's policy has blocked. The caller must hold the lock.
func (b *browser) note(r *reply) {
	switch r.Method {
	case "Runtime.exceptionThrown":
		b.logs[r.SessionID] = append(b.logs[r.SessionID], string(r.Params))
	case "Log.entryAdded":
		var p struct {
			Entry struct{ Level, Text, URL string }
		}
		_ = json.Unmarshal(r.Params, &p)
		if p.Entry.Level == "error" {
			b.logs[r.SessionID] = append(b.logs[r.SessionID], p.Entry.Text+" "+p.Entry.URL)
		}
	case "Page.javascriptDialogOpening":
		b.logs[r.SessionID] = append(b.logs[r.SessionID], "a dialog was opened: "+string(r.Params))
	}
}

var errBrowserGone = errors.New("chromium has ended")

func (b *browser) send(session, method string, params any) (json.RawMessage, error) {
	c := make(chan reply, 1)
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, errBrowserGone
	}
	b.next++
	request := map[string]any{"id": b.next, "method": method}
	if params != nil {
		request["params"] = params
	}
	if session != "" {
		request["sessionId"] = session
	}
	b.waiting[b.next] = c
	message, err := json.Marshal(request)
	if err == nil {
		_, err = b.out.Write(append(message, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r, ok := <-c:
		switch {
		case !ok:
			return nil, errBrowserGone
		case r.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-time.After(programTimeout):
		return nil, fmt.Errorf("%s: no answer", method)
	}
}

// tab is a page of a browser.
type tab struct {
	t       *testing.T
	b       *browser
	session string
}

// newTab opens an empty page with its own profile.
func (b *browser) newTab(t *testing.T) *tab {
	t.Helper()
	p := &tab{t: t, b: b}
	var browserContext struct{ BrowserContextID string }
	p.into(&browserContext, "Target.createBrowserContext", nil)
	var target struct{ TargetID string }
	p.into(&target, "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": browserContext.BrowserContextID})
	var attached struct{ SessionID string }
	p.into(&attached, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true})
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.call(domain+".enable", nil)
	}
	p.size(1280, 900)
	t.Cleanup(func() {
		for _, complaint := range p.complaints() {
			t.Errorf("the browser complains: %s", complaint)
		}
		_, _ = b.send("", "Target.closeTarget", map[string]any{"targetId": target.TargetID})
	})
	return p
}

// complaints returns the errors of the page since the last call.
func (p *tab) complaints() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	logs := p.b.logs[p.session]
	delete(p.b.logs, p.session)
	return logs
}

func (p *tab) call(method string, params any) json.RawMessage {
	p.t.Helper()
	result, err := p.b.send(p.session, method, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return result
}

func (p *tab) into(result any, method string, params any) {
	p.t.Helper()
	if err := json.Unmarshal(p.call(method, params), result); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) size(width, height int) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
	})
}

func (p *tab) scheme(name string) {
	p.t.Helper()
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": name}}})
}

// open loads a page, and waits until it is live.
func (p *tab) open(url string) {
	p.t.Helper()
	p.call("Page.navigate", map[string]any{"url": url})
	p.until(`location.href.startsWith(` + quote(strings.SplitN(url, "#", 2)[0]) + `) && document.readyState === "complete"`)
}

// eval decodes the value of a JavaScript expression, or of its promise, into a variable.
func (p *tab) eval(expression string, into any) {
	p.t.Helper()
	var result struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.into(&result, "Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
	})
	if result.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, result.ExceptionDetails)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(result.Result.Value, into); err != nil {
		p.t.Fatalf("%s: %v in %s", expression, err, result.Result.Value)
	}
}

func (p *tab) str(expression string) (s string) {
	p.t.Helper()
	p.eval(expression, &s)
	return s
}

// until waits until a JavaScript expression is true.
func (p *tab) until(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(programTimeout)
	for {
		var ok bool
		result, err := p.b.send(p.session, "Runtime.evaluate", map[string]any{"expression": "!!(" + expression + ")", "returnByValue": true})
		if err == nil {
			var r struct{ Result struct{ Value bool } }
			_ = json.Unmarshal(result, &r)
			ok = r.Result.Value
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			p.screenshot("failed")
			p.t.Fatalf("waited in vain for %s on %s", expression, p.str(`location.href + "\n" + document.body.innerText`))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// text is what a reader sees of the element.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return p.str(`document.querySelector(` + quote(selector) + `)?.innerText ?? "(none)"`)
}

// press types keys, one after the other: characters, or names such as "Enter".
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		down := map[string]any{"type": "keyDown", "key": key}
		switch {
		case key == "Enter":
			down["text"], down["windowsVirtualKeyCode"] = "\r", 13
		case key == "Tab":
			down["windowsVirtualKeyCode"] = 9
		case key == "Escape":
			down["windowsVirtualKeyCode"] = 27
		case len(key) == 1:
			down["text"] = key
		}
		p.call("Input.dispatchKeyEvent", down)
		delete(down, "text")
		down["type"] = "keyUp"
		p.call("Input.dispatchKeyEvent", down)
	}
}

// screenshot saves a picture of the whole page with the artefacts.
func (p *tab) screenshot(name string) {
	p.t.Helper()
	var metrics struct {
		CSSContentSize struct{ Width, Height float64 } `json:"cssContentSize"`
	}
	p.into(&metrics, "Page.getLayoutMetrics", nil)
	p.picture(cmp.Or(os.Getenv("KLIME_SCREENSHOTS"), "screenshots"), name, metrics.CSSContentSize.Width, min(metrics.CSSContentSize.Height, 4000))
}

// picture saves a picture of the top of the page in a folder.
func (p *tab) picture(folder, name string, width, height float64) {
	p.t.Helper()
	var picture struct{ Data string }
	p.into(&picture, "Page.captureScreenshot", map[string]any{
		"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
	})
	content, err := base64.StdEncoding.DecodeString(picture.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), content, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// mouse presses or releases the left button in the middle of an element.
func (p *tab) mouse(what, selector string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	p.eval(`(() => { const r = document.querySelector(`+quote(selector)+`).getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()`, &at)
	p.call("Input.dispatchMouseEvent", map[string]any{"type": what, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1})
}

// choose picks an option, as a person does.
func (p *tab) choose(selector, value string) {
	p.t.Helper()
	p.eval(`(() => { const s = document.querySelector(`+quote(selector)+`); s.value = `+quote(value)+`; s.dispatchEvent(new Event("input", { bubbles: true })); })()`, nil)
}

// quote writes a string as JavaScript.
func quote(s string) string {
	b, _ := json.Marshal(s) // cannot fail for a string
	return string(b)
}
