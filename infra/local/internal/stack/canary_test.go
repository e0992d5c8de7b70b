package stack_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// canaries are in each place of a request, and of an answer, where a secret may be.
var (
	askedCanaries    = []string{"CANARY-AUTH", "CANARY-APIKEY", "CANARY-COOKIE", "CANARY-REFERER", "CANARY-QUERY", "CANARY-BODY", "CANARY-KEY", "CANARY-FIELD"}
	answeredCanaries = []string{"CANARY-ANSWER", "CANARY-SETCOOKIE", "CANARY-HEADER"}
)

// ask calls an AWS operation of the stack's as an AWS tool does.
func ask(t testing.TB, s *stack.Stack, target, body string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.Endpoint(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", target)
	response, err := caller.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s is answered with %d %s, error %v", target, response.StatusCode, text, err)
	}
	return string(text)
}

// Security, "Where a secret goes": what is kept of a request and of its answer, and for how long, must not hold what was
// sent and received, but for the record, which holds the answer by design.
func TestNothingSecretIsInWhatIsKept(t *testing.T) {
	t.Parallel()
	fields := []string{"Set-Cookie", "session=CANARY-SETCOOKIE", "X-Upstream", "CANARY-HEADER", "Location", "/CANARY-HEADER"}
	garbage := func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		_, _ = io.WriteString(connection, "CANARY-ANSWER CANARY-HEADER\r\n\r\n")
		_ = connection.(*net.TCPConn).CloseWrite()
	}
	for name, answer := range map[string]http.HandlerFunc{
		"success": respond(200, "CANARY-ANSWER", fields...),
		"503":     respond(503, "CANARY-ANSWER", fields...),
		"429":     respond(429, "CANARY-ANSWER", append(fields, "Retry-After", "3600")...),
		"401":     respond(401, "CANARY-ANSWER", fields...),
		"garbage": garbage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var logs strings.Builder
			s := start(t, serve(t, answer), withoutBackoff, logged(func(e lambda.LogEvent) {
				mu.Lock()
				defer mu.Unlock()
				logs.WriteString(e.Message + "\n")
			}))
			problems := ""
			for _, keyed := range []bool{false, true} {
				fields := []string{
					"Authorization", "Bearer CANARY-AUTH", "X-Api-Key", "CANARY-APIKEY", "Cookie", "session=CANARY-COOKIE",
					"Referer", "https://shop.example/?t=CANARY-REFERER", "X-Own", "CANARY-FIELD",
				}
				if keyed {
					fields = append(fields, "Idempotency-Key", "CANARY-KEY")
				}
				a := send(t, s, http.MethodPost, "/orders?token=CANARY-QUERY", "CANARY-BODY", fields...)
				if strings.Contains(a.Header.Get("Content-Type"), "problem") {
					problems += a.Body
				}
			}

			kept := map[string]string{"problems": problems, "ListFunctions": string(listFunctions(t, s))}
			executions, err := s.StepFunctions.Executions("", "")
			if err != nil || len(executions) != 2 {
				t.Fatalf("there were %d executions, error %v", len(executions), err)
			}
			for _, e := range executions {
				kept["names of executions"] += e.Name + e.Error + e.Cause
				kept["histories without execution data"] += ask(t, s, "AWSStepFunctions.GetExecutionHistory",
					`{"executionArn":"`+e.ARN+`","includeExecutionData":false}`)
			}
			items, err := json.Marshal(records(t, s))
			if err != nil {
				t.Fatal(err)
			}
			s.Close() // so that every line of the logs is there
			mu.Lock()
			defer mu.Unlock()
			kept["logs"] = logs.String()
			if !strings.Contains(kept["logs"], `"attempt"`) {
				t.Error("nothing was logged")
			}
			for place, text := range kept {
				for _, canary := range append(askedCanaries, answeredCanaries...) {
					if strings.Contains(text, canary) {
						t.Errorf("%s: %s", place, canary)
					}
				}
			}
			for _, canary := range askedCanaries {
				if bytes.Contains(items, []byte(canary)) {
					t.Errorf("records: %s", canary)
				}
			}
			if recorded := bytes.Contains(items, []byte("CANARY-ANSWER")); recorded != (name == "success") {
				t.Errorf("that the answer is recorded is %v", recorded)
			}
		})
	}
}

// listFunctions is what ListFunctions says, environment included.
func listFunctions(t testing.TB, s *stack.Stack) []byte {
	t.Helper()
	response, err := caller.Get(s.Endpoint() + "/2015-03-31/functions/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("RETRY_POLICY")) {
		t.Fatalf("ListFunctions is answered with %d %s, error %v", response.StatusCode, text, err)
	}
	return text
}
