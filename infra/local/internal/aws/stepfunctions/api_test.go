package stepfunctions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
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
		HTTPClient:       sdkhttp.Client(&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}),
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

func TestTheSDKReadsAHistoryPageByPageInBothDirections(t *testing.T) {
	client := newClient(t, newService(t, stepfunctions.Config{}, passOn, ""))
	ctx := context.Background()
	run, err := client.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: aws.String(expressARN), Input: aws.String(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	forwards := []string{"1 ExecutionStarted", "2 PassStateEntered", "3 PassStateExited", "4 ExecutionSucceeded"}
	for _, reverse := range []bool{false, true} {
		for _, size := range []int32{0, 1, 3, 4} {
			pages := sfn.NewGetExecutionHistoryPaginator(client, &sfn.GetExecutionHistoryInput{
				ExecutionArn: run.ExecutionArn, ReverseOrder: reverse, MaxResults: size,
			})
			var got []string
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if size > 0 && len(page.Events) > int(size) {
					t.Errorf("a page of %d holds %d events", size, len(page.Events))
				}
				for _, e := range page.Events {
					got = append(got, fmt.Sprintf("%d %s", e.Id, e.Type))
				}
			}
			want := slices.Clone(forwards)
			if reverse {
				slices.Reverse(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("reverse %v, pages of %d: %v", reverse, size, got)
			}
		}
	}

	all, err := client.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: run.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	if d := all.Events[1].StateEnteredEventDetails; d == nil || aws.ToString(d.Input) != `{"a":1}` || aws.ToString(d.Name) != "Pass" {
		t.Errorf("the entry of the state is told as %+v", d)
	}
	if all.Events[0].Timestamp == nil || all.Events[0].Timestamp.Before(*run.StartDate) {
		t.Errorf("the first event is of %v, the execution of %v", all.Events[0].Timestamp, run.StartDate)
	}
	bare, err := client.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: run.ExecutionArn, IncludeExecutionData: aws.Bool(false)})
	if err != nil {
		t.Fatal(err)
	}
	if d := bare.Events[1].StateEnteredEventDetails; aws.ToString(d.Input) != "" || aws.ToString(d.Name) != "Pass" {
		t.Errorf("without data the entry of the state is told as %+v", d)
	}
	var invalid *types.InvalidToken
	if _, err := client.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: run.ExecutionArn, NextToken: aws.String("x")}); !errors.As(err, &invalid) {
		t.Errorf("with a token of its own: %v", err)
	}
}

func TestTheSDKListsAndDescribesMachinesAndExecutions(t *testing.T) {
	s := newService(t, stepfunctions.Config{}, passOn, failAtOnce)
	client := newClient(t, s)
	ctx := context.Background()
	machines, err := client.ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(machines.StateMachines) != 2 || *machines.StateMachines[0].Name != "express" || machines.StateMachines[1].Type != types.StateMachineTypeStandard {
		t.Errorf("got %+v", machines.StateMachines)
	}
	machine, err := client.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(expressARN)})
	if err != nil {
		t.Fatal(err)
	}
	if *machine.Definition != passOn || machine.Status != types.StateMachineStatusActive || machine.CreationDate == nil {
		t.Errorf("got %+v", machine)
	}

	var arns []string
	for _, name := range []string{"one", "two", "three"} {
		started, err := client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(standardARN), Name: aws.String(name)})
		if err != nil {
			t.Fatal(err)
		}
		arns = append(arns, *started.ExecutionArn)
	}
	waitForEnd(t, s)
	var listed []string
	pages := sfn.NewListExecutionsPaginator(client, &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(standardARN), StatusFilter: types.ExecutionStatusFailed, MaxResults: 2,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Executions {
			listed = append(listed, *e.ExecutionArn)
			if e.StopDate == nil || e.Status != types.ExecutionStatusFailed {
				t.Errorf("got %+v", e)
			}
		}
	}
	slices.Reverse(listed)
	if !slices.Equal(listed, arns) {
		t.Errorf("listed were %v", listed)
	}
	none, err := client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: aws.String(standardARN), StatusFilter: types.ExecutionStatusSucceeded})
	if err != nil || len(none.Executions) != 0 {
		t.Errorf("got %+v %v", none, err)
	}
	of, err := client.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: aws.String(arns[0])})
	if err != nil || *of.StateMachineArn != standardARN || *of.Definition != failAtOnce {
		t.Errorf("got %+v %v", of, err)
	}

	var noMachine *types.StateMachineDoesNotExist
	if _, err := client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: aws.String(standardARN + "x")}); !errors.As(err, &noMachine) {
		t.Errorf("got %v", err)
	}
	var invalid *types.InvalidArn
	if _, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String("one")}); !errors.As(err, &invalid) {
		t.Errorf("got %v", err)
	}
	if _, err := client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: aws.String(standardARN), StatusFilter: "LOST"}); err == nil {
		t.Error("executions can be listed by a status that does not exist")
	}
	var noExecution *types.ExecutionDoesNotExist
	if _, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arns[0] + "x")}); !errors.As(err, &noExecution) {
		t.Errorf("got %v", err)
	}
}

