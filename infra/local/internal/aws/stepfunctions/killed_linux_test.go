package stepfunctions_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// These variables have this program serve state machines, with a file, until it is killed, in the place of the tests. It says
// where, and what the function is called with. The definition is that of the Standard workflow.
const (
	fileVariable       = "STATES_TEST_FILE"
	definitionVariable = "STATES_TEST_DEFINITION"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(fileVariable); path != "" {
		serveUntilKilled(path, os.Getenv(definitionVariable))
	}
	os.Exit(m.Run())
}

// serveUntilKilled lets waits pass 1,000 times faster. Its function adds the payload to the file beside that of the service,
// in one write, and answers after a moment; for "hang" it does not.
func serveUntilKilled(path, definition string) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	calls, err := os.OpenFile(path+".calls", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(err)
	file, err := datafile.Open(path)
	must(err)
	s, err := stepfunctions.Open(file, stepfunctions.Config{
		Clock: clock.Faster(1000),
		Lambda: asl.LambdaFunc(func(ctx context.Context, _ string, payload []byte) (asl.Invocation, error) {
			if _, err := calls.Write(append(payload, '\n')); err != nil {
				return asl.Invocation{}, err
			}
			if strings.Contains(string(payload), "hang") {
				<-ctx.Done()
			}
			return asl.Invocation{Payload: payload}, clock.Real.Wait(ctx, time.Millisecond)
		}),
	})
	must(err)
	must(s.CreateStateMachine(stepfunctions.StateMachine{Name: "standard", ARN: standardARN, Type: stepfunctions.Standard, Definition: definition}))
	fmt.Println(httptest.NewServer(s).URL)
	s.Resume()
	select {}
}

// A victim is a process that serves state machines.
type victim struct {
	t       *testing.T
	process *exec.Cmd
	client  *sfn.Client
	path    string
}

func launch(t *testing.T, path, definition string) *victim {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), fileVariable+"="+path, definitionVariable+"="+definition)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return &victim{t, process, sfn.New(sfn.Options{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider("id", "secret", ""),
		BaseEndpoint:     aws.String("http://aws.local"),
		HTTPClient:       sdkhttp.Client(&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}),
		RetryMaxAttempts: 1,
	}), path}
}

// kill ends the process by SIGKILL.
func (v *victim) kill() {
	v.t.Helper()
	if err := v.process.Process.Kill(); err != nil {
		v.t.Fatal(err)
	}
	_ = v.process.Wait()
}

func (v *victim) start(name, input string) string {
	v.t.Helper()
	started, err := starting(v.t, v.client, standardARN, name, input)
	if err != nil {
		v.t.Fatal(err)
	}
	return *started.ExecutionArn
}

func (v *victim) describe(arn string) *sfn.DescribeExecutionOutput {
	v.t.Helper()
	described, err := v.client.DescribeExecution(v.t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		v.t.Fatal(err)
	}
	return described
}

// end waits until the execution is not running.
func (v *victim) end(arn string) *sfn.DescribeExecutionOutput {
	v.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if described := v.describe(arn); described.Status != types.ExecutionStatusRunning {
			return described
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("%s still runs", arn)
		}
	}
}

// calls are the payloads that the function was called with, by all processes.
func (v *victim) calls() []string {
	v.t.Helper()
	text, err := os.ReadFile(v.path + ".calls")
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func (v *victim) history(arn string) (all []string) {
	v.t.Helper()
	pages := sfn.NewGetExecutionHistoryPaginator(v.client, &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(v.t.Context())
		if err != nil {
			v.t.Fatal(err)
		}
		for _, e := range page.Events {
			all = append(all, string(e.Type))
		}
	}
	return all
}

func TestAWaitOfAKilledProcessGoesOnInTheNextOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	// 20 minutes pass in 1.2 s, of which the first process sees a part only.
	definition := strings.Replace(waitAnHour, "3600", "1200", 1)
	first := launch(t, path, definition)
	arn := first.start(digest, `{"a":1}`)
	for len(first.history(arn)) < 2 {
		time.Sleep(time.Millisecond)
	}
	first.kill()
	second := launch(t, path, definition)
	if again := second.start(digest, `{"a":1}`); again != arn {
		t.Errorf("started again it is %s, want %s", again, arn)
	}
	ended := second.end(arn)
	if took := ended.StopDate.Sub(*ended.StartDate); ended.Status != types.ExecutionStatusSucceeded || *ended.Output != `{"a":1}` || took < 1190*time.Millisecond {
		t.Errorf("it ended after %v as %+v, want SUCCEEDED after 1.2 s", took, ended)
	}
	if text := strings.Join(second.history(arn), " "); text != "ExecutionStarted WaitStateEntered WaitStateExited ExecutionSucceeded" {
		t.Errorf("its history is %s", text)
	}
}

