package stack_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/redrive"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// lettered is the stack whose asynchronous requests have dead letters, with a queue of requests.
var lettered = synthesised("dead-letters", map[string]any{"async": "true", "deadletters": "true", "queue": "true"})

// A mailbox is the queue of dead letters of a stack.
type mailbox struct {
	url     string
	queue   *sqs.Client
	options redrive.Options
}

func mailboxOf(t testing.TB, s *stack.Stack) *mailbox {
	t.Helper()
	keys := credentials.NewStaticCredentialsProvider("local", "local", "")
	m := &mailbox{queue: sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), Credentials: keys})}
	for _, q := range s.Template.Queues {
		if strings.Contains(q.Name, "FailedRequests") {
			m.url = q.URL
		}
	}
	gateway := ""
	for _, f := range s.Template.Functions {
		if s.ShortName(f.Name) == "gateway" {
			gateway = f.Name + ":live"
		}
	}
	if m.url == "" || gateway == "" {
		t.Fatal("the stack has no queue of dead letters, or no gateway")
	}
	m.options = redrive.Options{
		Queue: m.queue, QueueURL: m.url, Gateway: gateway,
		Functions: awslambda.New(awslambda.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), Credentials: keys}),
	}
	return m
}

// left is how many letters there are.
func (m *mailbox) left(t *testing.T) string { return left(t, m.queue, m.url) }

