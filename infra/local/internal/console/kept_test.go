package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// shownOf opens a service of an Express and a Standard state machine with a file, runs what is to be run, and gives what a
// console shows: the executions, the calls of the upstream, and how long the history of "one" is.
func shownOf(t *testing.T, path string, run func(*stepfunctions.Service)) (shown string, calls int64, history int) {
	t.Helper()
	file, err := datafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tables := dynamodb.New(dynamodb.WithFile(file))
	service, err := stepfunctions.Open(file, stepfunctions.Config{
		Clock: clock.NewVirtual(began),
		Lambda: asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) {
			return asl.Invocation{Payload: []byte(answered)}, nil
		}),
		DynamoDB: asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
			return json.RawMessage(`{}`), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	for _, m := range []stepfunctions.StateMachine{
		{Name: "ring", ARN: machineARN, Type: stepfunctions.Express, Definition: machine},
		{Name: "later", ARN: strings.Replace(machineARN, "ring", "later", 1), Type: stepfunctions.Standard, Definition: machine},
	} {
		if err := service.CreateStateMachine(m); err != nil {
			t.Fatal(err)
		}
	}
	c := console.New(console.Config{Now: now})
	c.Watch(service, tables, executionview.View{})
	if run != nil {
		run(service)
	}
	server := httptest.NewServer(c.Middleware(http.NotFoundHandler()))
	defer server.Close()
	s := &stage{t: t, url: server.URL + console.Path}
	var list json.RawMessage
	// Whoever watches is told of an end a moment after whoever asks.
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		s.get("executions", &list)
		if !strings.Contains(string(list), `"RUNNING"`) || time.Now().After(limit) {
			break
		}
	}
	var upstream struct{ Calls int64 }
	s.get("upstream", &upstream)
	var one struct{ History []console.HistoryEvent }
	s.get("executions/one", &one)
	return string(list), upstream.Calls, len(one.History)
}

func TestTheListOfExecutionsIsThereAgainWithTheirFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	before, calls, history := shownOf(t, path, func(service *stepfunctions.Service) {
		if _, err := service.StartSyncExecution(t.Context(), machineARN, "one", input); err != nil {
			t.Fatal(err)
		}
		if _, err := service.StartExecution(strings.Replace(machineARN, "ring", "later", 1), "two", input); err != nil {
			t.Fatal(err)
		}
		for limit := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if all, err := service.Executions("", asl.Running); err == nil && len(all) == 0 || time.Now().After(limit) {
				break
			}
		}
	})
	if calls != 4 || !strings.Contains(before, `"two"`) {
		t.Fatalf("%d calls are told, and the executions %s", calls, before)
	}
	after, calls, kept := shownOf(t, path, nil)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the list is another (-want +got):\n%s", diff)
	}
	if kept != history || history == 0 {
		t.Errorf("the history has %d events, want %d", kept, history)
	}
	// The upstream of this console was not called.
	if calls != 0 {
		t.Errorf("the upstream was called %d times", calls)
	}
}
