package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// orderUnder sends an order under a key, and waits for a second.
func orderUnder(t testing.TB, s *stack.Stack, key string) answer {
	t.Helper()
	return send(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", key, "Prefer", "wait=1")
}

// knownOfOrders is the item that callers who send orders share. Nil if there is none.
func knownOfOrders(t testing.TB, s *stack.Stack) map[string]any {
	t.Helper()
	for _, item := range records(t, s) {
		if id := item["id"].(string); strings.HasPrefix(id, "gate#") && strings.HasSuffix(id, "#anonymous.%2Forders#0") {
			return item
		}
	}
	return nil
}

// isOpen says whether the circuit is open, by an item of the gate.
func isOpen(item map[string]any) bool { return item["probe"] != nil && item["probe"] != 0. }

// mostlyRefused sends orders, eight at a time and each under a key of its own, until one is answered by the circuit breaker, and
// returns that answer and its key.
func mostlyRefused(t *testing.T, s *stack.Stack) (refused answer, key string) {
	t.Helper()
	var all sync.WaitGroup
	var once sync.Once
	var ended atomic.Bool
	until := time.Now().Add(20 * time.Second)
	for caller := range 8 {
		all.Go(func() {
			for n := 0; !ended.Load() && time.Now().Before(until); n++ {
				own := fmt.Sprintf("order-%d-%d", caller, n)
				a := orderUnder(t, s, own)
				if strings.HasPrefix(a.Header.Get("Proxy-Status"), "gate; error") {
					once.Do(func() { refused, key = a, own })
					ended.Store(true)
				}
			}
		})
	}
	all.Wait()
	if key == "" {
		t.Fatal("for 20 s every call has failed, and the circuit breaker refuses nobody")
	}
	return refused, key
}

func TestInAnOutageACallerIsRefusedUncalledAndTheirKeyIsCarriedOutOnceAfterwards(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var mu sync.Mutex
	calls := map[string]int{} // by key
	called := func(key string) int {
		mu.Lock()
		defer mu.Unlock()
		return calls[key]
	}
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls[r.Header.Get("Idempotency-Key")]++
		mu.Unlock()
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "made")
	}), policy(`{"serverErrors":{"attempts":1}}`), func(_ testing.TB, c *config) { c.Speed = 1 })

	if first := orderUnder(t, s, "settled"); first.Status != http.StatusCreated || knownOfOrders(t, s) != nil {
		t.Fatalf("before the outage an order is answered with %d %s, and the table has %v", first.Status, first.Body, knownOfOrders(t, s))
	}
	down.Store(true)
	refused, key := mostlyRefused(t, s)

	refused.problem(t, http.StatusServiceUnavailable, "circuit-open")
	var said struct{ Processed, Detail string }
	if err := json.Unmarshal([]byte(refused.Body), &said); err != nil || said.Processed != "no" || !strings.HasSuffix(said.Detail, "The upstream was not called.") {
		t.Errorf("the problem says %+v, error %v, want that nothing was processed, since the upstream was not called", said, err)
	}
	if got, want := refused.Header.Get("Proxy-Status"), "gate; error=destination_unavailable"; got != want {
		t.Errorf("Proxy-Status: %s, want %s", got, want)
	}
	if seconds, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After: %q, want from 1 to 60 seconds", refused.Header.Get("Retry-After"))
	}
	if n := called(key); n != 0 {
		t.Errorf("the upstream was sent the refused order %d times, want never", n)
	}

	before := knownOfOrders(t, s)
	if again := orderUnder(t, s, "settled"); again.Status != http.StatusCreated || again.Body != "made" || !again.replayed() || again.Header.Get("Proxy-Status") != "proxy-1; received-status=201" {
		t.Errorf("in the outage the order that was carried out before is answered with %d %s %v, want its replay", again.Status, again.Body, again.Header)
	}
	if diff := cmp.Diff(before, knownOfOrders(t, s)); before == nil || diff != "" {
		t.Errorf("a replay changes what callers share (-before +after):\n%s", diff)
	}
	if n := called("settled"); n != 1 {
		t.Errorf("the upstream was sent the order of before %d times, want once", n)
	}

	down.Store(false)
	until := time.Now().Add(20 * time.Second)
	for n := 0; isOpen(knownOfOrders(t, s)); n++ {
		if time.Now().After(until) {
			t.Fatalf("20 s after the outage the circuit is still open: %v", knownOfOrders(t, s))
		}
		orderUnder(t, s, fmt.Sprintf("probe-%d", n)) // one of them tries, and closes it
	}
	for _, replayed := range []bool{false, true} { // a key that is locked is so for longer than 5 s
		if a := send(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", key, "Prefer", "wait=5"); a.Status != http.StatusCreated || a.replayed() != replayed {
			t.Errorf("after the outage the refused order is answered with %d %s %v, want 201, replayed %v", a.Status, a.Body, a.Header, replayed)
		}
	}
	if n := called(key); n != 1 {
		t.Errorf("the upstream was sent the refused order %d times, want once", n)
	}
}
