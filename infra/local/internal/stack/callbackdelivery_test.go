package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// calledBack is the stack whose asynchronous requests have callbacks and dead letters. Callbacks go to another place in tests.
var calledBack = synthesised("callbacks", map[string]any{
	"async": "true", "deadletters": "true", "callback": "https://hooks.example.com/told", "callbackhosts": "hooks.example.com",
})

// A toldCall is a callback as its receiver got it.
type toldCall struct {
	target, body string
	header       http.Header
}

// A receiver is told of asynchronous requests.
type receiver struct {
	*httptest.Server
	calls chan toldCall
}

// receive answers callbacks one after the other with statuses, and all that follow with 204.
func receive(t testing.TB, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{calls: make(chan toldCall, 100)}
	var mu sync.Mutex
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		mu.Lock()
		defer mu.Unlock()
		r.calls <- toldCall{request.Method + " " + request.URL.String(), string(body), request.Header}
		answer := http.StatusNoContent
		if len(statuses) > 0 {
			answer, statuses = statuses[0], statuses[1:]
		}
		w.WriteHeader(answer)
	}))
	// At another address than the upstream, where this machine has more than one, so that this one has to be allowed, too.
	if elsewhere, err := net.Listen("tcp", "127.0.0.2:0"); err == nil {
		r.Listener.Close()
		r.Listener = elsewhere
	}
	r.Start()
	t.Cleanup(r.Close)
	return r
}

// toldTo sends callbacks to a receiver.
func toldTo(r *receiver) setting {
	return func(_ testing.TB, c *config) { c.CallbackURL = r.URL + "/told?shop=7" }
}

// told waits for the next callback, and verifies it as receivers do, with the secret of the stack.
func (r *receiver) told(t testing.TB, s *stack.Stack) (toldCall, map[string]any) {
	t.Helper()
	var call toldCall
	select {
	case call = <-r.calls:
	case <-time.After(30 * time.Second):
		t.Fatal("there is no callback")
	}
	webhook, err := standardwebhooks.NewWebhook(callbackSecret(t, s))
	if err != nil {
		t.Fatal(err)
	}
	// The library knows the time of now, and not that of the state machine, which passes faster.
	if err := webhook.VerifyIgnoringTimestamp([]byte(call.body), call.header); err != nil {
		t.Errorf("the signature of %+v: %v", call, err)
	}
	var notice map[string]any
	if err := json.Unmarshal([]byte(call.body), &notice); err != nil {
		t.Fatalf("%v: %s", err, call.body)
	}
	return call, notice
}

// callbackSecret is what the stack signs callbacks with.
func callbackSecret(t testing.TB, s *stack.Stack) string {
	t.Helper()
	for _, f := range s.Template.Functions {
		if id := f.Environment["CALLBACK_SECRET"]; id != "" {
			out, err := secretsClient(s).GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(id)})
			if err != nil {
				t.Fatal(err)
			}
			return *out.SecretString
		}
	}
	t.Fatal("no function has a secret for callbacks")
	return ""
}

// standardEnds waits until no Standard execution runs, and tells how each has ended, by its last state.
func standardEnds(t *testing.T, s *stack.Stack) map[string]int {
	t.Helper()
	until(t, "the end of all executions", func() (string, bool) {
		running, err := s.StepFunctions.Executions("", asl.Running)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(len(running)), len(running) == 0
	})
	all, err := s.StepFunctions.Executions("", "")
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string]int{}
	for _, e := range all {
		if e.Type != stepfunctions.Standard {
			continue
		}
		events, err := s.StepFunctions.History(e.ARN)
		if err != nil {
			t.Fatal(err)
		}
		end := string(e.Status)
		for _, event := range events {
			if event.StateEntered != nil {
				end = event.StateEntered.Name
			}
		}
		ends[end]++
	}
	return ends
}

