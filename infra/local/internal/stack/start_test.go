package stack_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// refused starts a stack that cannot be started, and returns why.
func refused(t *testing.T, settings ...setting) error {
	t.Helper()
	s, err := launch(t, config{}, settings)
	if err == nil {
		s.Close()
		t.Fatal("it started")
	}
	return err
}

// says checks that an error names what has to be named.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %q, want %q in it", err, word)
		}
	}
}

func TestAStackThatDoesNotStartLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	url, endpoint := listen(t), listen(t)
	err := refused(t, func(_ testing.TB, c *config) {
		c.Listener, c.EndpointListener = url, endpoint
		c.Binaries = map[string]string{"gateway": "/missing"}
	})
	says(t, err, "/missing")
	for _, used := range []net.Listener{url, endpoint} {
		again, err := net.Listen("tcp", used.Addr().String())
		if err != nil {
			t.Fatalf("the address is still in use: %v", err)
		}
		again.Close()
	}
}

func TestADirectoryWithoutACloudAssemblyIsRefused(t *testing.T) {
	t.Parallel()
	says(t, refused(t, func(_ testing.TB, c *config) { c.assembly = t.TempDir() }), "manifest.json")
}

// resources are those of a template, by type.
func resources(template map[string]any, kind string) []map[string]any {
	var found []map[string]any
	for _, r := range template["Resources"].(map[string]any) {
		if r := r.(map[string]any); r["Type"] == kind {
			found = append(found, r["Properties"].(map[string]any))
		}
	}
	return found
}

func TestAStateThatIsNotKnownIsRefusedByName(t *testing.T) {
	t.Parallel()
	changed := edited(t, func(template map[string]any) {
		resources(template, "AWS::StepFunctions::StateMachine")[0]["DefinitionString"] =
			`{"StartAt":"Both","States":{"Both":{"Type":"Parallel","Branches":[],"End":true}}}`
	})
	says(t, refused(t, from(changed)), "Both", "Parallel")
}

func TestAResourceThatIsNotKnownIsRefusedByName(t *testing.T) {
	t.Parallel()
	changed := edited(t, func(template map[string]any) {
		template["Resources"].(map[string]any)["Stream"] = map[string]any{"Type": "AWS::Kinesis::Stream"}
	})
	says(t, refused(t, from(changed)), "Stream", "AWS::Kinesis::Stream")
}

func TestAStackWithoutAURLIsRefused(t *testing.T) {
	t.Parallel()
	changed := edited(t, func(template map[string]any) {
		all := template["Resources"].(map[string]any)
		for id, r := range all {
			if r.(map[string]any)["Type"] == "AWS::Lambda::Url" {
				delete(all, id)
			}
		}
		delete(template, "Outputs") // one of them is the URL
	})
	says(t, refused(t, from(changed)), "no function URL")
}

func TestABinaryThatIsNotThereIsRefusedByItsPath(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	err := refused(t, func(_ testing.TB, c *config) { c.Binaries = map[string]string{"gateway": missing} })
	says(t, err, missing, "gateway")
}

func TestFunctionsAreToldByTheirShortNames(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t))
	var short []string
	for _, f := range s.Lambda.Functions() {
		if f.Name == s.ShortName(f.Name) {
			t.Errorf("%s is not shortened", f.Name)
		}
		if f.ProcessName != s.ShortName(f.Name) {
			t.Errorf("the process of %s is called %s", f.Name, f.ProcessName)
		}
		short = append(short, s.ShortName(f.Name))
	}
	if got := strings.Join(short, " "); got != "gateway proxy-1 proxy-2 proxy-3" {
		t.Errorf("the short names are %s", got)
	}
	if name := oneProxyGateway(t); name != "gateway" {
		t.Errorf("with one proxy the gateway's short name is %s", name)
	}
}

func oneProxyGateway(t *testing.T) string {
	s := start(t, closedAddress(t), from(oneProxy))
	return s.ShortName(s.Template.URLs[0].FunctionName)
}

// The upstream's address in the template is a public one: only where another is given may the proxies call this machine.
func TestWithoutAnUpstreamOfItsOwnTheStackKeepsTheTemplates(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	for _, f := range s.Lambda.Functions() {
		if strings.HasPrefix(s.ShortName(f.Name), "proxy-") && (f.Env["UPSTREAM_BASE_URL"] != "https://httpbin.org" || f.Env["UPSTREAM_ALLOWED_NETWORKS"] != "") {
			t.Errorf("the environment of %s is %v", f.Name, f.Env)
		}
	}
}

