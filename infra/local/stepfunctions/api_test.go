package stepfunctions_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stepfunctions"
)

const (
	expressARN  = "arn:aws:states:us-east-1:123456789012:stateMachine:express"
	standardARN = "arn:aws:states:us-east-1:123456789012:stateMachine:standard"
)

// newClient returns an AWS SDK client that reaches the service through its HTTP API, as functions do: by a proxy, so
// that the prefix which the SDK puts before the host does no harm.
func newClient(t *testing.T, s *stepfunctions.Service) *sfn.Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	proxy, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return sfn.New(sfn.Options{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider("id", "secret", ""),
		BaseEndpoint:     aws.String("http://aws.local"),
		HTTPClient:       &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}},
		RetryMaxAttempts: 1,
	})
}

func newService(t *testing.T, config stepfunctions.Config, express, standard string) *stepfunctions.Service {
	t.Helper()
	s := stepfunctions.New(config)
	t.Cleanup(s.Close)
	for _, m := range []stepfunctions.StateMachine{
		{Name: "express", ARN: expressARN, Type: stepfunctions.Express, Definition: express},
		{Name: "standard", ARN: standardARN, Type: stepfunctions.Standard, Definition: standard},
	} {
		if m.Definition == "" {
			continue
		}
		if err := s.CreateStateMachine(m); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const (
	passOn     = `{"StartAt":"Pass","States":{"Pass":{"Type":"Pass","End":true}}}`
	waitLong   = `{"StartAt":"Wait","States":{"Wait":{"Type":"Wait","Seconds":99999999,"End":true}}}`
	failAtOnce = `{"StartAt":"Fail","States":{"Fail":{"Type":"Fail","Error":"Broken","Cause":"as told"}}}`
)

func TestTheSDKRunsAnExpressWorkflowAndIsHandedItsOutput(t *testing.T) {
	client := newClient(t, newService(t, stepfunctions.Config{}, passOn, ""))
	out, err := client.StartSyncExecution(context.Background(), &sfn.StartSyncExecutionInput{
		StateMachineArn: aws.String(expressARN), Name: aws.String("first"), Input: aws.String(`{"a":1}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != types.SyncExecutionStatusSucceeded || aws.ToString(out.Output) != `{"a":1}` || aws.ToString(out.Name) != "first" {
		t.Errorf("got status %s, output %s, name %s", out.Status, aws.ToString(out.Output), aws.ToString(out.Name))
	}
	if out.BillingDetails == nil || out.BillingDetails.BilledMemoryUsedInMB != 64 {
		t.Errorf("got billing details %+v", out.BillingDetails)
	}
	if age := time.Since(aws.ToTime(out.StartDate)); age < 0 || age > time.Minute {
		t.Errorf("the start date is %v ago", age)
	}
}

func TestAFailedExecutionIsAnAnswerAndNoErrorOfTheCall(t *testing.T) {
	client := newClient(t, newService(t, stepfunctions.Config{}, failAtOnce, ""))
	out, err := client.StartSyncExecution(context.Background(), &sfn.StartSyncExecutionInput{StateMachineArn: aws.String(expressARN)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != types.SyncExecutionStatusFailed || aws.ToString(out.Error) != "Broken" || aws.ToString(out.Cause) != "as told" || out.Output != nil {
		t.Errorf("got %+v", out)
	}
}

func TestAStandardWorkflowCannotBeWaitedFor(t *testing.T) {
	client := newClient(t, newService(t, stepfunctions.Config{}, "", passOn))
	_, err := client.StartSyncExecution(context.Background(), &sfn.StartSyncExecutionInput{StateMachineArn: aws.String(standardARN)})
	var notSupported *types.StateMachineTypeNotSupported
	if !errors.As(err, &notSupported) {
		t.Errorf("got %v", err)
	}
}

func TestStartingAnExecutionAgainUnderItsNameReturnsTheOneThatRuns(t *testing.T) {
	client := newClient(t, newService(t, stepfunctions.Config{}, "", waitLong))
	start := func(input string) (*sfn.StartExecutionOutput, error) {
		return client.StartExecution(context.Background(), &sfn.StartExecutionInput{
			StateMachineArn: aws.String(standardARN), Name: aws.String("one"), Input: aws.String(input),
		})
	}
	first, err := start(`{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	second, err := start(`{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	if *first.ExecutionArn != *second.ExecutionArn || !first.StartDate.Equal(*second.StartDate) {
		t.Errorf("got %s from %v, then %s from %v", *first.ExecutionArn, first.StartDate, *second.ExecutionArn, second.StartDate)
	}
	var exists *types.ExecutionAlreadyExists
	if _, err := start(`{"a":2}`); !errors.As(err, &exists) {
		t.Errorf("with another input: got %v", err)
	}
	if _, err := client.StopExecution(context.Background(), &sfn.StopExecutionInput{
		ExecutionArn: first.ExecutionArn, Error: aws.String("Enough"), Cause: aws.String("of this"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := start(`{"a":1}`); !errors.As(err, &exists) {
		t.Errorf("after the end: got %v", err)
	}
	stopped, err := client.DescribeExecution(context.Background(), &sfn.DescribeExecutionInput{ExecutionArn: first.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	if stopped.Status != types.ExecutionStatusAborted || aws.ToString(stopped.Error) != "Enough" || aws.ToString(stopped.Cause) != "of this" {
		t.Errorf("got %+v", stopped)
	}
}
