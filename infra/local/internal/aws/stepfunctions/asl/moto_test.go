package asl_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// moto is a running moto_server: an interpreter of the language that others wrote, with which ours is compared.
type moto struct {
	endpoint string
}

// startMoto starts moto_server. What its Task states call is answered by the handler aws.
func startMoto(t *testing.T, aws http.Handler) *moto {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: moto_server is not asked")
	}
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("skipped: moto_server, whose interpreter is compared with ours, is not on the PATH (pip install 'moto[server]')")
	}
	services := httptest.NewServer(aws)
	t.Cleanup(services.Close)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	_, servicesPort, _ := net.SplitHostPort(services.Listener.Addr().String())

	var log bytes.Buffer
	// The shell ends moto_server when its input ends: at the latest when this process does, in whatever way.
	cmd := exec.Command("/bin/sh", "-c", `"$0" "$@" </dev/null & read line; kill $!`, path, "-H", "127.0.0.1", "-p", port)
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Environ(), "MOTO_PORT="+servicesPort) // where its states look for other services
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop.Close()
		cmd.Wait()
		if t.Failed() && strings.Contains(log.String(), "Traceback") {
			t.Logf("moto_server said:\n%s", log.String())
		}
	})

	m := &moto{endpoint: "http://" + address}
	deadline := time.Now().Add(60 * time.Second)
	for {
		_, err := m.post("/moto-api/config", "", "", `{"stepfunctions":{"execute_state_machine":true}}`)
		if err == nil {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto_server does not answer: %v\n%s", err, log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (m *moto) post(path, account, target, body string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodPost, m.endpoint+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if target != "" {
		request.Header.Set("x-moto-account-id", account)
		request.Header.Set("X-Amz-Target", "AWSStepFunctions."+target)
		request.Header.Set("Content-Type", "application/x-amz-json-1.0")
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=id/20261121/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers %s: %s", target, response.Status, text)
	}
	return text, err
}

func (m *moto) call(account, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	text, err := m.post("/", account, operation, string(body))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// A verdict is what an interpreter made of an execution, in the form in which two are compared.
type verdict struct {
	Status        string
	Output        any
	Error, Cause  any
	Events        []string
	refusedReason string
}

// run executes a definition in a machine and an account of its own and waits for the end: moto fails to start an
// execution while the account has a machine that has been executed.
func (m *moto) run(ctx context.Context, n int, definition, input string) (verdict, error) {
	account := fmt.Sprintf("%012d", 1000+n)
	call := func(operation string, in, out any) error { return m.call(account, operation, in, out) }
	var machine struct {
		StateMachineArn string `json:"stateMachineArn"`
	}
	err := call("CreateStateMachine", map[string]any{
		"name": "machine", "definition": definition, "roleArn": "arn:aws:iam::" + account + ":role/service-role/role",
	}, &machine)
	if err != nil {
		return verdict{refusedReason: err.Error()}, nil
	}
	var execution struct{ ExecutionArn string }
	if err := call("StartExecution", map[string]any{
		"stateMachineArn": machine.StateMachineArn, "name": executionName, "input": input,
	}, &execution); err != nil {
		return verdict{}, err
	}
	for {
		var d struct{ Status, Output, Error, Cause string }
		if err := call("DescribeExecution", map[string]any{"executionArn": execution.ExecutionArn}, &d); err != nil {
			return verdict{}, err
		}
		if d.Status == "RUNNING" {
			if ctx.Err() != nil {
				return verdict{}, fmt.Errorf("the execution in moto does not end: %w", ctx.Err())
			}
			time.Sleep(10 * time.Millisecond)
			continue
		}
		var history struct {
			Events []struct {
				ID, PreviousEventID      int64
				Type                     string
				StateEnteredEventDetails struct{ Name string }
				StateExitedEventDetails  struct{ Name string }
			}
		}
		if err := call("GetExecutionHistory", map[string]any{"executionArn": execution.ExecutionArn, "maxResults": 1000}, &history); err != nil {
			return verdict{}, err
		}
		v := verdict{Status: d.Status, Output: lenient(d.Output), Error: d.Error, Cause: lenient(d.Cause)}
		for _, e := range history.Events {
			v.Events = append(v.Events, eventLine(e.ID, e.PreviousEventID, e.Type, e.StateEnteredEventDetails.Name+e.StateExitedEventDetails.Name))
		}
		return v, nil
	}
}

const executionName = "execution-1"

func eventLine(id, previous int64, kind, state string) string {
	return strings.TrimSpace(fmt.Sprintf("%d<-%d %s %s", id, previous, kind, state))
}

// lenient reads a text as JSON if it is any, so that white space and the order of members make no difference.
func lenient(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}
