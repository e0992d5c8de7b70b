package stack_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// exposed are the fields that the construct adds to those that pages may read.
const exposed = "Proxy-Status,Idempotent-Replayed,Retry-After,Location,Preference-Applied,X-Amzn-Requestid"

// allowing gives the stack's URL a Cors that lets the pages of an origin call, as the construct does.
func allowing(t testing.TB, origin string) setting {
	t.Helper()
	return from(edited(t, func(template map[string]any) {
		for _, function := range resources(template, "AWS::Lambda::Function") {
			if variables := function["Environment"].(map[string]any)["Variables"].(map[string]any); variables["STATE_MACHINE_ARN"] != nil {
				variables["CROSS_ORIGIN"] = "true"
			}
		}
		resources(template, "AWS::Lambda::Url")[0]["Cors"] = map[string]any{
			"AllowOrigins":  []string{origin},
			"AllowMethods":  []string{"*"},
			"AllowHeaders":  []string{"Content-Type", "Idempotency-Key", "Prefer"},
			"ExposeHeaders": strings.Split(exposed, ","),
			"MaxAge":        600,
		}
	}))
}

// page is the origin of a page in tests without a browser.
const page = "https://shop.example"

// preflight asks whether a page may send a POST with a key.
var preflight = []string{"Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,idempotency-key"}

func TestAPreflightIsAnsweredWithoutAnInvocationOfTheGateway(t *testing.T) {
	t.Parallel()
	// A gateway that is invoked ends its process.
	s := start(t, closedAddress(t), allowing(t, page), crashing("gateway"))
	a := send(t, s, http.MethodOptions, "/orders", "", preflight...)
	if a.Status != http.StatusOK || a.Body != "" {
		t.Errorf("the answer is %d %q, want 200 and nothing", a.Status, a.Body)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":  page,
		"Access-Control-Allow-Methods": "*",
		"Access-Control-Allow-Headers": "Content-Type,Idempotency-Key,Prefer",
		"Access-Control-Max-Age":       "600",
		"Vary":                         "Origin",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// What follows is invoked, and a page may read that it failed.
	a = send(t, s, http.MethodPost, "/orders", "{}", "Origin", page)
	if a.Status != http.StatusBadGateway || a.Header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("the request behind it is answered with %d %v, want 502 that a page may read", a.Status, a.Header)
	}
}

func TestAPageOfAnotherOriginMayReadAProblemAndTheFieldsThatAreExposed(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t), allowing(t, page))
	a := get(t, s, "/orders", "Origin", page, "Prefer", "attempts=1")
	a.problem(t, http.StatusBadGateway, "no-answer")
	if got := a.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != page {
		t.Errorf("Access-Control-Allow-Origin is %q, want %s once", got, page)
	}
	if got := a.Header.Get("Access-Control-Expose-Headers"); got != exposed || a.Header.Get("Proxy-Status") == "" {
		t.Errorf("exposed is %q of %v, want %s", got, a.Header, exposed)
	}
	if a = get(t, s, "/orders", "Origin", "https://stranger.example", "Prefer", "attempts=1"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page may read it, too: %v", a.Header)
	}
}

func TestAPreflightGoesUpstreamWithoutAKeyIfTheURLHasNoCors(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusNoContent, "Access-Control-Allow-Origin", page, "Access-Control-Allow-Methods", "POST"))
	s := start(t, u.URL, environment("gateway", "IDEMPOTENCY_KEY_REQUIRED", "always"))
	a := send(t, s, http.MethodOptions, "/orders", "", preflight...)
	if a.Status != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != page || a.Header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Fatalf("the answer is %d %v, want the upstream's", a.Status, a.Header)
	}
	r := u.received()[0]
	if r.Method != http.MethodOptions || r.Header.Get("Origin") != page || r.Header.Get("Access-Control-Request-Method") != "POST" {
		t.Errorf("the upstream was sent %s %v", r.Method, r.Header)
	}
}

// browserTimeout ends a browser that hangs.
const browserTimeout = time.Minute

