package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// How many schedules are run, and the seed that they are drawn with. SCHEDULES and SEED change them, to run more, or the
// same ones again. The order in which requests at the same time meet faults is not repeated.
const (
	schedules     = 1000
	schedulesSeed = 7
	atOnce        = 8
)

// A turn is what the upstream does with one request.
type turn struct {
	name       string
	status     int
	retryAfter int    // in seconds; below zero for none
	breaks     string // reset: before a status; cut: within the body
}

var turns = []turn{
	{"200", 200, -1, ""},
	{"429", 429, -1, ""},
	{"429 in 1 s", 429, 1, ""},
	{"500", 500, -1, ""},
	{"503", 503, -1, ""},
	{"503 in 2 s", 503, 2, ""},
	{"503 in 2 s, cut off", 503, 2, "cut"},
	{"429 in 1 s, cut off", 429, 1, "cut"},
	{"200, cut off", 200, -1, "cut"},
	{"reset", 0, -1, "reset"},
}

// proves says whether the turn proves that nothing was done.
func (u turn) proves() bool { return u.status == 429 || u.status == 503 && u.retryAfter >= 0 }

// A schedule is a request, what the upstream does with each attempt, and what came of it.
type schedule struct {
	method string
	key    string
	turns  []turn // behind them all goes well

	mu   sync.Mutex
	hits []time.Time
	done []turn
}

func drawSchedule(random *rand.Rand, number int) *schedule {
	s := &schedule{method: []string{"GET", "POST", "PUT"}[random.IntN(3)]}
	if random.IntN(2) == 0 {
		s.key = "schedule-" + strconv.Itoa(number)
	}
	for range random.IntN(4) {
		s.turns = append(s.turns, turns[random.IntN(len(turns))])
	}
	return s
}

func (s *schedule) String() string {
	text := s.method
	if s.key != "" {
		text += " with a key"
	}
	for _, u := range s.done {
		text += ", " + u.name
	}
	return text
}

// ServeHTTP takes the next turn.
func (s *schedule) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	u := turns[0]
	if len(s.done) < len(s.turns) {
		u = s.turns[len(s.done)]
	}
	s.hits, s.done = append(s.hits, time.Now()), append(s.done, u)
	s.mu.Unlock()
	if u.breaks == "reset" {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = connection.(*net.TCPConn).SetLinger(0)
			connection.Close()
		}
		return
	}
	if u.retryAfter >= 0 {
		w.Header().Set("Retry-After", strconv.Itoa(u.retryAfter))
	}
	if u.breaks == "cut" {
		w.Header().Set("Content-Length", "100")
	}
	w.WriteHeader(u.status)
	_, _ = io.WriteString(w, "half")
	if u.breaks == "cut" {
		panic(http.ErrAbortHandler)
	}
}

// A member is one of Proxy-Status.
type member struct{ neverRan, lost, answered bool }

func members(field string) (all []member) {
	if field == "" {
		return nil
	}
	for _, text := range strings.Split(field, ", proxy-") {
		lost := strings.Contains(text, "error=proxy_internal_error")
		all = append(all, member{
			neverRan: lost && strings.Contains(text, "Lambda.TooManyRequestsException"),
			lost:     lost,
			answered: strings.Contains(text, "received-status="),
		})
	}
	return all
}

// judge says which promise was broken, or nothing.
func (s *schedule) judge(a answer) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := members(a.Header.Get("Proxy-Status"))
	var document struct{ Type string }
	if a.Header.Get("Content-Type") == "application/problem+json" {
		_ = json.Unmarshal([]byte(a.Body), &document)
	}
	if a.Status == http.StatusServiceUnavailable && document.Type != "" && len(s.hits) > 0 {
		return fmt.Sprintf("it is said that nothing was done (%s), and %d requests were sent", document.Type, len(s.hits))
	}
	given200 := false
	for i, u := range s.done {
		given200 = given200 || u.status == 200 && u.breaks == ""
		if i > 0 && s.method == "POST" && s.key == "" && !s.done[i-1].proves() {
			return fmt.Sprintf("a POST was sent again after %s", s.done[i-1].name)
		}
	}
	if a.Status == http.StatusOK && !given200 {
		return "a success is told that there was not"
	}
	if len(told) == 0 {
		return "" // a problem of the gateway's own, which does not know what was done
	}

	// A proxy that was lost may have sent the request or not. All others did, but for those that never ran.
	var ran, certain int
	for _, m := range told {
		if !m.neverRan {
			ran++
		}
		if !m.lost {
			certain++
		}
	}
	if len(s.hits) > ran || len(s.hits) < certain {
		return fmt.Sprintf("%d requests were sent, and told are %d to %d: %s", len(s.hits), certain, ran, a.Header.Get("Proxy-Status"))
	}
	if ran != len(s.hits) {
		return ""
	}
	i := -1
	for _, m := range told {
		if m.neverRan {
			continue
		}
		i++
		u := s.done[i]
		if i+1 < len(s.hits) && m.answered && u.status == 503 && u.retryAfter > 0 {
			floor := time.Duration(u.retryAfter) * time.Second / speed
			if gap := s.hits[i+1].Sub(s.hits[i]); gap < floor-time.Millisecond {
				return fmt.Sprintf("it was asked %v after %s, want %v at least", gap, u.name, floor)
			}
		}
		if i+1 < len(s.hits) && s.method == "POST" && s.key == "" && m.lost {
			return "a POST was sent again after a proxy was lost that had sent it"
		}
	}
	return ""
}