// letters waits for a number of letters, and looks at them without taking them away.
func (m *mailbox) letters(t *testing.T, n int) (letters []message.DeadLetter, bodies []string) {
	t.Helper()
	until(t, "the letters", func() (string, bool) {
		got := m.left(t)
		return got, !strings.HasPrefix(got, "0") || n == 0
	})
	out, err := m.queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &m.url, MaxNumberOfMessages: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range out.Messages {
		var read message.DeadLetter
		if err := json.Unmarshal([]byte(*letter.Body), &read); err != nil {
			t.Fatalf("%v: %s", err, *letter.Body)
		}
		letters, bodies = append(letters, read), append(bodies, *letter.Body)
		if _, err := m.queue.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &m.url, ReceiptHandle: letter.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	return letters, bodies
}

func (m *mailbox) redrive(t *testing.T, change func(*redrive.Options)) redrive.Result {
	t.Helper()
	o := m.options
	o.Told = func(letter message.DeadLetter, outcome string, err error) {
		t.Logf("%s: %s %v", letter.Execution, outcome, err)
	}
	if change != nil {
		change(&o)
	}
	result, err := redrive.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func fast(_ testing.TB, c *config) { c.Speed = 2000 }

func TestARequestThatFailsIsADeadLetterAndAfterARedriveItSucceedsOnceWithTheSameKey(t *testing.T) {
	t.Parallel()
	answers := append(slices.Repeat([]http.HandlerFunc{respond(500, "canary-answer", "X-Secret", "canary-field")}, 3), respond(201, `{"id":7}`))
	u := play(t, answers...)
	s := start(t, u.URL, from(lettered), fast)
	m := mailboxOf(t, s)
	location, _ := accepted(t, s, http.MethodPost, "/canary-path?q=canary-query", "canary-body", "Idempotency-Key", "canary-key", "Authorization", "Bearer canary-token")
	if j := endOf(t, s, location); j.Status != "failed" || len(j.Attempts) != 3 {
		t.Fatalf("it ends as %+v", j)
	}
	letters, bodies := m.letters(t, 1)
	if len(letters) != 1 || strings.Contains(bodies[0], "canary") || strings.Contains(bodies[0], location[len("/-/executions/"):]) {
		t.Fatalf("the letters are %v", bodies)
	}
	letter := letters[0]
	if letter.Version != 1 || letter.Summary.Reason != "AttemptsExhausted" || letter.Summary.Attempts != 3 || !slices.Equal(letter.Summary.Answers, []string{"500", "500", "500"}) ||
		!letter.Summary.MaybeProcessed || !strings.HasPrefix(letter.Item, "Proxy#execution:"+letter.Execution) || letter.RequestID == "" || letter.Deadline == 0 {
		t.Errorf("the letter is %s", bodies[0])
	}
	if _, err := time.Parse(time.RFC3339, letter.At); err != nil {
		t.Errorf("it was written at %s", letter.At)
	}

	if got := m.redrive(t, func(o *redrive.Options) { o.Execution = strings.Repeat("0", 64) }); got != (redrive.Result{}) || m.left(t) != "1 and 0" {
		t.Errorf("the redrive of another one does %+v and leaves %s", got, m.left(t))
	}
	if got := m.redrive(t, func(o *redrive.Options) { o.Execution = letter.Execution }); got != (redrive.Result{Started: 1}) || m.left(t) != "0 and 0" {
		t.Errorf("the redrive does %+v and leaves %s", got, m.left(t))
	}
	if j := endOf(t, s, location); j.Status != "succeeded" || len(j.Attempts) != 4 {
		t.Errorf("it ends as %+v", j)
	}
	if r := get(t, s, location+"/response"); r.Status != 201 || r.Body != `{"id":7}` {
		t.Errorf("the response is %d %s", r.Status, r.Body)
	}
	got := u.received()
	if len(got) != 4 || got[3].Body != "canary-body" || got[3].Target != "/canary-path?q=canary-query" || got[3].Header.Get("Idempotency-Key") != got[0].Header.Get("Idempotency-Key") ||
		got[3].Header.Get("Authorization") != "Bearer canary-token" {
		t.Errorf("the upstream got %+v", got)
	}
	again := send(t, s, http.MethodPost, "/canary-path?q=canary-query", "canary-body", "Idempotency-Key", "canary-key", "Authorization", "Bearer canary-token")
	if again.Status != 201 || again.Header.Get("Idempotent-Replayed") != "true" || len(u.received()) != 4 {
		t.Errorf("the next request with the key is answered with %d %s", again.Status, again.Body)
	}
}

func TestARequestThatMayHaveBeenProcessedAndHasNoKeyStaysADeadLetterUnlessThatIsSaid(t *testing.T) {
	t.Parallel()
	u := play(t, respond(500, "down"), respond(201, "made"))
	s := start(t, u.URL, from(lettered), fast)
	m := mailboxOf(t, s)
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea")
	endOf(t, s, location)
	m.letters(t, 1)
	var refused string
	got := m.redrive(t, func(o *redrive.Options) {
		o.Told = func(_ message.DeadLetter, _ string, err error) { refused = err.Error() }
	})
	if got != (redrive.Result{Left: 1}) || m.left(t) != "1 and 0" || !strings.Contains(refused, "unsafe: the upstream may have acted on the request") {
		t.Errorf("the redrive does %+v and says %s", got, refused)
	}
	if got := m.redrive(t, func(o *redrive.Options) { o.Resend = true }); got != (redrive.Result{Started: 1}) {
		t.Errorf("with Resend it does %+v", got)
	}
	if j := endOf(t, s, location); j.Status != "succeeded" {
		t.Errorf("it ends as %+v", j)
	}
}

func TestTwoRedrivesAtOnceAndALetterThatCameTwiceAreOneExecution(t *testing.T) {
	t.Parallel()
	u := play(t, append(slices.Repeat([]http.HandlerFunc{respond(500, "down")}, 3), respond(200, "ok"))...)
	s := start(t, u.URL, from(lettered), fast)
	m := mailboxOf(t, s)
	location, _ := accepted(t, s, http.MethodPut, "/orders", "tea")
	endOf(t, s, location)
	_, bodies := m.letters(t, 1)
	for range 5 { // as SQS and Step Functions may deliver it
		sendMessage(t, m.queue, m.url, bodies[0])
	}
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() { m.redrive(t, nil) })
	}
	wait.Wait()
	m.redrive(t, nil) // what one of them had and did not want to lose
	if j := endOf(t, s, location); j.Status != "succeeded" || len(u.received()) != 4 || m.left(t) != "0 and 0" {
		t.Errorf("it ends as %+v after %d calls, with %s letters", j, len(u.received()), m.left(t))
	}
}

func TestStoppedRequestsAndThoseThatSucceedHaveNoLetter(t *testing.T) {
	t.Parallel()
	u := play(t, respond(404, "none"), respond(429, "later", "Retry-After", "3600"))
	s := start(t, u.URL, from(lettered))
	m := mailboxOf(t, s)
	location, _ := accepted(t, s, http.MethodGet, "/orders/1", "")
	if j := endOf(t, s, location); j.Status != "succeeded" {
		t.Errorf("it ends as %+v", j)
	}
	location, _ = accepted(t, s, http.MethodGet, "/orders/2", "")
	until(t, "the wait", func() (string, bool) { j := get(t, s, location).job(t); return j.Status, j.Status == "waiting" })
	if a := send(t, s, http.MethodDelete, location, ""); a.Status != 200 {
		t.Fatalf("it is stopped with %d %s", a.Status, a.Body)
	}
	if n := m.left(t); n != "0 and 0" {
		t.Errorf("there are %s letters", n)
	}
}