func TestTheProxiesMayCallTheAddressesOfTheUpstreamAndNoOtherOfThisMachine(t *testing.T) {
	t.Parallel()
	for upstream, want := range map[string]string{
		"http://127.0.0.1:8080":   "127.0.0.1/32",
		"http://127.0.0.3:8080":   "127.0.0.3/32",
		"http://[::1]:8080/v1":    "::1/128",
		"https://192.0.2.1":       "",
		"http://10.0.0.1:8080/v1": "",
	} {
		s := start(t, upstream)
		for _, f := range s.Lambda.Functions() {
			if _, calls := f.Env["UPSTREAM_BASE_URL"]; calls && f.Env["UPSTREAM_ALLOWED_NETWORKS"] != want {
				t.Errorf("in front of %s, %s may call %q, want %q", upstream, f.Name, f.Env["UPSTREAM_ALLOWED_NETWORKS"], want)
			}
		}
	}
	s := start(t, "http://localhost:8080")
	for _, f := range s.Lambda.Functions() {
		if _, calls := f.Env["UPSTREAM_BASE_URL"]; calls && !slices.Contains(strings.Split(f.Env["UPSTREAM_ALLOWED_NETWORKS"], ","), "127.0.0.1/32") {
			t.Errorf("in front of localhost, %s may call %q", f.Name, f.Env["UPSTREAM_ALLOWED_NETWORKS"])
		}
	}
}

func TestTheFenceOfTheProxiesStandsForWhateverIsNotTheUpstream(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, "", environment("proxy-1", "UPSTREAM_BASE_URL", u.URL))
	p := get(t, s, "/").problem(t, http.StatusBadGateway, "no-answer")
	if len(p.Attempts) != 1 || p.Attempts[0].Error != "destination_ip_prohibited" {
		t.Errorf("the attempts are %+v, want one that ended in destination_ip_prohibited", p.Attempts)
	}
}

func TestTheMiddlewareSeesEveryRequest(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	var seen atomic.Int32
	s := start(t, u.URL, func(_ testing.TB, c *config) {
		c.Middleware = func(url http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen.Add(1)
				if r.URL.Path == "/-/own" {
					_, _ = io.WriteString(w, "its own")
					return
				}
				url.ServeHTTP(w, r)
			})
		}
	})
	if a := get(t, s, "/-/own"); a.Body != "its own" {
		t.Errorf("the middleware's own page is %q", a.Body)
	}
	if a := get(t, s, "/"); a.Status != http.StatusOK || seen.Load() != 2 {
		t.Errorf("the answer is %d, and the middleware saw %d requests, want 200 and 2", a.Status, seen.Load())
	}
}

// A Wait state waits whole seconds, and the next proxy sleeps the rest. Where waits pass faster the proxies sleep nothing:
// the rest passes before they are called, on the state machine's clock.
func TestTheRestOfAWaitPassesFasterToo(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var slept []int64
	s := start(t, closedAddress(t), crashing("proxy-1", "proxy-2", "proxy-3"),
		policy(`{"networkFailures":{"attempts":3,"base":"900ms","max":"900ms","jitter":"none"}}`),
		logged(func(e lambda.LogEvent) {
			var event struct{ SleepMilliseconds int64 }
			if e.Type == lambda.LogFunction && strings.Contains(e.Function, "-proxy-") && json.Unmarshal([]byte(e.Message), &event) == nil {
				mu.Lock()
				defer mu.Unlock()
				slept = append(slept, event.SleepMilliseconds)
			}
		}))
	problem := get(t, s, "/").problem(t, http.StatusBadGateway, "no-answer")
	mu.Lock()
	defer mu.Unlock()
	if len(slept) != 3 || slept[0] != 0 || slept[1] != 0 || slept[2] != 0 {
		t.Errorf("the proxies were to sleep %v ms, want three times 0", slept)
	}
	if all := problem.Attempts; len(all) != 3 || all[0].Wait != 900 || all[1].Wait != 900 {
		t.Errorf("the attempts are %+v, want 900 ms after the first two", all)
	}
}

func TestWaitsPassFasterThanTheyAreTold(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusTooManyRequests, "Retry-After", "40"), status(http.StatusOK))
	s := start(t, u.URL, from(oneProxy))
	began := time.Now()
	if a := get(t, s, "/"); a.Status != http.StatusOK {
		t.Fatalf("the answer is %d %s", a.Status, a.Body)
	}
	if took := time.Since(began); took >= 40*time.Second {
		t.Errorf("the wait of 40 s took %v at %d times the speed", took, speed)
	}
	waitsAtLeast(t, attempts(t, s), 40*time.Second, "Retry-After")
}

// withConcurrency reserves concurrency for a function.
func withConcurrency(t *testing.T, function string, reserved int) setting {
	return from(edited(t, func(template map[string]any) {
		for _, f := range resources(template, "AWS::Lambda::Function") {
			if strings.HasSuffix(f["FunctionName"].(string), "-"+function) {
				f["ReservedConcurrentExecutions"] = reserved
			}
		}
	}))
}

func TestAGatewayWithoutConcurrencyIsThrottled(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL, withConcurrency(t, "gateway", 0))
	if a := get(t, s, "/"); a.Status != http.StatusTooManyRequests {
		t.Errorf("the answer is %d %s, want Lambda's 429", a.Status, a.Body)
	}
}

func TestAProxyThatLambdaDoesNotCallIsFollowedByTheNextOne(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL, withConcurrency(t, "proxy-1", 0), withoutBackoff)
	get(t, s, "/").expect(t, http.StatusOK, "OK",
		`proxy-1; error=proxy_internal_error; details="Lambda.TooManyRequestsException", proxy-2; received-status=200`)
	if n := invocations(t, s); n < 3 {
		t.Errorf("Lambda was asked %d times, want proxy-1 asked for again, and then proxy-2", n)
	}
}
