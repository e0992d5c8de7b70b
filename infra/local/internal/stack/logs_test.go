package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// filtered asks the stack's CloudWatch Logs for the lines of a group that match a pattern, as the AWS CLI does.
func filtered(t *testing.T, s *stack.Stack, group, pattern string) []string {
	t.Helper()
	input, _ := json.Marshal(map[string]string{"logGroupName": group, "filterPattern": pattern})
	r, _ := http.NewRequest(http.MethodPost, s.Endpoint(), strings.NewReader(string(input)))
	r.Header.Set("X-Amz-Target", "Logs_20140328.FilterLogEvents")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var found struct{ Events []struct{ Message string } }
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the answer is %d: %v", response.StatusCode, err)
	}
	var lines []string
	for _, e := range found.Events {
		lines = append(lines, e.Message)
	}
	return lines
}

// groupOf finds the log group of a function, or that of the state machine.
func groupOf(t *testing.T, s *stack.Stack, name string) string {
	t.Helper()
	for _, f := range s.Template.Functions {
		if s.ShortName(f.Name) == name {
			return f.LogGroup
		}
	}
	return s.Template.StateMachines[0].LogGroup
}

func TestARequestIsFoundByItsIDInTheLogsOfAllThatItWentThrough(t *testing.T) {
	t.Parallel()
	s := start(t, play(t, status(http.StatusServiceUnavailable), status(http.StatusOK), status(http.StatusOK)).URL)
	get(t, s, "/orders/7")
	get(t, s, "/orders/8")
	lines := filtered(t, s, groupOf(t, s, "gateway"), `{ $.msg = "request" }`)
	if len(lines) != 2 {
		t.Fatalf("the gateway's lines are %q, want one for each request", lines)
	}
	var request struct{ RequestID string }
	if err := json.Unmarshal([]byte(lines[0]), &request); err != nil || request.RequestID == "" {
		t.Fatalf("%s: %v", lines[0], err)
	}
	own := fmt.Sprintf(`{ $.requestId = "%s" }`, request.RequestID)
	for name, want := range map[string]int{"gateway": 1, "proxy-1": 1, "proxy-2": 1, "proxy-3": 0} {
		if found := filtered(t, s, groupOf(t, s, name), own); len(found) != want {
			t.Errorf("%s has %q of it, want %d lines", name, found, want)
		}
	}
	events := filtered(t, s, groupOf(t, s, "state machine"), fmt.Sprintf(`{ $.execution_arn = "*:%s:*" && $.type = "TaskStateEntered" }`, request.RequestID))
	if len(events) != 2 || !strings.Contains(events[1], `"name":"Proxy-2"`) {
		t.Errorf("the state machine says %q, want an entry into Proxy-1 and one into Proxy-2", events)
	}
	for _, line := range events {
		if strings.Contains(line, "/orders/7") {
			t.Errorf("a line holds the request: %s", line)
		}
	}
}

func TestAProxyThatCrashesIsFoundInItsLog(t *testing.T) {
	t.Parallel()
	s := start(t, serve(t, status(http.StatusOK)), crashing("proxy-1"))
	get(t, s, "/")
	found := filtered(t, s, groupOf(t, s, "proxy-1"), `{ $.type = "platform.report" && $.record.status != "success" }`)
	if len(found) == 0 || !strings.Contains(found[0], "Runtime.ExitError") {
		t.Errorf("the log says %q, want that the runtime has exited", found)
	}
}