// program is what a page does: it sends requests to the URL in its query, and tells its own server what it could read of
// the answers.
const program = `<!doctype html><script>
const ask = async (method, path, headers, body) => {
  try {
    const answer = await fetch(location.search.slice(1) + path, { method, headers, body });
    const read = { status: answer.status, body: await answer.text() };
    for (const name of ['Proxy-Status', 'Idempotent-Replayed', 'Retry-After', 'Location', 'X-Amzn-Requestid', 'X-Order']) {
      if (answer.headers.has(name)) read[name] = answer.headers.get(name);
    }
    return read;
  } catch (error) {
    return { error: error.name };
  }
};
(async () => {
  const order = (body) => ask('POST', '/orders', { 'Content-Type': 'application/json', 'Idempotency-Key': 'order-1' }, body);
  const read = {
    placed: await order('{"item":"tea"}'),
    replayed: await order('{"item":"tea"}'),
    reused: await order('{"item":"coffee"}'),
    busy: await ask('DELETE', '/orders/7', { Prefer: 'attempts=1' }),
  };
  await fetch('/read', { method: 'POST', body: JSON.stringify(read) });
})();
</script>`

// browser finds a browser, or skips the test.
func browser(t *testing.T) (chromium string) {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	t.Skip("there is no chromium on the PATH and none at CHROMIUM, so no page calls the URL; apt-get install chromium installs it")
	return ""
}

// readBy has a browser show a page that runs the program against a URL, and returns what the page could read.
func readBy(t *testing.T, chromium, origin, url string, read <-chan map[string]map[string]any) map[string]map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	defer cancel()
	profile, err := os.MkdirTemp(directory, "browser-") // whose processes write to it while they end
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--user-data-dir="+profile, "--remote-debugging-port=0", origin+"/?"+url)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = browserTimeout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = command.Wait()
	}()
	select {
	case told := <-read:
		return told
	case <-ctx.Done():
		t.Fatal("the page told nothing")
		return nil
	}
}

// A browser is who judges, since it is for browsers.
func TestABrowsersPageCanUseKeysAndReadWhatBecameOfItsRequests(t *testing.T) {
	t.Parallel()
	withCDK(t)
	chromium := browser(t)
	read := make(chan map[string]map[string]any, 2)
	pages := func() *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/":
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, program)
			case "/read":
				var told map[string]map[string]any
				if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
					t.Error(err)
				}
				read <- told
			default:
				http.NotFound(w, r)
			}
		}))
		t.Cleanup(server.Close)
		return server
	}
	shop, stranger := pages(), pages()
	u := play(t,
		respond(http.StatusCreated, `{"id":7}`, "Content-Type", "application/json", "Location", "/orders/7", "X-Order", "7",
			"Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", "X-Order"), // it lets all pages read that
		status(http.StatusServiceUnavailable, "Retry-After", "7"))
	s := start(t, u.URL, allowing(t, shop.URL))

	got := readBy(t, chromium, shop.URL, s.URL(), read)
	for _, answer := range got {
		if answer["X-Amzn-Requestid"] == nil {
			t.Errorf("an answer has no request ID that the page can read: %v", answer)
		}
		delete(answer, "X-Amzn-Requestid")
	}
	if kind, _ := got["reused"]["body"].(string); !strings.Contains(kind, problemBase+"idempotency-key-reused") {
		t.Errorf("of the problem the page read %q", kind)
	}
	delete(got["reused"], "body")
	want := map[string]map[string]any{
		"placed":   {"status": 201.0, "body": `{"id":7}`, "Location": "/orders/7", "Proxy-Status": "proxy-1; received-status=201"},
		"replayed": {"status": 201.0, "body": `{"id":7}`, "Location": "/orders/7", "Proxy-Status": "proxy-1; received-status=201", "Idempotent-Replayed": "true"},
		"reused":   {"status": 422.0},
		"busy":     {"status": 503.0, "body": "Service Unavailable", "Retry-After": "7", "Proxy-Status": "proxy-1; received-status=503"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the page read (-want +got):\n%s", diff)
	}

	failed := map[string]any{"error": "TypeError"}
	want = map[string]map[string]any{"placed": failed, "replayed": failed, "reused": failed, "busy": failed}
	if diff := cmp.Diff(want, readBy(t, chromium, stranger.URL, s.URL(), read)); diff != "" {
		t.Errorf("what the page of another origin read (-want +got):\n%s", diff)
	}
	if n := len(u.received()); n != 2 {
		t.Errorf("the upstream was sent %d requests, want the two of the page that may call", n)
	}
}
