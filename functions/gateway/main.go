// Command gateway is the handler behind the function URL. It turns an HTTP request into a call, has the state machine
// carry it out, and turns what comes back into an HTTP response.
//
// Environment:
//
//	STATE_MACHINE_ARN  the Express state machine that carries calls out
//	PROXY_COUNT        how many proxies it goes round
//	RETRY_POLICY       the policy, as JSON; empty for the default one
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	settings, err := settingsFrom(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	awsConfig, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "gateway: AWS configuration: %v\n", err)
		os.Exit(1)
	}
	engine := sfn.NewFromConfig(awsConfig, func(o *sfn.Options) {
		// A repeated StartSyncExecution is a second execution, and so perhaps a second call of the upstream.
		o.RetryMaxAttempts = 1
	})
	g := newGateway(settings, engine, logger)
	lambda.StartWithOptions(g.handle, lambda.WithSetEscapeHTML(false))
}
