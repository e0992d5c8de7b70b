package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go/middleware"
)

// start is a request to the engine.
var start = &sfn.StartSyncExecutionInput{
	StateMachineArn: aws.String("arn:aws:states:eu-central-1:123456789012:stateMachine:orders"), Input: aws.String(`{}`),
}

// engineOf makes an engine as main does, whose service is on this machine.
func engineOf(service *httptest.Server) *sfn.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, service.Listener.Addr().String())
	}
	return newEngine(aws.Config{
		Region:       "eu-central-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
		BaseEndpoint: aws.String("http://states.test"),
		HTTPClient:   awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DialContext = dial }),
	})
}

// A sandbox that was frozen does not know that the service has closed a connection in the meantime.
func TestEachStartOfAnExecutionHasAConnectionOfItsOwn(t *testing.T) {
	var connections, requests atomic.Int32
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, `{"executionArn":"arn","status":"SUCCEEDED","output":"{}"}`)
	}))
	service.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	service.Start()
	defer service.Close()
	engine := engineOf(service)
	for range 3 {
		if _, err := engine.StartSyncExecution(t.Context(), start); err != nil {
			t.Fatal(err)
		}
	}
	if connections.Load() != 3 || requests.Load() != 3 {
		t.Errorf("%d requests went over %d connections, want three over three", requests.Load(), connections.Load())
	}
}

// A repeated StartSyncExecution is a second execution, and so perhaps a second call of the upstream.
func TestAStartOfAnExecutionThatFailsIsNotRepeated(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"the service failed": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		},
		"the service is busy": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-ErrorType", "ThrottlingException")
			w.WriteHeader(http.StatusBadRequest)
		},
		"the connection was cut before an answer": func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = connection.(*net.TCPConn).SetLinger(0)
				connection.Close()
			}
		},
		"the connection was cut within the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"status":`)
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				fail(w, r)
			}))
			defer service.Close()
			engine := engineOf(service)
			_, err := engine.StartSyncExecution(t.Context(), start)
			if n := requests.Load(); err == nil || n != 1 {
				t.Errorf("%d requests were sent, want 1; the error is %v", n, err)
			}
		})
	}
}

// A lateConn has written the input, and says so to net/http only when the SDK is done with the request.
type lateConn struct {
	net.Conn
	done <-chan struct{}
}

func (c lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if bytes.HasSuffix(p, []byte("}")) {
		<-c.done
	}
	return n, err
}

// The answer to a start is as large as a state, and nothing starts the execution again if it is cut off.
func TestTheAnswerToAStartIsReadToItsEndWhicheverGoroutineIsLate(t *testing.T) {
	t.Parallel()
	output := strings.Repeat("a", 250<<10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, `{"executionArn":"arn","status":"SUCCEEDED","output":%q}`, output)
	}))
	defer service.Close()
	for range 20 { // the connection would be closed a moment too late for some of them
		done := make(chan struct{})
		engine := newEngine(aws.Config{
			Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""), BaseEndpoint: aws.String("http://states.test"),
			HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
				transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, service.Listener.Addr().String())
					return lateConn{conn, done}, err
				}
			}),
			APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
				return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("done", func(
					ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
				) (middleware.DeserializeOutput, middleware.Metadata, error) {
					out, metadata, err := next.HandleDeserialize(ctx, in) // the header section of the answer is there
					close(done)
					return out, metadata, err
				}), middleware.After)
			}},
		})
		if out, err := engine.StartSyncExecution(t.Context(), start); err != nil || *out.Output != output {
			t.Fatalf("the start is answered with %v", err)
		}
	}
}
