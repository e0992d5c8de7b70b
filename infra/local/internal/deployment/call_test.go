package deployment_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// How a POST with an Idempotency-Key was answered.
const (
	carriedOut = "carried out"
	replayed   = "replayed"
)

// running starts what is deployed: the code that Lambda has, with its environment, the definitions that Step Functions has, and the
// table. Neither moto nor anybody else here could run StartSyncExecution; the local stack's services do. They find nothing in
// the template, and what the table had in the drill's file.
func (d *drill) running(t *testing.T, use func(url string)) {
	t.Helper()
	template := *d.deployed
	template.Functions = slices.Clone(template.Functions)
	for i, f := range template.Functions {
		// There, a state machine has one version. That the gateway has the latest is checked by checkVersions.
		template.Functions[i].Environment = maps.Clone(f.Environment)
		for name, value := range f.Environment {
			template.Functions[i].Environment[name] = version.ReplaceAllString(value, "$1:1")
		}
	}
	binaries, err := assembly.NativeBinaries(t.Context(), &template)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running, err := stack.Start(stack.Config{
		Template: &template, Listener: listener, Upstream: d.upstream.URL, DataFile: d.records, Binaries: binaries, Speed: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	use(running.URL())
}

// called sends a GET, which one of the proxies must answer, and a POST with a key.
func (d *drill) called(t *testing.T, key, want string) {
	t.Helper()
	d.step(t, "GET, and POST with key "+key, func() string {
		d.running(t, func(url string) {
			if answer := send(t, http.MethodGet, url+"/tea", ""); answer.status != http.StatusOK || answer.body != "GET /tea" ||
				!strings.Contains(answer.header.Get("Proxy-Status"), "proxy-") {
				t.Errorf("GET is answered %+v", answer)
			}
			before := d.upstream.count("POST /orders")
			answer := send(t, http.MethodPost, url+"/orders", key)
			if answer.status != http.StatusOK || answer.body != "POST /orders" {
				t.Errorf("POST is answered %+v", answer)
			}
			sent, replay := d.upstream.count("POST /orders")-before, answer.header.Get("Idempotent-Replayed") == "true"
			if replay != (want == replayed) || sent != map[string]int{carriedOut: 1, replayed: 0}[want] {
				t.Errorf("the POST was sent %d times, and Idempotent-Replayed is %v; it should be %s", sent, replay, want)
			}
		})
		return "the POST is " + want
	})
}

// answeredLater sends an asynchronous request, and fetches its answer.
func (d *drill) answeredLater(t *testing.T) {
	t.Helper()
	d.step(t, "GET with Prefer: respond-async", func() string {
		d.running(t, func(url string) {
			accepted := send(t, http.MethodGet, url+"/later", "", "Prefer", "respond-async")
			location := accepted.header.Get("Location")
			if accepted.status != http.StatusAccepted || location == "" {
				t.Fatalf("it is answered %+v", accepted)
			}
			answer := send(t, http.MethodGet, url+location+"/response", "", "Prefer", "wait=20")
			if answer.status != http.StatusOK || answer.body != "GET /later" {
				t.Errorf("the answer is %+v", answer)
			}
		})
		return "202, and then the answer"
	})
}

// failsAfter sends a GET to which the upstream has no good answer, and counts the attempts.
func (d *drill) failsAfter(t *testing.T, attempts int) {
	t.Helper()
	d.step(t, "GET from an upstream that fails", func() string {
		d.running(t, func(url string) {
			before := d.upstream.count("GET /fails")
			if answer := send(t, http.MethodGet, url+"/fails", ""); answer.status != http.StatusInternalServerError {
				t.Errorf("it is answered %+v", answer)
			}
			if sent := d.upstream.count("GET /fails") - before; sent != attempts {
				t.Errorf("it was sent %d times; %d are what the policy says", sent, attempts)
			}
		})
		return fmt.Sprintf("attempts: %d", attempts)
	})
}

// An upstream answers with the request, and fails at /fails.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{requests: map[string]int{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.Path
		u.mu.Lock()
		u.requests[request]++
		u.mu.Unlock()
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, request)
	}))
	t.Cleanup(u.Close)
	return u
}

// count is how often a request was received.
func (u *upstream) count(request string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests[request]
}

// An answer is what the caller gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url, key string, fields ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", `"`+key+`"`)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}
