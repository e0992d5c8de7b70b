package lambda_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/lambda"
)

// hostProcess is the environment variable that makes this test binary a host of
// its own: its value is a directory with the bootstrap and a file to hold on to.
const hostProcess = "LAMBDA_TEST_HOST_PROCESS"

// runHostProcess runs an invocation that does not end by itself.
func runHostProcess() {
	directory := os.Getenv(hostProcess)
	host, err := lambda.NewHost(lambda.Config{Log: func(e lambda.LogEvent) {
		if e.Type == lambda.LogFunction {
			fmt.Println(e.Message)
		}
	}})
	if err == nil {
		err = host.Add(lambda.Function{Name: "held", Path: os.Getenv("LAMBDA_TEST_BOOTSTRAP"), Timeout: lambda.MaxTimeout})
	}
	if err == nil {
		_, err = host.Invoke(context.Background(), "held", []byte(`{"log":["held"],"hold":"`+filepath.Join(directory, "hold")+`"}`))
	}
	fmt.Fprintln(os.Stderr, "the host process ended by itself:", err)
	os.Exit(1)
}