func TestAnOperationThatIsNotSupportedIsNamed(t *testing.T) {
	client := newClient(t, newService(t, stepfunctions.Config{}, passOn, ""))
	_, err := client.CreateActivity(context.Background(), &sfn.CreateActivityInput{Name: aws.String("a")})
	var apiError smithy.APIError
	if !errors.As(err, &apiError) || apiError.ErrorCode() != "UnknownOperationException" || !strings.Contains(apiError.ErrorMessage(), "CreateActivity") {
		t.Errorf("got %v", err)
	}
}

func TestARequestThatIsNoJSONIsRefused(t *testing.T) {
	server := httptest.NewServer(newService(t, stepfunctions.Config{}, passOn, ""))
	defer server.Close()
	for _, body := range []string{``, `{`, `[]`, `{"name":5}`} {
		request, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Target", stepfunctions.TargetPrefix+"StartExecution")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), `"__type":"SerializationException"`) {
			t.Errorf("%s: %s %s %v", body, response.Status, text, err)
		}
	}
}

// TestBoto3StartsAndInspectsExecutions lets the SDK that the aws CLI is made of work with the API.
func TestBoto3StartsAndInspectsExecutions(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: boto3 is not tried")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skipped: python3 is not on the PATH")
	}
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		t.Skip("skipped: python3 has no boto3")
	}
	server := httptest.NewServer(newService(t, stepfunctions.Config{}, passOn, failAtOnce))
	defer server.Close()
	const script = `
import json, sys, time, boto3
from botocore.config import Config
sfn = boto3.client("stepfunctions", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="id",
    aws_secret_access_key="secret", config=Config(inject_host_prefix=False, retries={"max_attempts": 0}))
machines = {m["name"]: m["stateMachineArn"] for m in sfn.list_state_machines()["stateMachines"]}
sync = sfn.start_sync_execution(stateMachineArn=machines["express"], input='{"a": 1}')
arn = sfn.start_execution(stateMachineArn=machines["standard"], name="one")["executionArn"]
deadline = time.time() + 30
while sfn.describe_execution(executionArn=arn)["status"] == "RUNNING" and time.time() < deadline:
    time.sleep(0.01)
described = sfn.describe_execution(executionArn=arn)
history = sfn.get_execution_history(executionArn=arn)["events"]
listed = sfn.list_executions(stateMachineArn=machines["standard"], statusFilter="FAILED")["executions"]
print(json.dumps([sync["status"], sync["output"], described["status"], described["error"],
    [e["type"] for e in history], history[0]["timestamp"].year > 2000, [e["name"] for e in listed]]))
`
	out, err := exec.Command(python, "-c", script, server.URL).CombinedOutput()
	want := `["SUCCEEDED", "{\"a\":1}", "FAILED", "Broken", ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"], true, ["one"]]`
	if err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("got %s %v\nwant %s", out, err, want)
	}
}
