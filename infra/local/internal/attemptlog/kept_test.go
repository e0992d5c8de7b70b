package attemptlog_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// leftIn opens a service of a Standard state machine with a file, whose function gives one answer.
func leftIn(t *testing.T, path string, c clock.Clock, answer string) (_ *stepfunctions.Service, closeFile func()) {
	t.Helper()
	file, err := datafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	service, err := stepfunctions.Open(file, stepfunctions.Config{
		Clock: c, DynamoDB: table{},
		Lambda: asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) {
			return asl.Invocation{Payload: []byte(answer)}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	if err := service.CreateStateMachine(stepfunctions.StateMachine{Name: "ring", ARN: machineARN, Type: stepfunctions.Standard, Definition: machine}); err != nil {
		t.Fatal(err)
	}
	return service, func() { file.Close() }
}

func TestWhatWasPrintedInAnEarlierRunIsNotPrintedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	limited := `{"proxy":"proxy-1","start":1,"duration":40,"status":429,"wait":3600000,"why":"429: Retry-After asks for 1h"}`
	first, closeFile := leftIn(t, path, clock.Real, `{"outcome":"retry","waitSeconds":3600,"call":{"request":{}},"losses":{"count":0,"allowed":1},"attempts":[`+limited+`]}`)
	waits := make(chan struct{})
	first.Observe(func(_ stepfunctions.Execution, event asl.Event) {
		if event.Type == asl.WaitStateEntered {
			close(waits)
		}
	})
	if _, err := first.StartExecution(machineARN, "0123456789abcdef", input); err != nil {
		t.Fatal(err)
	}
	<-waits
	first.Close()
	left, err := first.Executions("", asl.Running)
	if err != nil || len(left) != 1 {
		t.Fatalf("left are %+v %v", left, err)
	}
	closeFile()

	second, _ := leftIn(t, path, clock.NewVirtual(left[0].Started.Add(30*time.Minute)), `{"outcome":"succeeded","statusCode":200,"attempts":[`+limited+
		`,{"proxy":"proxy-2","start":2,"duration":3,"status":200,"why":"200: final"}]}`)
	var out bytes.Buffer
	printer := attemptlog.New(&out)
	events, err := second.History(left[0].ARN)
	if err != nil {
		t.Fatal(err)
	}
	printer.Printed(left[0], events)
	ended := make(chan struct{})
	second.Observe(func(execution stepfunctions.Execution, event asl.Event) {
		printer.Event(execution, event)
		if execution.Status != asl.Running {
			close(ended)
		}
	})
	second.Resume()
	<-ended
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "attempt 2  proxy-2  200") || !strings.Contains(lines[1], "GET /orders/7 -> 200 after 2 attempts in 1h0m0") {
		t.Errorf("printed is\n%s", out.String())
	}
}