func TestTheEndOfAnAsynchronousRequestIsToldByASignedCallback(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, kind, status string
		fields             []string
		answers            []http.HandlerFunc
	}{
		{"succeeded, with a key", "execution.succeeded", "succeeded", []string{"Idempotency-Key", "k"}, []http.HandlerFunc{respond(500, "later"), respond(201, `{"id":7}`)}},
		{"succeeded, without a key", "execution.succeeded", "succeeded", nil, []http.HandlerFunc{respond(201, `{"id":7}`)}},
		{"failed, with a key", "execution.failed", "failed", []string{"Idempotency-Key", "k"}, []http.HandlerFunc{respond(500, "a"), respond(500, "b"), respond(500, "c")}},
		{"failed, without a key", "execution.failed", "failed", nil, []http.HandlerFunc{respond(500, "once")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, r := play(t, test.answers...), receive(t, 503)
			s := start(t, u.URL, from(calledBack), fast, toldTo(r))
			location, _ := accepted(t, s, http.MethodPost, "/orders", "tea", test.fields...)
			first, notice := r.told(t, s)
			again, _ := r.told(t, s)
			if first.target != "POST /told?shop=7" || first.body != again.body || first.header.Get("Webhook-Id") != again.header.Get("Webhook-Id") || first.header.Get("Content-Type") != "application/json" {
				t.Errorf("the callback is %+v, and after 503 %+v", first, again)
			}
			data, _ := notice["data"].(map[string]any)
			links, _ := data["links"].(map[string]any)
			self, _ := links["self"].(string)
			if notice["type"] != test.kind || data["status"] != test.status || !strings.HasSuffix(self, location) {
				t.Errorf("it says %s", first.body)
			}
			want := map[string]int{"Succeeded": 2}
			if test.status == "failed" {
				want = map[string]int{"Failed": 1, "Succeeded": 1}
			}
			if got := standardEnds(t, s); got["Succeeded"] != want["Succeeded"] || got["Failed"] != want["Failed"] || len(r.calls) != 0 {
				t.Errorf("the executions end in %v, want %v, and there are %d more callbacks", got, want, len(r.calls))
			}
		})
	}
}

func TestACallbackThatIsRefusedIsADeadLetterAndARedriveSendsItAgain(t *testing.T) {
	t.Parallel()
	u, r := play(t, respond(201, `{"id":7}`)), receive(t, 410)
	s := start(t, u.URL, from(calledBack), fast, toldTo(r))
	accepted(t, s, http.MethodPost, "/orders", "tea")
	first, _ := r.told(t, s)
	m := mailboxOf(t, s)
	letters, _ := m.letters(t, 1)
	if len(letters) != 1 || letters[0].Summary.Reason != "CallbackRefused" {
		t.Fatalf("the letters are %+v", letters)
	}
	if got := m.redrive(t, nil); got.Started != 1 {
		t.Fatalf("the redrive does %+v", got)
	}
	if again, _ := r.told(t, s); again.header.Get("Webhook-Id") != first.header.Get("Webhook-Id") || again.body != first.body {
		t.Errorf("it is sent again as %+v, and was %+v", again, first)
	}
	standardEnds(t, s)
	if got := m.left(t); got != "0 and 0" || len(u.received()) != 1 {
		t.Errorf("%s letters are left, and the upstream got %d requests", got, len(u.received()))
	}
}

func TestARequestThatWasStoppedIsNotToldOf(t *testing.T) {
	t.Parallel()
	u, r := play(t, status(429, "Retry-After", "36000"), respond(201, "never")), receive(t)
	s := start(t, u.URL, from(calledBack), toldTo(r))
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea")
	until(t, "the wait", func() (string, bool) {
		got := get(t, s, location).job(t).Status
		return got, got == "waiting"
	})
	if a := send(t, s, http.MethodDelete, location, ""); a.Status != 200 {
		t.Fatalf("it is stopped with %d %s", a.Status, a.Body)
	}
	standardEnds(t, s)
	if len(r.calls) != 0 {
		t.Errorf("it is told of: %+v", <-r.calls)
	}
}

func TestTheSecretOfCallbacksIsKeptWithTheData(t *testing.T) {
	t.Parallel()
	u := play(t)
	file := filepath.Join(t.TempDir(), "data.db")
	value := func(settings ...setting) string {
		s, err := launch(t, config{Config: stack.Config{Upstream: u.URL, Speed: speed}}, append(settings, from(calledBack)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return callbackSecret(t, s)
	}
	withFile := func(_ testing.TB, c *config) { c.DataFile = file }
	first, second, other := value(withFile), value(withFile), value()
	if first != second || first == other || len(first) != 44 {
		t.Errorf("with the same file the secret has %d characters, and is the same: %t; with none it is the same: %t", len(first), first == second, first == other)
	}
}
