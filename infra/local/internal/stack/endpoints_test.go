package stack_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAnOperationOfAnotherServiceIsRefusedByName(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t))
	request, err := http.NewRequest(http.MethodPost, s.Endpoint(), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "AmazonSNS.Publish")
	response, err := caller.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "AmazonSNS.Publish") {
		t.Errorf("the answer is %d %s, want 501 and the operation named", response.StatusCode, body)
	}
}

func TestTheEndpointsAnswerProgramsOfThisMachineOnly(t *testing.T) {
	t.Parallel()
	var called atomic.Bool
	s := start(t, play(t, func(w http.ResponseWriter, _ *http.Request) { called.Store(true) }).URL, secrets(map[string]string{"orders/token": "hidden"}))
	invoke := "/2015-03-31/functions/" + s.Template.Functions[0].Name + "/invocations"
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"Host", "rebound.example", http.StatusMisdirectedRequest},
		{"Host", "192.168.1.2:8788", http.StatusMisdirectedRequest},
		{"Origin", "https://other.example", http.StatusForbidden},
		{"Origin", s.URL(), http.StatusForbidden}, // what the upstream answers is shown there
		{"Origin", "null", http.StatusForbidden},
		{"Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"Sec-Fetch-Site", "same-site", http.StatusForbidden},
	} {
		for _, asked := range []struct{ method, path, target string }{
			{http.MethodGet, "/2015-03-31/functions", ""},
			{http.MethodPost, invoke, ""},
			{http.MethodPost, "/", "AWSStepFunctions.ListStateMachines"},
			{http.MethodPost, "/", "DynamoDB_20120810.ListTables"},
			{http.MethodPost, "/", "secretsmanager.GetSecretValue"},
			{http.MethodPost, "/", "AmazonSQS.ListQueues"},
			{http.MethodGet, "/other", ""},
		} {
			request, err := http.NewRequest(asked.method, s.Endpoint()+asked.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Amz-Target", asked.target)
			if request.Header.Set(c.name, c.value); c.name == "Host" {
				request.Host = c.value
			}
			response, err := caller.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			var refusal struct {
				Type    string `json:"__type"`
				Message string
			}
			if err := json.Unmarshal(body, &refusal); err != nil || response.StatusCode != c.status ||
				refusal.Type != "AccessDeniedException" || !strings.Contains(refusal.Message, "The AWS endpoints are") {
				t.Errorf("%s %s %s with %s %s is answered with %d %s, want %d", asked.method, asked.path, asked.target, c.name, c.value, response.StatusCode, body, c.status)
			}
		}
	}
	if called.Load() {
		t.Error("the upstream was called all the same")
	}
}

func TestAURLOnAllAddressesIsNamedByOneThatCanBeOpened(t *testing.T) {
	t.Parallel()
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		s := start(t, play(t, status(http.StatusOK)).URL, func(t testing.TB, c *config) {
			listener, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			c.Listener = listener
		})
		if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
			t.Errorf("with %s the URL is %s", address, s.URL())
		}
		if got := get(t, s, "/"); got.Status != http.StatusOK {
			t.Errorf("%s is answered with %d", s.URL(), got.Status)
		}
	}
}

func TestTheFolderOfTheDataFileIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new", "folder")
	start(t, closedAddress(t), func(_ testing.TB, c *config) { c.DataFile = filepath.Join(folder, "records.db") })
	for path, want := range map[string]os.FileMode{filepath.Dir(folder): 0o700, folder: 0o700, filepath.Join(folder, "records.db"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("the mode of %s is %o, want %o", path, got, want)
		}
	}
}

// inspected is what testdata/whatran.py finds with boto3.
type inspected struct {
	Machines   []struct{ Name, Type string }
	Executions []struct {
		Name, Status, Error string
		Input, Output       string
		Events              []string
	}
	Tables    []string
	Items     []map[string]map[string]string
	Functions []string
	Invoked   map[string]any
}

