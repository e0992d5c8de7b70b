package stack_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// twoMachines is the stack with a Standard state machine beside the Express one, of the same graph and with a version. The
// gateway is told of it.
func twoMachines(t testing.TB) func() (assembled, error) {
	t.Helper()
	return edited(t, func(template map[string]any) {
		resources := template["Resources"].(map[string]any)
		added := map[string]any{}
		for _, r := range resources {
			resource := r.(map[string]any)
			properties, _ := resource["Properties"].(map[string]any)
			switch resource["Type"] {
			case "AWS::StepFunctions::StateMachine":
				properties := maps.Clone(properties)
				properties["StateMachineType"] = "STANDARD"
				text, err := json.Marshal(properties["DefinitionString"])
				if err != nil {
					t.Fatal(err)
				}
				if !machineTimeout.Match(text) {
					t.Fatalf("the state machine has no timeout: %s", text)
				}
				var definition any
				if err := json.Unmarshal(machineTimeout.ReplaceAll(text, []byte("}},$1:86400")), &definition); err != nil {
					t.Fatal(err)
				}
				properties["DefinitionString"] = definition
				added["AsyncMachine"] = map[string]any{"Type": resource["Type"], "Properties": properties}
			case "AWS::Lambda::Function":
				variables := properties["Environment"].(map[string]any)["Variables"].(map[string]any)
				if _, gateway := variables["STATE_MACHINE_ARN"]; gateway {
					variables["SECOND_STATE_MACHINE_ARN"] = map[string]any{"Ref": "AsyncMachineVersion"}
				}
			}
		}
		added["AsyncMachineVersion"] = map[string]any{
			"Type": "AWS::StepFunctions::StateMachineVersion",
			"Properties": map[string]any{
				"StateMachineArn":        map[string]any{"Ref": "AsyncMachine"},
				"StateMachineRevisionId": map[string]any{"Fn::GetAtt": []any{"AsyncMachine", "StateMachineRevisionId"}},
			},
		}
		maps.Copy(resources, added)
	})
}

// machineTimeout is the timeout behind the states of a definition that is written as a string of JSON.
var machineTimeout = regexp.MustCompile(`\}\},(\\"TimeoutSeconds\\"):[0-9]+`)

// exactly waits as the upstream asks, and for no longer.
var exactly = policy(`{"scope":"per-account","rateLimits":{"jitter":"none"},"networkFailures":{"base":"1ms","max":"1ms"}}`)

// statesOf is a client of the stack's Step Functions, as the gateway has one.
func statesOf(endpoint string) *sfn.Client {
	return sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// asyncVersion is the ARN that the gateway is told of the Standard state machine.
func asyncVersion(t testing.TB, s *stack.Stack) string {
	t.Helper()
	for _, f := range s.Template.Functions {
		if arn := f.Environment["SECOND_STATE_MACHINE_ARN"]; arn != "" {
			return arn
		}
	}
	t.Fatal("no function is told of the Standard state machine")
	return ""
}

// asked is what the gateway starts an execution with for a request, as it was started in another stack, with another deadline.
func asked(t testing.TB, method string, deadline time.Duration, settings ...setting) string {
	t.Helper()
	other := start(t, play(t, status(http.StatusOK)).URL, settings...)
	send(t, other, method, "/orders", "")
	envelope, err := message.Unmarshal([]byte(lastExecution(t, other).Input))
	if err != nil {
		t.Fatal(err)
	}
	envelope.Call.Deadline = time.Now().Add(deadline).UnixMilli()
	text, err := message.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// name is one that the gateway gives executions.
const name = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func begin(t testing.TB, client *sfn.Client, machine, input string) string {
	t.Helper()
	started, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: &machine, Name: aws.String(name), Input: &input})
	if err != nil {
		t.Fatal(err)
	}
	return *started.ExecutionArn
}

// ended waits until an execution has ended, and returns it with its envelope.
func ended(t testing.TB, client *sfn.Client, arn string) (*sfn.DescribeExecutionOutput, *message.Envelope) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		e, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
		if err != nil {
			t.Fatal(err)
		}
		if e.Status == types.ExecutionStatusRunning {
			if time.Now().After(limit) {
				t.Fatalf("%s still runs", arn)
			}
			continue
		}
		envelope, err := message.Unmarshal([]byte(aws.ToString(e.Output)))
		if err != nil {
			t.Fatalf("it ended as %s %s %s: %v", e.Status, aws.ToString(e.Error), aws.ToString(e.Cause), err)
		}
		return e, envelope
	}
}

