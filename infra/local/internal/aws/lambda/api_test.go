package lambda_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// apiServer serves the host's API.
func apiServer(t *testing.T, host *lambda.Host) string {
	server := httptest.NewServer(host)
	t.Cleanup(server.Close)
	return server.URL + "/2015-03-31/functions"
}

// call sends a request and returns the response with its body read.
func call(t testing.TB, method, url string, header http.Header, body []byte) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, content
}

func TestInvokeOverHTTPAnswersWithThePayload(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "2"} }))
	api := apiServer(t, host)
	const trace = "Root=1-65a6825f-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
	response, body := call(t, "POST", api+"/echo/invocations?Qualifier=live", http.Header{
		"X-Amz-Log-Type":       {"Tail"},
		"X-Amz-Client-Context": {base64.StdEncoding.EncodeToString([]byte(`{"custom":{"a":"b"}}`))},
		"X-Amzn-Trace-Id":      {trace},
	}, []byte(`{"log":["hello"]}`))
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %s", response.Status, body)
	}
	var r report
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	header := response.Header
	if r.RequestID != header.Get("X-Amzn-RequestId") || r.Trace != trace || header.Get("X-Amzn-Trace-Id") != trace ||
		header.Get("X-Amz-Executed-Version") != "2" || r.Custom["a"] != "b" || header.Get("X-Amz-Function-Error") != "" {
		t.Errorf("report %+v, headers %v", r, header)
	}
	if tail, err := base64.StdEncoding.DecodeString(header.Get("X-Amz-Log-Result")); err != nil || !strings.Contains(string(tail), "\nhello\n") {
		t.Errorf("log tail %q, %v", tail, err)
	}
}

func TestAFunctionErrorOverHTTPIsA200WithAHeader(t *testing.T) {
	api := apiServer(t, newHost(t, lambda.Config{}, echo()))
	response, body := call(t, "POST", api+"/echo/invocations", nil, []byte(`{"exit":1}`))
	if response.StatusCode != http.StatusOK || response.Header.Get("X-Amz-Function-Error") != "Unhandled" || !bytes.Contains(body, []byte("Runtime.ExitError")) {
		t.Errorf("%s %v %s", response.Status, response.Header, body)
	}
}

func TestInvocationTypes(t *testing.T) {
	var logged logs
	api := apiServer(t, newHost(t, lambda.Config{Log: logged.add}, echo()))
	response, body := call(t, "POST", api+"/echo/invocations", http.Header{"X-Amz-Invocation-Type": {"DryRun"}}, nil)
	if response.StatusCode != http.StatusNoContent || len(body) > 0 || len(logged.types()) > 0 {
		t.Errorf("DryRun: %s %s, logged %v", response.Status, body, logged.types())
	}
	path, release := hold(t)
	response, body = call(t, "POST", api+"/echo/invocations", http.Header{"X-Amz-Invocation-Type": {"Event"}}, []byte(`{"hold":"`+path+`","log":["ran"]}`))
	if response.StatusCode != http.StatusAccepted || len(body) > 0 {
		t.Errorf("Event: %s %s", response.Status, body)
	}
	release() // the answer came before the function could end
	eventually(t, "the event was handled", func() bool { return len(logged.of(lambda.LogReport)) == 1 })
	if lines := logged.of(lambda.LogFunction); len(lines) != 1 || lines[0].RequestID != response.Header.Get("X-Amzn-RequestId") {
		t.Errorf("logged %+v", lines)
	}
	response, body = call(t, "POST", api+"/echo/invocations", http.Header{"X-Amz-Invocation-Type": {"Event"}}, largePayload(lambda.MaxEventPayload+1))
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an event of more than 1 MB: %s %s", response.Status, body)
	}
}

func TestAnEventWaitsForConcurrencyInsteadOfBeingThrottled(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(1) }))
	api := apiServer(t, host)
	results, release := heldInvocations(t, host, &logged, 1)
	for range 3 {
		if response, body := call(t, "POST", api+"/echo/invocations", http.Header{"X-Amz-Invocation-Type": {"Event"}}, nil); response.StatusCode != http.StatusAccepted {
			t.Errorf("%s %s", response.Status, body)
		}
	}
	if n := len(logged.of(lambda.LogStart)); n != 1 {
		t.Errorf("%d invocations have started beside the one that is reserved", n-1)
	}
	release()
	<-results
	eventually(t, "the events were handled", func() bool { return len(logged.of(lambda.LogReport)) == 4 })
	if n := len(logged.of(lambda.LogInitStart)); n != 1 {
		t.Errorf("%d processes were started, want 1", n)
	}
}

