package handler

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// clientOf is a real client of Step Functions whose requests all go over connections that the test makes.
func clientOf(t *testing.T, dial func(context.Context) (net.Conn, error)) Engine {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	t.Cleanup(transport.CloseIdleConnections)
	return sfn.New(sfn.Options{
		Region:           "eu-central-1",
		BaseEndpoint:     aws.String("http://states.test"),
		RetryMaxAttempts: 1,
		HTTPClient:       &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
}

// service dials a service that reads a request, answers it so, and closes the connection.
func service(t *testing.T, answer string) func(context.Context) (net.Conn, error) {
	t.Helper()
	address := rawupstream.Listen(t, func(conn net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.Copy(io.Discard, r.Body)
			io.WriteString(conn, answer)
		}
	})
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}

// faulty is the answer of a service to a request that it does not carry out.
func faulty(status, code string) string {
	body := `{"__type":"` + code + `","message":"Rate exceeded"}`
	return "HTTP/1.1 " + status + "\r\nX-Amzn-ErrorType: " + code + "\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\n\r\n" + body
}

func TestAnEngineThatWasNotStartedIsUnavailableForNow(t *testing.T) {
	address := rawupstream.Closed(t)
	closed := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
	for what, c := range map[string]struct {
		dial func(context.Context) (net.Conn, error)
		says string
	}{
		"throttled":             {service(t, faulty("400 Bad Request", "ThrottlingException")), "ThrottlingException"},
		"no permission":         {service(t, faulty("400 Bad Request", "AccessDeniedException")), "AccessDeniedException"},
		"no such state machine": {service(t, faulty("400 Bad Request", "StateMachineDoesNotExist")), "StateMachineDoesNotExist"},
		"closed port":           {closed, "could not be reached"},
		"no such name": {func(context.Context) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "states.test", IsNotFound: true}}
		}, "could not be reached"},
	} {
		t.Run(what, func(t *testing.T) {
			response := newBench(t, clientOf(t, c.dial)).send(t, request("POST", "/"))
			d := wantProblem(t, response, 503, "engine-unavailable")
			if response.Headers["retry-after"] != "5" {
				t.Errorf("Retry-After is %q", response.Headers["retry-after"])
			}
			if !strings.Contains(d.Detail, c.says) || !strings.Contains(d.Detail, "The upstream was not called.") {
				t.Errorf("the problem says %q", d.Detail)
			}
		})
	}
}

func TestAConnectionThatBreaksLeavesOpenWhetherTheUpstreamWasCalled(t *testing.T) {
	for what, answer := range map[string]string{
		"out of order":             faulty("503 Service Unavailable", "ServiceUnavailable"),
		"an error inside":          faulty("500 Internal Server Error", "InternalFailure"),
		"a gateway's timeout":      "HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\n\r\n<html></html>",
		"closed without an answer": "",
		"closed within the answer": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":",
		"an answer without sense":  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull?",
	} {
		t.Run(what, func(t *testing.T) {
			response := newBench(t, clientOf(t, service(t, answer))).send(t, request("POST", "/"))
			d := wantProblem(t, response, 502, "engine-failed")
			if _, found := response.Headers["retry-after"]; found {
				t.Error("the caller is asked to repeat what may have been done")
			}
			if strings.Contains(d.Detail, "was not called") {
				t.Errorf("the problem says %q", d.Detail)
			}
		})
	}
}

func TestAnEngineThatNoConnectionWasMadeToInTimeIsUnavailableForNow(t *testing.T) {
	b := newBench(t, clientOf(t, func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	b.clock.now = time.Now().Add(30*time.Millisecond - 62*time.Second) // the deadline and the grace after it are nearly over
	wantProblem(t, b.send(t, request("POST", "/")), 503, "engine-unavailable")
}

func TestAnEngineThatDoesNotAnswerInTimeIsATimeout(t *testing.T) {
	hanging := func(ctx context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		return near, nil
	}
	b := newBench(t, clientOf(t, hanging))
	// So that the deadline and the grace after it are over in a moment, by the clock of the machine.
	b.clock.now = time.Now().Add(30*time.Millisecond - 62*time.Second)
	wantProblem(t, b.send(t, request("POST", "/")), 504, "outcome-unknown")
}

func TestTheEnginesOwnEndsBecomeProblems(t *testing.T) {
	output := func(status types.SyncExecutionStatus, output, cause, name string) *sfn.StartSyncExecutionOutput {
		return &sfn.StartSyncExecutionOutput{
			Status: status, Output: aws.String(output), Cause: aws.String(cause), Error: aws.String(name), ExecutionArn: aws.String("arn:execution"),
		}
	}
	for what, c := range map[string]struct {
		out    *sfn.StartSyncExecutionOutput
		status int
		name   string
	}{
		"timed out":                  {output("TIMED_OUT", "", "", ""), 504, "no-answer"},
		"output without sense":       {output("SUCCEEDED", "{", "", ""), 502, "engine-failed"},
		"output of another kind":     {output("SUCCEEDED", `{"statusCode":200}`, "", ""), 502, "engine-failed"},
		"output that leads on":       {output("SUCCEEDED", `{"outcome":"retry"}`, "", ""), 502, "engine-failed"},
		"no output":                  {&sfn.StartSyncExecutionOutput{Status: "SUCCEEDED"}, 502, "engine-failed"},
		"output null":                {output("SUCCEEDED", "null", "", ""), 502, "engine-failed"},
		"cause in words":             {output("FAILED", "", "An error occurred while executing the state", "States.Runtime"), 502, "engine-failed"},
		"cause of another kind":      {output("FAILED", "", `{"errorMessage":"x"}`, "Lambda.Unknown"), 502, "engine-failed"},
		"no cause":                   {&sfn.StartSyncExecutionOutput{Status: "FAILED"}, 502, "engine-failed"},
		"success without a response": {endedWith(&message.Envelope{Outcome: retry.Succeeded}), 502, "no-answer"},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, &fakeEngine{end: func(*message.Envelope) (*sfn.StartSyncExecutionOutput, error) { return c.out, nil }})
			d := wantProblem(t, b.send(t, request("GET", "/")), c.status, c.name)
			if c.out.Error != nil && c.status == 502 && c.out.Status == "FAILED" && !strings.Contains(d.Detail, *c.out.Error) {
				t.Errorf("the problem does not name %s: %s", *c.out.Error, d.Detail)
			}
		})
	}
}

func TestAnErrorThatIsNotOfTheServiceIsNotTakenForARefusal(t *testing.T) {
	for _, err := range []error{
		errors.New("something else"),
		context.Canceled,
		&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")},
		io.ErrUnexpectedEOF,
	} {
		if p := startProblem(err, false, "POST"); p.Status != 502 {
			t.Errorf("%v became %d: %s", err, p.Status, p.Detail)
		}
	}
}
