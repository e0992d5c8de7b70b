// Command redrive has asynchronous requests that failed sent again. See package redrive.
//
// Environment:
//
//	LETTERS    the URL of the queue of dead letters, the output DeadLetterQueueUrl of the stack
//	GATEWAY    the function that sends them again, the output GatewayName
//	ONE        the member execution of a letter, to redrive that one (default: all)
//	RESEND     true sends requests without a key again, too, that the upstream may have acted on (default: their letters stay)
//	ENDPOINT   where the AWS APIs are, such as http://127.0.0.1:8788 of make local (default: AWS)
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/redrive"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run redrives letters. The error says that one or more of them are left, too.
func run(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	o := redrive.Options{QueueURL: getenv("LETTERS"), Gateway: getenv("GATEWAY"), Execution: getenv("ONE"), Resend: getenv("RESEND") == "true"}
	var problems []error
	if o.QueueURL == "" {
		problems = append(problems, errors.New("redrive: LETTERS is empty; give the URL of the queue of dead letters, the output DeadLetterQueueUrl of the stack"))
	}
	if o.Gateway == "" {
		problems = append(problems, errors.New("redrive: GATEWAY is empty; give the name of the gateway, the output GatewayName of the stack"))
	}
	if text := getenv("RESEND"); text != "" && text != "true" && text != "false" {
		problems = append(problems, fmt.Errorf("redrive: RESEND is %q; give true or false", text))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	settings, err := awsConfig(ctx, getenv("ENDPOINT"))
	if err != nil {
		return err
	}
	o.Queue, o.Functions = sqs.NewFromConfig(settings), lambda.NewFromConfig(settings)
	o.Told = func(letter message.DeadLetter, outcome string, err error) {
		if err != nil {
			outcome = err.Error()
		}
		fmt.Fprintf(stdout, "%s  %s after %d attempts %v: %s\n", letter.Execution, letter.Summary.Reason, letter.Summary.Attempts, letter.Summary.Answers, outcome)
	}
	result, err := redrive.Run(ctx, o)
	fmt.Fprintf(stdout, "%d started again, %d settled already, %d left in the queue\n", result.Started, result.Settled, result.Left)
	if err == nil && result.Left > 0 {
		err = fmt.Errorf("redrive: %d letters are left in the queue", result.Left)
	}
	return err
}

// awsConfig is that of the environment, or for an endpoint of one's own one that needs none.
func awsConfig(ctx context.Context, endpoint string) (aws.Config, error) {
	if endpoint != "" {
		return aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}, nil
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, fmt.Errorf("redrive: AWS configuration: %w", err)
	}
	return settings, nil
}
