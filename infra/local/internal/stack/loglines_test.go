package stack_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/embeddedmetrics"
)

// A functionLog holds what the functions of a stack have logged.
type functionLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *functionLog) take(e lambda.LogEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Type == lambda.LogFunction {
		l.lines = append(l.lines, e.Message)
	}
}

// with are the lines that hold a text. It waits until there are so many: a line may come after the answer.
func (l *functionLog) with(t testing.TB, text string, n int) (found []string) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		found = slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool { return !strings.Contains(line, text) })
		l.mu.Unlock()
		if len(found) >= n {
			return found
		}
		if time.Now().After(until) {
			t.Fatalf("there are %d lines with %s, want %d: %q", len(found), text, n, found)
		}
	}
}

// sums adds up the metrics of lines: by their names, and behind a slash the proxy, if they are of one.
func sums(lines []string) map[string]float64 {
	totals := map[string]float64{}
	for _, line := range lines {
		metrics, _ := embeddedmetrics.Read(line)
		for _, m := range metrics {
			name := m.Name
			if proxy := m.Dimensions["Proxy"]; proxy != "" {
				name += "/" + proxy
			}
			for _, value := range m.Values {
				totals[name] += value
			}
		}
	}
	return totals
}

func TestTheLinesOfRealFunctionsCountEachRequestAndEachAttemptOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	log := new(functionLog)
	s := start(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}), logged(log.take), environment("gateway", "RING_START", "1"))
	for range 2 { // a request, and its replay
		if a := send(t, s, http.MethodPost, "/orders?token=CANARY", "tea", "Idempotency-Key", "order-1", "Authorization", "Bearer CANARY"); a.Status != http.StatusOK {
			t.Fatalf("the answer is %d %s", a.Status, a.Body)
		}
	}
	requests, attempts := log.with(t, `"msg":"request"`, 2), log.with(t, `"msg":"attempt"`, 2)
	totals := sums(append(requests, attempts...))
	for _, timed := range []string{"RequestTime", "AttemptTime", "RetryWait"} {
		if _, measured := totals[timed]; !measured {
			t.Errorf("%s is not measured: %q", timed, append(requests, attempts...))
		}
		delete(totals, timed)
	}
	want := map[string]float64{
		"Requests": 2, "Replays": 1,
		"Attempts": 2, "Attempts/proxy-1": 1, "Attempts/proxy-2": 1, "Retries": 1, "Retries/proxy-2": 1, "RateLimits": 1, "RateLimits/proxy-1": 1,
	}
	if !maps.Equal(totals, want) {
		t.Errorf("the lines count %v, want %v: %q", totals, want, append(requests, attempts...))
	}
	for i, says := range []string{`"outcome":"answered","attempts":2,"upstreamStatus":200,"replayed":false,"keyDigest":"0bafe22156d2698c","execution":"arn:`, `"outcome":"replayed","attempts":0,"replayed":true,"replayOf":"`} {
		if !strings.Contains(requests[i], says) || !strings.Contains(requests[i], `"method":"POST","path":"/orders","status":200,`) {
			t.Errorf("the line %d is %s, want %s", i+1, requests[i], says)
		}
	}
	if all := strings.Join(log.with(t, "", 0), "\n"); strings.Contains(all, "CANARY") || strings.Contains(all, "order-1") {
		t.Errorf("the log holds what was sent: %s", all)
	}
}

// The probe is under way when the sandbox is frozen. It comes to its end with a later request, none of which waits for it.
func TestAProxyFindsOutItsAddressAlthoughItIsFrozenMeanwhile(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var asked atomic.Int32
	probe := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-release:
			_, _ = io.WriteString(w, "192.0.2.7\n")
		case <-r.Context().Done():
		}
	})
	log := new(functionLog)
	s := start(t, serve(t, status(http.StatusServiceUnavailable)), logged(log.take), withoutBackoff, environment("gateway", "RING_START", "1"),
		environment("proxy-1", "ADDRESS_PROBE_URL", probe+"/ip"))
	answers := ""
	for i := range 20 {
		a := send(t, s, http.MethodGet, "/orders", "", "Prefer", "attempts=1")
		answers += fmt.Sprint(a.Status, a.Header, a.Body)
		if a.Status != http.StatusServiceUnavailable {
			t.Fatalf("the answer is %d %s", a.Status, a.Body)
		}
		lines := log.with(t, `"msg":"attempt"`, i+1)
		if i == 0 {
			if strings.Contains(lines[0], `"address"`) {
				t.Errorf("the address is known before it was told: %s", lines[0])
			}
			close(release)
		}
		if !strings.Contains(lines[i], `"address":"192.0.2.7"`) {
			continue
		}
		if asked.Load() != 1 {
			t.Errorf("the address was asked for %d times, want once", asked.Load())
		}
		if request := log.with(t, `"msg":"request"`, i+1)[i]; sums([]string{request})["Addresses"] != 1 {
			t.Errorf("the gateway counts no address: %s", request)
		}
		if strings.Contains(answers, "192.0.2.7") {
			t.Errorf("a caller is told of the address: %s", answers)
		}
		return
	}
	t.Errorf("the address is not known after 20 requests: %q", log.with(t, "", 0))
}