// variable reads a number of the environment, or gives the default.
func variable(t *testing.T, name string, fallback int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; give a whole number from 1", name, text)
	}
	return n
}

// lockedKeys counts the keys that are locked. A key may be for the deadline of its request and half a minute more.
func lockedKeys(t *testing.T, s *stack.Stack) (locked int) {
	for _, record := range records(t, s) {
		lease, _ := record["in_progress_expiration"].(float64)
		until := time.UnixMilli(int64(lease))
		if record["status"] != "INPROGRESS" || !until.After(time.Now()) {
			continue
		}
		locked++
		if left := time.Until(until); left > 90*time.Second {
			t.Errorf("a key is locked for another %v, want 90 s at most", left)
		}
	}
	return locked
}

// TestRandomSchedulesKeepThePromises runs requests through the real binaries, frozen between invocations, while calls to
// AWS are throttled, slow, or lose their replies, clocks are wrong, and the upstream answers, limits, fails and breaks off.
func TestRandomSchedulesKeepThePromises(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a thousand requests through the real binaries take half a minute")
	}
	count, seed := variable(t, "SCHEDULES", schedules), uint64(variable(t, "SEED", schedulesSeed))
	random := rand.New(rand.NewPCG(seed, 0))
	all := make([]*schedule, count)
	for i := range all {
		all[i] = drawSchedule(random, i)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil || i >= len(all) {
			t.Errorf("the upstream was asked for %s", r.URL.Path)
			return
		}
		all[i].ServeHTTP(w, r)
	}))
	defer upstream.Close()
	s := start(t, upstream.URL, func(_ testing.TB, c *config) {
		c.Faults = faults.Settings{Throttle: 0.05, Lost: 0.03, Slow: 0.05, Delay: 20 * time.Millisecond, Seed: seed}
		c.ClocksAhead = map[string]time.Duration{"gateway": 5 * time.Second, "proxy-1": 15 * time.Second, "proxy-2": -15 * time.Second}
		c.EndpointIdleTimeout = 20 * time.Millisecond
		c.Concurrency = atOnce + 4 // too few for a gateway and a proxy for each request
	}, environment("gateway", "RING_START", ""))

	var group sync.WaitGroup
	var mu sync.Mutex
	var refused atomic.Int32
	statuses, requests := map[int]int{}, 0
	work := make(chan int)
	for range atOnce {
		group.Go(func() {
			for i := range work {
				run := all[i]
				var fields []string
				if run.key != "" {
					fields = []string{"Idempotency-Key", run.key}
				}
				first := send(t, s, run.method, "/"+strconv.Itoa(i), "", fields...)
				for first.Status == http.StatusTooManyRequests && first.Header.Get("Proxy-Status") == "" {
					refused.Add(1) // by Lambda, which had no room for the gateway
					first = send(t, s, run.method, "/"+strconv.Itoa(i), "", fields...)
				}
				if problem := run.judge(first); problem != "" {
					t.Errorf("schedule %d of seed %d (%s) was answered with %d, and %s", i, seed, run, first.Status, problem)
				}
				if run.key != "" && first.Status == http.StatusOK {
					sent := len(run.hits)
					second := send(t, s, run.method, "/"+strconv.Itoa(i), "", fields...)
					replayed := second.Header.Get("Idempotent-Replayed") == "true"
					// The table may have no room, and the reply that said that the answer was recorded may be lost.
					if second.Status == http.StatusOK && !replayed || len(run.hits) != sent {
						t.Errorf("schedule %d of seed %d (%s): the second request was answered with %d, replayed %v, after %d more requests",
							i, seed, run, second.Status, replayed, len(run.hits)-sent)
					}
				}
				mu.Lock()
				statuses[first.Status]++
				requests += len(run.hits)
				mu.Unlock()
			}
		})
	}
	locked := 0
	for i := range all {
		work <- i
		if i%10 == 0 {
			locked += lockedKeys(t, s)
		}
	}
	close(work)
	group.Wait()
	if left := lockedKeys(t, s); left > count/20 {
		t.Errorf("%d keys are locked at the end; want few, since only a call that failed can leave one", left)
	}
	if locked == 0 && count >= 100 {
		t.Error("no key was seen that was locked")
	}

	t.Logf("compared %d random schedules with what the stack promises: %d requests on the wire, answered with %v, after %d that found no room",
		count, requests, statuses, refused.Load())
}