func TestAnUnmodifiedSDKSeesWhatRan(t *testing.T) {
	t.Parallel()
	u := play(t, status(429), status(200), status(500))
	s := start(t, u.URL)
	python := withBoto3(t)
	get(t, s, "/first", "Idempotency-Key", `"k"`)
	send(t, s, http.MethodPost, "/second", "")

	output, err := exec.Command(python, "testdata/whatran.py", s.Endpoint()).Output()
	if err != nil {
		t.Fatalf("testdata/whatran.py: %v\n%s", err, stderr(err))
	}
	var found inspected
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatalf("testdata/whatran.py wrote %s: %v", output, err)
	}

	if len(found.Machines) == 0 || !slices.ContainsFunc(found.Machines, func(m struct{ Name, Type string }) bool { return m.Type == "EXPRESS" }) {
		t.Errorf("the state machines are %+v, want an Express one among them", found.Machines)
	}
	if len(found.Executions) != 2 {
		t.Fatalf("there are %d executions, want 2", len(found.Executions))
	}
	second, first := found.Executions[0], found.Executions[1]
	if first.Status != "SUCCEEDED" || !strings.Contains(first.Input, `"/first"`) || !strings.Contains(first.Output, `"statusCode":200`) {
		t.Errorf("the first execution is %+v", first)
	}
	if second.Status != "SUCCEEDED" || !strings.Contains(second.Output, `"error":"UnsafeToRepeat"`) || !strings.Contains(second.Input, `"/second"`) {
		t.Errorf("the second execution is %+v", second)
	}
	if n := len(slices.DeleteFunc(slices.Clone(first.Events), func(e string) bool { return e != "LambdaFunctionScheduled" && e != "TaskScheduled" })); n < 2 {
		t.Errorf("the history of the first execution is %v, want two calls of proxies in it", first.Events)
	}
	if first.Events[0] != "ExecutionStarted" || first.Events[len(first.Events)-1] != "ExecutionSucceeded" {
		t.Errorf("the history of the first execution is %v", first.Events)
	}
	found.Items = slices.DeleteFunc(found.Items, func(i map[string]map[string]string) bool {
		return strings.HasPrefix(i["id"]["S"], "gate#") // what is known of the upstream
	})
	if len(found.Tables) != 1 || len(found.Items) != 1 || found.Items[0]["status"]["S"] != "COMPLETED" {
		t.Errorf("the tables are %v and the items %v, want one record that is completed", found.Tables, found.Items)
	}
	short := []string{}
	for _, name := range found.Functions {
		short = append(short, s.ShortName(name))
	}
	if !slices.Equal(short, []string{"gateway", "proxy-1", "proxy-2", "proxy-3"}) {
		t.Errorf("the functions are %v", found.Functions)
	}
	if found.Invoked["statusCode"] != float64(http.StatusBadRequest) {
		t.Errorf("the gateway, invoked with a request that cannot be forwarded, answered %v, want a 400", found.Invoked)
	}
}

// withBoto3 finds a python3 that has boto3.
func withBoto3(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not on the PATH; with it and boto3 this test reads what ran through an unmodified SDK")
	}
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 has no boto3; with it this test reads what ran through an unmodified SDK")
	}
	return python
}

func stderr(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

func TestTheAWSCLISeesWhatRan(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("aws is not on the PATH; with the AWS CLI this test reads what ran through it")
	}
	u := play(t, status(200))
	s := start(t, u.URL, secrets(map[string]string{"orders/token": "s3cret"}))
	get(t, s, "/")
	execution := lastExecution(t, s)
	for _, c := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"stepfunctions", "list-executions", "--state-machine-arn", execution.StateMachineARN, "--query", "executions[].status"}, "SUCCEEDED"},
		{[]string{"lambda", "list-functions", "--query", "length(Functions)"}, "4"},
		{[]string{"secretsmanager", "get-secret-value", "--secret-id", "orders/token", "--query", "SecretString"}, "s3cret"},
	} {
		command := exec.Command(cli, append(c.arguments, "--endpoint-url", s.Endpoint(), "--output", "text")...)
		command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "NO_PROXY=127.0.0.1")
		output, err := command.Output()
		if err != nil {
			t.Errorf("aws %s: %v\n%s", strings.Join(c.arguments, " "), err, stderr(err))
		} else if got := strings.TrimSpace(string(output)); got != c.want {
			t.Errorf("aws %s gives %q, want %q", strings.Join(c.arguments, " "), got, c.want)
		}
	}
}
