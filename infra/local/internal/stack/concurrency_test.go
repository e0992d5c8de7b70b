package stack_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/egress"
)

func TestFortyRequestsAtOnceGetEachItsOwnAnswer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.URL.Path]++
		first := seen[r.URL.Path] == 1
		mu.Unlock()
		if first {
			status(http.StatusTooManyRequests)(w, r)
			return
		}
		respond(http.StatusOK, "answer to "+r.URL.Path)(w, r)
	})
	s := start(t, url)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			path := fmt.Sprint("/", i)
			get(t, s, path).expect(t, http.StatusOK, "answer to "+path, "proxy-1; received-status=429, proxy-2; received-status=200")
		})
	}
	wg.Wait()
	if len(seen) != 40 {
		t.Errorf("the upstream saw %d paths, want 40", len(seen))
	}
	for path, n := range seen {
		if n != 2 {
			t.Errorf("%s was asked for %d times, want 2", path, n)
		}
	}
}

// severalAddresses skips a test where only 127.0.0.1 is there, as on macOS.
func severalAddresses(t testing.TB) setting {
	t.Helper()
	if !egress.Usable(netip.MustParseAddr("127.0.0.2")) {
		t.Skip("this machine has no loopback address but 127.0.0.1")
	}
	return func(_ testing.TB, c *config) { c.SourceAddresses = true }
}

func TestEachProxyCallsFromAnAddressOfItsOwn(t *testing.T) {
	t.Parallel()
	addresses := severalAddresses(t)
	limited := status(http.StatusTooManyRequests)
	u := play(t, limited, limited, limited, status(http.StatusOK))
	s := start(t, u.URL, addresses)
	if a := get(t, s, "/"); a.Status != http.StatusOK {
		t.Fatalf("the answer is %d %s", a.Status, a.Body)
	}
	var sources []string
	for _, r := range u.received() {
		sources = append(sources, r.Source)
	}
	if want := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.2"}; !slices.Equal(sources, want) {
		t.Errorf("the attempts came from %v, want %v", sources, want)
	}
}

func TestALimitByAddressIsPassedByTheNextProxy(t *testing.T) {
	t.Parallel()
	addresses := severalAddresses(t)
	upstream, err := demo.New(demo.Settings{Requests: 1, IntervalSeconds: 3600}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, serve(t, upstream.ServeHTTP), addresses)
	for _, told := range []string{
		"proxy-1; received-status=200",
		"proxy-1; received-status=429, proxy-2; received-status=200",
	} {
		if a := get(t, s, "/get"); a.Status != http.StatusOK || a.Header.Get("Proxy-Status") != told {
			t.Errorf("the answer is %d with Proxy-Status %s, want 200 and %s", a.Status, a.Header.Get("Proxy-Status"), told)
		}
	}
}

func TestAnUpstreamThatIsDownIsSeenAsRefusedThroughSourceAddressesToo(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t), severalAddresses(t))
	p := send(t, s, http.MethodPost, "/", "").problem(t, http.StatusBadGateway, "no-answer")
	if len(p.Attempts) != 3 || p.Attempts[0].Error != "connection_refused" {
		t.Errorf("the attempts are %+v, want three refused ones: nothing was sent, so even a POST may be repeated", p.Attempts)
	}
}

// Deploy finding 1: where as many callers came as the account has slots, a POST whose proxy was throttled was answered as if
// the upstream might have processed it.
func TestWhereGatewaysTakeAllSlotsACallerIsToldThatNothingWasDone(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var processed atomic.Int32
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				processed.Add(1)
				time.Sleep(6 * time.Millisecond) // 300 ms by the clock of the waits
				status(http.StatusOK)(w, r)
			})
			s := start(t, url, func(_ testing.TB, c *config) { c.Concurrency = 10 })
			var answered atomic.Int32
			var callers sync.WaitGroup
			for range 10 {
				callers.Go(func() {
					switch a := send(t, s, method, "/", ""); a.Status {
					case http.StatusOK:
						answered.Add(1)
					case http.StatusServiceUnavailable:
						a.problem(t, http.StatusServiceUnavailable, "proxies-unavailable")
						if a.Header.Get("Retry-After") != "5" {
							t.Errorf("Retry-After is %q, want 5", a.Header.Get("Retry-After"))
						}
					case http.StatusTooManyRequests: // of the function URL, which has no room for the gateway
					default:
						t.Errorf("the answer is %d %s", a.Status, a.Body)
					}
				})
			}
			callers.Wait()
			if processed.Load() != answered.Load() || answered.Load() == 0 {
				t.Errorf("%d requests were processed, and %d callers were told so", processed.Load(), answered.Load())
			}
		})
	}
}
