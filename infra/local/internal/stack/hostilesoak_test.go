package stack_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// soakTime is how long the hostile soak goes on.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(os.Getenv("SECONDS"))
	if err != nil || seconds < 1 {
		t.Fatalf("SECONDS is %q; give how long to go on, in seconds", os.Getenv("SECONDS"))
	}
	return time.Duration(seconds) * time.Second
}

// A ledger is an upstream that knows what it has done for whom. It does nothing twice for one Idempotency-Key.
type ledger struct {
	mu      sync.Mutex
	calls   int
	done    map[string]int  // effects by order
	open    map[string]bool // orders without a key of which a caller cannot know whether they were done
	doubled []string        // orders without a key that came again after that
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	order, key := r.URL.Query().Get("order"), r.Header.Get("Idempotency-Key")
	l.mu.Lock()
	l.calls++
	if key == "" && l.open[order] {
		l.doubled = append(l.doubled, order)
	}
	fate := rand.IntN(20)
	effect := fate < 14 || fate >= 18
	if effect && (key == "" || l.done[order] == 0) {
		l.done[order]++
	}
	if key == "" && (fate < 14 || fate >= 16) {
		l.open[order] = true
	}
	l.mu.Unlock()
	switch {
	case fate < 14:
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"order":%q}`, order)
	case fate < 15:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case fate < 16:
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
	case fate < 18:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		panic(http.ErrAbortHandler) // it is done, and nobody is told
	}
}

// A tally is what callers saw.
type tally struct {
	mu       sync.Mutex
	statuses map[int]int
	answered []time.Duration // of answers
	refused  []time.Duration // of 429 and 503 by which the stack turns away what it has no room for
	accepted []string        // where asynchronous requests can be looked at
}

func (l *tally) note(a answer, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statuses[a.Status]++
	switch a.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		l.refused = append(l.refused, took)
	case http.StatusAccepted:
		l.accepted = append(l.accepted, a.Header.Get("Location"))
		fallthrough
	default:
		l.answered = append(l.answered, took)
	}
}

func percentile(times []time.Duration, share float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[int(share*float64(len(times)-1))].Round(time.Millisecond)
}

// TestUnderFaultsAndOverloadNothingIsLostOrDoubled has ten times as many callers as there is room for, while calls to AWS are
// throttled, fail, and lose their replies.
func TestUnderFaultsAndOverloadNothingIsLostOrDoubled(t *testing.T) {
	soak(t)
	lasting := soakTime(t)
	upstream := &ledger{done: map[string]int{}, open: map[string]bool{}}
	const room, callers = 12, 120
	shares := faults.Settings{Throttle: 0.02, Failed: 0.01, Lost: 0.01, Cut: 0.01, Seed: 7}
	s := start(t, serve(t, upstream.ServeHTTP), from(lettered), failing(shares), withoutBackoff, func(_ testing.TB, c *config) { c.Concurrency = room })

	const megabyte = 1 << 20
	before, functions := heap()/megabyte, residentFunctions()
	seen := &tally{statuses: map[int]int{}}
	var orders atomic.Int64
	end := time.Now().Add(lasting)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for time.Now().Before(end) {
				n := orders.Add(1)
				var fields []string
				if n%3 != 0 {
					fields = append(fields, "Idempotency-Key", fmt.Sprintf("key-%d", n))
				}
				if n%4 == 0 {
					fields = append(fields, "Prefer", "respond-async, deadline=30")
				}
				began := time.Now()
				seen.note(send(t, s, http.MethodPost, fmt.Sprintf("/orders?order=%d", n), "{}", fields...), time.Since(began))
			}
		})
	}
	all.Wait()

	probe := time.Now()
	for get(t, s, "/health?order=health").Status >= http.StatusInternalServerError && time.Since(probe) < time.Minute {
	}
	recovery := time.Since(probe)
	lost, failed, ended := settle(t, s, seen.accepted)
	letters, untold := mailboxOf(t, s).tellOf(t, failed)
	lost = append(lost, untold...)

	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	t.Logf("%d requests by %d callers in %v, with room for %d functions, %s: answers %v, %d calls of the upstream", orders.Load(), callers, lasting, room, shares, seen.statuses, upstream.calls)
	t.Logf("%d were accepted, and ended as %v, with %d dead letters; lost %d, doubled %d", len(seen.accepted), ended, letters, len(lost), len(upstream.doubled))
	t.Logf("answers: p50 %v, p99 %v; refusals: p50 %v, p99 %v; after the load an answer came in %v", percentile(seen.answered, 0.5), percentile(seen.answered, 0.99),
		percentile(seen.refused, 0.5), percentile(seen.refused, 0.99), recovery.Round(time.Millisecond))
	t.Logf("memory: %.1f MB in use at the start and %.1f MB at the end; functions %.1f MB and %.1f MB", before, heap()/megabyte, functions, residentFunctions())
	if len(lost) > 0 || len(upstream.doubled) > 0 {
		t.Errorf("lost are %v, and doubled %v", lost, upstream.doubled)
	}
	if recovery > 30*time.Second {
		t.Errorf("after the load it took %v to answer", recovery)
	}
}

// tellOf waits for the dead letters of requests that failed, by their locations, and takes all that there are out of the queue.
// untold are the locations of which there is none.
func (m *mailbox) tellOf(t *testing.T, failed []string) (letters int, untold []string) {
	t.Helper()
	told := map[string]bool{}
	missing := func() (left []string) {
		for _, location := range failed {
			if !told[execution.Name(strings.TrimPrefix(location, execution.Path))] {
				left = append(left, location)
			}
		}
		return left
	}
	for end := time.Now().Add(3 * time.Minute); len(missing()) > 0 && time.Now().Before(end); {
		out, err := m.queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &m.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			continue // calls to AWS still fail
		}
		for _, received := range out.Messages {
			var letter message.DeadLetter
			if err := json.Unmarshal([]byte(*received.Body), &letter); err != nil {
				t.Fatalf("%v: %s", err, *received.Body)
			}
			told[letter.Execution] = true
			letters++
			_, _ = m.queue.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &m.url, ReceiptHandle: received.ReceiptHandle})
		}
	}
	for _, location := range missing() {
		untold = append(untold, location+": it has failed, and there is no letter")
	}
	return letters, untold
}

// settle waits for the end of what was accepted. Lost is what does not end, or ends without an answer that can be fetched; failed
// are the locations of what has failed.
func settle(t *testing.T, s *stack.Stack, locations []string) (lost, failed []string, ended map[string]int) {
	t.Helper()
	ended = map[string]int{}
	fetch := func(path string, good func(answer) bool) (a answer) {
		for range 400 { // calls to AWS still fail
			if a = get(t, s, path, "Prefer", "wait=2"); good(a) {
				return a
			}
			time.Sleep(10 * time.Millisecond)
		}
		return a
	}
	for _, location := range locations {
		var j job
		fetch(location, func(a answer) bool {
			j = job{}
			return a.Status == http.StatusOK && json.Unmarshal([]byte(a.Body), &j) == nil && j.Status != "running" && j.Status != "waiting"
		})
		if ended[j.Status]++; j.Status == "failed" {
			failed = append(failed, location)
		}
		response := fetch(location+"/response", func(a answer) bool {
			if j.Status == "succeeded" {
				return a.Status == http.StatusCreated // else Lambda failed, or had no room for the gateway, or the table failed
			}
			return a.Status != http.StatusTooManyRequests && a.problemName() != "engine-unavailable"
		})
		if j.Status != "succeeded" && j.Status != "failed" || response.Status == http.StatusNotFound || j.Status == "succeeded" && response.Status != http.StatusCreated {
			lost = append(lost, fmt.Sprintf("%s: %q, %d %s", location, j.Status, response.Status, response.Body))
		}
	}
	return lost, failed, ended
}
