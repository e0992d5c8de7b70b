package stack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// caller follows no redirects and adds nothing that was not asked for.
var caller = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       time.Minute,
}

// An answer is what a caller gets.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// send makes a request. Fields are pairs of name and value.
func send(t testing.TB, s *stack.Stack, method, target, body string, fields ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, s.URL()+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Add(fields[i], fields[i+1])
	}
	response, err := caller.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{Status: response.StatusCode, Header: response.Header, Body: string(content)}
}

func get(t testing.TB, s *stack.Stack, target string, fields ...string) answer {
	t.Helper()
	return send(t, s, http.MethodGet, target, "", fields...)
}

// expect checks the status, the body and Proxy-Status of an answer of the upstream's.
func (a answer) expect(t testing.TB, status int, body, proxyStatus string) {
	t.Helper()
	if a.Status != status || a.Body != body {
		t.Errorf("the answer is %d %q, want %d %q", a.Status, a.Body, status, body)
	}
	if told := a.Header.Get("Proxy-Status"); told != proxyStatus {
		t.Errorf("Proxy-Status is\n%s, want\n%s", told, proxyStatus)
	}
}

// A problem is an answer of the gateway's own, RFC 9457.
type problem struct {
	Type, Title, Detail string
	Status              int
	Attempts            []attempt
}

// An attempt is what a problem, or an execution, tells of one try at the upstream.
type attempt struct {
	Proxy    string
	Start    int64
	Duration int64
	Status   int
	Error    string
	Details  string
	Wait     int64
	Why      string
}

// problemBase is what the types of problems start with.
const problemBase = "https://github.com/retrying-api-proxy/retrying-api-proxy#"

// problem checks that an answer is a problem of a status and type, and returns it.
func (a answer) problem(t testing.TB, status int, kind string) problem {
	t.Helper()
	var p problem
	if media := a.Header.Get("Content-Type"); media != "application/problem+json" {
		t.Fatalf("the answer is %d %s %q, want a problem", a.Status, media, a.Body)
	}
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		t.Fatalf("the problem is not JSON: %v: %q", err, a.Body)
	}
	if a.Status != status || p.Status != status || p.Type != problemBase+kind {
		t.Errorf("the answer is %d with a problem of status %d and type %s, want %d and %s%s", a.Status, p.Status, p.Type, status, problemBase, kind)
	}
	if p.Title == "" || p.Detail == "" {
		t.Errorf("the problem has the title %q and the detail %q, want both", p.Title, p.Detail)
	}
	return p
}

// lastExecution is the execution that started last.
func lastExecution(t testing.TB, s *stack.Stack) stepfunctions.Execution {
	t.Helper()
	executions, err := s.StepFunctions.Executions("", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(executions) == 0 {
		t.Fatal("nothing was executed")
	}
	return executions[0]
}

// failureOf is why the last execution ended without a final answer, or nothing.
func failureOf(t testing.TB, s *stack.Stack) string {
	t.Helper()
	_, failure := executionview.View{}.Result(lastExecution(t, s))
	return failure
}

// attempts are those that the last execution tells of when it has ended.
func attempts(t testing.TB, s *stack.Stack) []attempt {
	t.Helper()
	execution := lastExecution(t, s)
	var envelope struct{ Attempts []attempt }
	if err := json.Unmarshal([]byte(execution.Output), &envelope); err != nil {
		t.Fatalf("the execution ended with %s %s, which is no envelope: %v", execution.Status, execution.Output, err)
	}
	return envelope.Attempts
}

// invocations counts how often the last execution called a proxy.
func invocations(t testing.TB, s *stack.Stack) int {
	t.Helper()
	history, err := s.StepFunctions.History(lastExecution(t, s).ARN)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, event := range history {
		if event.Type == asl.TaskScheduled {
			n++
		}
	}
	return n
}