func TestErrorsOfTheAPIAreInItsForm(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(), echo(func(f *lambda.Function) { f.Name = "stopped"; f.ReservedConcurrency = reserve(0) }))
	api := apiServer(t, host)
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		body         []byte
		status       int
		code, detail string
	}{
		"unknown function":  {"POST", "/none/invocations", nil, nil, 404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none"},
		"unknown alias":     {"POST", "/echo/invocations?Qualifier=x", nil, nil, 404, "ResourceNotFoundException", "function:echo:x"},
		"two qualifiers":    {"POST", "/echo:a/invocations?Qualifier=b", nil, nil, 400, "InvalidParameterValueException", "differs"},
		"bad qualifier":     {"POST", "/echo/invocations?Qualifier=a%20b", nil, nil, 400, "InvalidParameterValueException", "a b"},
		"throttled":         {"POST", "/stopped/invocations", nil, nil, 429, "TooManyRequestsException", lambda.ReasonReservedConcurrency},
		"not JSON":          {"POST", "/echo/invocations", nil, []byte(`{`), 400, "InvalidRequestContentException", "Could not parse request body into json"},
		"too large":         {"POST", "/echo/invocations", nil, largePayload(lambda.MaxRequestPayload + 1), 413, "RequestTooLargeException", "6291456"},
		"bad context":       {"POST", "/echo/invocations", http.Header{"X-Amz-Client-Context": {"%"}}, nil, 400, "InvalidParameterValueException", "base64"},
		"bad type":          {"POST", "/echo/invocations", http.Header{"X-Amz-Invocation-Type": {"Later"}}, nil, 400, "InvalidParameterValueException", "Later"},
		"get unknown":       {"GET", "/none", nil, nil, 404, "ResourceNotFoundException", "none"},
		"configuration of…": {"GET", "/none/configuration", nil, nil, 404, "ResourceNotFoundException", "none"},
		"bad page":          {"GET", "?MaxItems=0", nil, nil, 400, "InvalidParameterValueException", "MaxItems"},
		"bad marker":        {"GET", "?Marker=9", nil, nil, 400, "InvalidParameterValueException", "Marker"},
		"bad version":       {"GET", "?FunctionVersion=1", nil, nil, 400, "InvalidParameterValueException", "FunctionVersion"},
		"other operation":   {"DELETE", "/echo", nil, nil, 404, "UnknownOperationException", "DELETE"},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := call(t, test.method, api+test.path, test.header, test.body)
			var document struct{ Type, Message, Reason string }
			if err := json.Unmarshal(body, &document); err != nil {
				t.Fatalf("%s: %s", response.Status, body)
			}
			if response.StatusCode != test.status || response.Header.Get("X-Amzn-ErrorType") != test.code || document.Type != "User" ||
				!strings.Contains(document.Message+document.Reason, test.detail) {
				t.Errorf("%s %s %s", response.Status, response.Header.Get("X-Amzn-ErrorType"), body)
			}
		})
	}
}

