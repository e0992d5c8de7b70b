package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// hostProcess is the environment variable that makes this test binary a host of its own: its value is a directory with
// the bootstrap and a file to hold on to.
const hostProcess = "LAMBDA_TEST_HOST_PROCESS"

// runHostProcess leaves a process frozen, with a child whose id it prints, and runs an invocation that does not end by itself.
func runHostProcess() {
	directory := os.Getenv(hostProcess)
	host, err := lambda.NewHost(lambda.Config{Log: func(e lambda.LogEvent) {
		if e.Type == lambda.LogFunction {
			fmt.Println(e.Message)
		}
	}})
	for _, name := range []string{"frozen", "held"} {
		if err == nil {
			err = host.Add(lambda.Function{Name: name, Path: os.Getenv("LAMBDA_TEST_BOOTSTRAP"), Timeout: lambda.MaxTimeout})
		}
	}
	if err == nil {
		var result lambda.Result
		result, err = host.Invoke(context.Background(), "frozen", []byte(`{"child":true}`))
		var r report
		_ = json.Unmarshal(result.Payload, &r)
		fmt.Println(r.Child)
	}
	if err == nil {
		_, err = host.Invoke(context.Background(), "held", []byte(`{"log":["held"],"hold":"`+filepath.Join(directory, "hold")+`"}`))
	}
	fmt.Fprintln(os.Stderr, "the host process ended by itself:", err)
	os.Exit(1)
}

// Where a parent's death sends no signal, this is what ends a function.
func TestAFunctionEndsWhenItsRuntimeAPIIsGone(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	function := exec.Command(echoBinary)
	function.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + server.Listener.Addr().String()}
	if err := function.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	server.Listener.Close()
	server.CloseClientConnections()
	if err := function.Wait(); err == nil || function.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, want exit status 1", err)
	}
}