func TestAMessageOfAQueueIsDoneOnceItIsAcceptedAndADeadLetterIfItFails(t *testing.T) {
	t.Parallel()
	u := play(t, slices.Repeat([]http.HandlerFunc{respond(500, "down")}, 3)...)
	s := start(t, u.URL, from(lettered), fast)
	m := mailboxOf(t, s)
	var requests string
	for _, q := range s.Template.Queues {
		if q.Redrive != nil {
			requests = q.URL
		}
	}
	sendMessage(t, m.queue, requests, `{"method":"POST","path":"/orders","body":{"tea":2}}`)
	letters, _ := m.letters(t, 1)
	until(t, "the queue", func() (string, bool) { n := left(t, m.queue, requests); return n, n == "0 and 0" })
	if len(letters) != 1 || letters[0].Summary.Attempts != 3 {
		t.Errorf("the letters are %+v", letters)
	}
}

// failsInWhole has a request without a key fail in a stack in this process, and returns its location.
func failsInWhole(t *testing.T, w *whole) string {
	t.Helper()
	w.upstream = func(_ int, rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) }
	accepted := w.ask("PUT", "/", "prefer", "respond-async")
	location := accepted.Headers["location"]
	for range 600 {
		if looked := w.ask("GET", location, "prefer", "wait=60"); strings.Contains(looked.Body, `"status":"failed"`) {
			return location
		}
	}
	t.Fatal("it does not fail")
	return ""
}

func TestALetterIsSentAsOftenAsSQSRefusesItForMinutes(t *testing.T) {
	for _, c := range []struct {
		refusals, letters int
	}{{0, 1}, {12, 1}, {13, 0}} {
		w, end := newWhole(t, "", half)
		refused := 0
		w.queue = func() (bool, bool) { refused++; return refused > c.refusals, true }
		failsInWhole(t, w)
		for range 60 {
			w.passes(time.Minute)
		}
		if n := w.lettersSent(); n != c.letters {
			t.Errorf("after %d refusals there are %d letters, want %d", c.refusals, n, c.letters)
		}
		if refused > 13 {
			t.Errorf("it was tried %d times", refused)
		}
		end()
	}
}

func TestALetterWhoseReplyWasLostComesTwiceAndIsRedrivenOnce(t *testing.T) {
	w, end := newWhole(t, "", half)
	defer end()
	first := true
	w.queue = func() (bool, bool) { answered := !first; first = false; return true, answered }
	failsInWhole(t, w)
	for range 60 {
		w.passes(time.Minute)
	}
	if n := w.lettersSent(); n != 2 || w.letters[0].Execution != w.letters[1].Execution {
		t.Fatalf("there are %d letters: %+v", n, w.letters)
	}
	sent := len(w.sent)
	w.upstream = func(int, http.ResponseWriter) {}
	for i, letter := range w.letters {
		if out, err := w.redrive(w.gateway, letter, false); err != nil || out.Status == "" {
			t.Errorf("letter %d: %+v, error %v", i, out, err)
		}
		w.passes(time.Minute)
	}
	w.passes(time.Hour)
	if n := len(w.sent) - sent; n != 1 {
		t.Errorf("it was sent %d times more, want once", n)
	}
}

func TestARequestWhoseProxiesAreAllLostIsADeadLetter(t *testing.T) {
	for _, met := range []fate{throttled, crashesBefore} {
		w, end := newWhole(t, "", half)
		w.fate = func(string) fate { return met }
		failsInWhole(t, w)
		for range 60 {
			w.passes(time.Minute)
		}
		if n := w.lettersSent(); n != 1 || w.letters[0].Summary.Reason != message.ProxiesLost || !w.letters[0].Summary.MaybeProcessed || w.letters[0].Summary.Attempts != 0 {
			t.Errorf("there are %d letters: %+v", n, w.letters)
		}
		end()
	}
}