func TestAStandardMachineRunsBesideTheExpressOne(t *testing.T) {
	t.Parallel()
	input := asked(t, http.MethodGet, time.Hour, exactly)
	u := play(t, status(http.StatusOK), status(http.StatusTooManyRequests, "Retry-After", "600"), respond(http.StatusCreated, "later"))
	s := start(t, u.URL, from(twoMachines(t)), exactly, func(_ testing.TB, c *config) { c.Speed = 1e4 })
	get(t, s, "/").expect(t, http.StatusOK, "OK", "proxy-1; received-status=200")
	client := statesOf(s.Endpoint())
	machine := asyncVersion(t, s)
	arn := begin(t, client, machine, input)
	if again := begin(t, client, machine, input); again != arn {
		t.Errorf("started again it is %s, want %s", again, arn)
	}
	e, envelope := ended(t, client, arn)
	if envelope.Outcome != retry.Succeeded || envelope.StatusCode != http.StatusCreated || aws.ToString(e.StateMachineVersionArn) != machine {
		t.Errorf("it ended with %s %d by %s", envelope.Outcome, envelope.StatusCode, aws.ToString(e.StateMachineVersionArn))
	}
	if a := envelope.Made(); len(a) != 2 || a[0].Wait != 600_000 {
		t.Errorf("the attempts are %+v, want a wait of ten minutes between two", a)
	}
	if types := machinesOf(t, s); !slices.Equal(types, []string{"EXPRESS", "STANDARD"}) {
		t.Errorf("there are the state machines %v", types)
	}
}

func machinesOf(t testing.TB, s *stack.Stack) (types []string) {
	t.Helper()
	for _, m := range s.StepFunctions.StateMachines() {
		types = append(types, string(m.Type))
	}
	slices.Sort(types)
	return types
}

func TestAStandardExecutionIsStoppedWhileItsProxyGoesOn(t *testing.T) {
	t.Parallel()
	input := asked(t, http.MethodGet, time.Hour)
	listening := make(chan error, 1)
	upstream, called, release := held(func(w http.ResponseWriter, r *http.Request) {
		listening <- r.Context().Err()
		w.WriteHeader(http.StatusOK)
	})
	s := start(t, serve(t, upstream), from(twoMachines(t)))
	client := statesOf(s.Endpoint())
	arn := begin(t, client, asyncVersion(t, s), input)
	<-called
	stopped, err := client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn, Error: aws.String("Cancelled"), Cause: aws.String("by the caller")})
	if err != nil {
		t.Fatal(err)
	}
	close(release)
	e, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil || e.Status != types.ExecutionStatusAborted || aws.ToString(e.Error) != "Cancelled" || !aws.ToTime(e.StopDate).Equal(*stopped.StopDate) {
		t.Errorf("it is %+v %v, want it stopped at %v", e, err, stopped.StopDate)
	}
	if err := <-listening; err != nil {
		t.Errorf("when the upstream answers, the proxy does not listen any more: %v", err)
	}
}

// A stack that is closed in an orderly way leaves what it ran to the next one, too, and so does it with the list of the others.
func TestExecutionsThatAreKeptInAFileOutliveTheStack(t *testing.T) {
	t.Parallel()
	input := asked(t, http.MethodGet, time.Hour, exactly)
	file := filepath.Join(t.TempDir(), "data.db")
	kept := func(_ testing.TB, c *config) { c.DataFile = file }
	both := from(twoMachines(t))
	u := play(t, status(http.StatusOK), status(http.StatusServiceUnavailable, "Retry-After", "50"), respond(http.StatusCreated, "later"))
	first := start(t, u.URL, both, exactly, kept)
	get(t, first, "/")
	arn := begin(t, statesOf(first.Endpoint()), asyncVersion(t, first), input)
	for limit := time.Now().Add(time.Minute); len(u.received()) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nobody calls the upstream")
		}
	}
	first.Close()

	var prepared []asl.Status
	second := start(t, u.URL, both, exactly, kept, func(_ testing.TB, c *config) {
		c.Prepare = func(s *stack.Stack) {
			all, _ := s.StepFunctions.Executions("", "")
			for _, e := range all {
				prepared = append(prepared, e.Status)
			}
		}
	})
	if !slices.Equal(prepared, []asl.Status{asl.Running, asl.Succeeded}) {
		t.Errorf("before anything goes on there are executions that are %v", prepared)
	}
	if _, envelope := ended(t, statesOf(second.Endpoint()), arn); envelope.StatusCode != http.StatusCreated || envelope.Body != "later" {
		t.Errorf("it ended with %d %q, want 201 later", envelope.StatusCode, envelope.Body)
	}
}