func TestATaskOfAKilledProcessTimesOutInTheNextOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	first := launch(t, path, callAndCatch)
	arn := first.start("one", `{"do":"hang"}`)
	for len(first.calls()) == 0 {
		time.Sleep(time.Millisecond)
	}
	first.kill()
	second := launch(t, path, callAndCatch)
	if ended := second.end(arn); aws.ToString(ended.Output) != `"States.Timeout"` {
		t.Errorf("it ended as %+v, want what catches States.Timeout", ended)
	}
	if calls := second.calls(); len(calls) != 1 {
		t.Errorf("the function was called with %q, want one call", calls)
	}
}

func TestWhatWasAnsweredIsKnownToTheNextProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	for i := range 5 {
		v := launch(t, path, waitAnHour)
		arn := v.start(fmt.Sprint(i), fmt.Sprint(i))
		if i > 0 { // stopped as soon as it was started, by the process that is killed as soon as it has answered
			if _, err := v.client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn, Error: aws.String(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
		v.kill()
	}
	v := launch(t, path, waitAnHour)
	listed, err := v.client.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: aws.String(standardARN)})
	if err != nil || len(listed.Executions) != 5 {
		t.Fatalf("there are %+v %v, want five executions", listed, err)
	}
	for i, e := range listed.Executions {
		number := fmt.Sprint(4 - i)
		described := v.describe(*e.ExecutionArn)
		if *e.Name != number || *described.Input != number {
			t.Errorf("execution %s has the input %s, want execution %s", *e.Name, *described.Input, number)
		}
		if number != "0" && (e.Status != types.ExecutionStatusAborted || aws.ToString(described.Error) != number) {
			t.Errorf("execution %s is %+v, want it stopped", number, described)
		}
		if _, err := starting(t, v.client, standardARN, number, `"other"`); !exists(err) {
			t.Errorf("the name %s is free: %v", number, err)
		}
	}
}

// twentySteps calls the function in each step, with a wait of half a second between, and counts the calls that were lost.
const twentySteps = `{"StartAt":"Call","States":{
	"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},"ResultPath":null,"Next":"Step",
		"Catch":[{"ErrorEquals":["States.Timeout"],"ResultPath":null,"Next":"Lost"}]},
	"Lost":{"Type":"Pass","Parameters":{"of.$":"$.of","step.$":"$.step","lost.$":"States.MathAdd($.lost,1)"},"Next":"Step"},
	"Step":{"Type":"Pass","Parameters":{"of.$":"$.of","step.$":"States.MathAdd($.step,1)","lost.$":"$.lost"},"Next":"Done?"},
	"Done?":{"Type":"Choice","Choices":[{"Variable":"$.step","NumericEquals":20,"Next":"Done"}],"Default":"Wait"},
	"Wait":{"Type":"Wait","Seconds":3,"Next":"Call"},
	"Done":{"Type":"Succeed"}}}`

// TestNoStepIsCalledTwiceHoweverOftenTheProcessIsKilled kills processes at moments that are drawn, among the steps of ten
// executions. Each step is called once at most, and each call that is missing is one that was lost and told so.
func TestNoStepIsCalledTwiceHoweverOftenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	const seed, executions, steps = 11, 10, 20
	random := rand.New(rand.NewPCG(seed, seed))
	path := filepath.Join(t.TempDir(), "data.db")
	v := launch(t, path, twentySteps)
	var arns []string
	for i := range executions {
		arns = append(arns, v.start(fmt.Sprint(i), fmt.Sprintf(`{"of":%d,"step":0,"lost":0}`, i)))
	}
	kills := 0
	for running := executions; running > 0 && kills < 25; kills++ {
		moment := len(v.calls()) + random.IntN(8)
		for limit := time.Now().Add(time.Second); len(v.calls()) < moment && time.Now().Before(limit); {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Microsecond)
		}
		v.kill()
		v = launch(t, path, twentySteps)
		listed, err := v.client.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: aws.String(standardARN), StatusFilter: types.ExecutionStatusRunning})
		if err != nil {
			t.Fatal(err)
		}
		running = len(listed.Executions)
	}
	if kills < 5 {
		t.Errorf("the processes were killed %d times only", kills)
	}
	var lost, losses int
	for _, arn := range arns {
		ended := v.end(arn)
		var output struct{ Step, Lost int }
		if err := json.Unmarshal([]byte(aws.ToString(ended.Output)), &output); err != nil || output.Step != steps {
			t.Errorf("%s ended as %+v after %d steps, want %d: %v", arn, ended, output.Step, steps, err)
		}
		lost += output.Lost
		for _, event := range v.history(arn) {
			if event == "TaskTimedOut" {
				losses++
			}
		}
	}
	seen := map[string]int{}
	for _, call := range v.calls() {
		var step struct{ Of, Step int }
		if err := json.Unmarshal([]byte(call), &step); err != nil {
			t.Fatal(err)
		}
		if seen[fmt.Sprint(step)]++; seen[fmt.Sprint(step)] > 1 {
			t.Errorf("execution %d called twice in step %d", step.Of, step.Step)
		}
	}
	if missing := executions*steps - len(seen); missing > lost || lost != losses {
		t.Errorf("%d calls are missing, %d were told to be lost, and %d timed out", missing, lost, losses)
	}
	t.Logf("killed %d times; of %d calls %d were lost", kills, executions*steps, lost)
}