func TestFunctionsAreListedAndDescribed(t *testing.T) {
	host := newHost(t, lambda.Config{},
		echo(func(f *lambda.Function) {
			f.Env = map[string]string{"TABLE": "records"}
			f.ReservedConcurrency = reserve(3)
			f.Timeout = 1500 * time.Millisecond
			f.Aliases = map[string]string{"live": "1"}
			f.TracingActive = true
		}),
		echo(func(f *lambda.Function) { f.Name = "another" }))
	api := apiServer(t, host)
	type page struct {
		Functions  []struct{ FunctionName, FunctionArn, Version string }
		NextMarker string
	}
	list := func(query string) (p page) {
		_, body := call(t, "GET", api+"/"+query, nil, nil)
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatalf("%s: %s", err, body)
		}
		return p
	}
	if p := list(""); len(p.Functions) != 2 || p.Functions[0].FunctionName != "another" || p.Functions[1].FunctionArn != echoARN || p.NextMarker != "" {
		t.Errorf("%+v", p)
	}
	first := list("?MaxItems=1")
	if second := list("?MaxItems=1&Marker=" + first.NextMarker); second.Functions[0].FunctionName != "echo" || second.NextMarker != "" {
		t.Errorf("the second page is %+v", second)
	}
	if p := list("?FunctionVersion=ALL"); len(p.Functions) != 3 || p.Functions[2].FunctionArn != echoARN+":1" || p.Functions[2].Version != "1" {
		t.Errorf("all versions: %+v", p)
	}

	_, body := call(t, "GET", api+"/"+strings.ReplaceAll(echoARN, ":", "%3A")+"?Qualifier=live", nil, nil)
	var got struct {
		Configuration struct {
			FunctionName, FunctionArn, Runtime, Version, State string
			Timeout, MemorySize                                int
			CodeSize                                           int64
			CodeSha256                                         string
			Environment                                        struct{ Variables map[string]string }
			TracingConfig                                      struct{ Mode string }
		}
		Concurrency struct{ ReservedConcurrentExecutions int }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(echoBinary)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Configuration
	if c.FunctionName != "echo" || c.FunctionArn != echoARN+":live" || c.Runtime != "provided.al2023" || c.Version != "1" || c.State != "Active" ||
		c.Timeout != 2 || c.MemorySize != 128 || c.CodeSize != info.Size() || c.TracingConfig.Mode != "Active" || got.Concurrency.ReservedConcurrentExecutions != 3 {
		t.Errorf("%s", body)
	}
	if diff := cmp.Diff(map[string]string{"TABLE": "records"}, c.Environment.Variables); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	_, configuration := call(t, "GET", api+"/echo/configuration?Qualifier=live", nil, nil)
	if !bytes.Contains(body, bytes.TrimSpace(configuration)) {
		t.Errorf("GetFunctionConfiguration answers %s, GetFunction %s", configuration, body)
	}
}

func TestTheAWSCLIListsAndInvokes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the aws command is not tried")
	}
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws CLI is not installed")
	}
	api := apiServer(t, newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "1"} })))
	run := func(arguments ...string) string {
		t.Helper()
		command := exec.Command(aws, append([]string{"lambda", "--endpoint-url", strings.TrimSuffix(api, "/2015-03-31/functions")}, arguments...)...)
		command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("aws lambda %v: %v\n%s", arguments, err, output)
		}
		return string(output)
	}
	if output := run("list-functions", "--query", "Functions[].FunctionName", "--output", "text"); strings.TrimSpace(output) != "echo" {
		t.Errorf("list-functions: %s", output)
	}
	file, payload := filepath.Join(t.TempDir(), "out.json"), filepath.Join(t.TempDir(), "in.json")
	if err := os.WriteFile(payload, []byte(`{"answer":{"ok":true}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	output := run("invoke", "--function-name", "echo:live", "--payload", "fileb://"+payload, "--log-type", "Tail", file)
	if content, err := os.ReadFile(file); err != nil || string(content) != `{"ok":true}` {
		t.Errorf("invoke wrote %s, %v", content, err)
	}
	for _, want := range []string{`"StatusCode": 200`, `"ExecutedVersion": "1"`, `"LogResult"`} {
		if !strings.Contains(output, want) {
			t.Errorf("invoke does not say %s: %s", want, output)
		}
	}
	if output := run("get-function", "--function-name", "echo", "--query", "Configuration.State"); !strings.Contains(output, "Active") {
		t.Errorf("get-function: %s", output)
	}
}

func TestTheAccountTellsItsConcurrency(t *testing.T) {
	t.Parallel()
	host := newHost(t, lambda.Config{Concurrency: 50}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(20) }))
	for _, path := range []string{"/2016-08-19/account-settings", "/2016-08-19/account-settings/"} {
		w := httptest.NewRecorder()
		host.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		const want = `{"AccountLimit":{"ConcurrentExecutions":50,"UnreservedConcurrentExecutions":30},"AccountUsage":{"FunctionCount":1}}`
		if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != want {
			t.Errorf("%s is answered with %d %s", path, w.Code, got)
		}
	}
}
