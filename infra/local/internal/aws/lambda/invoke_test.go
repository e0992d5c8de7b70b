package lambda_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

const echoARN = "arn:aws:lambda:us-east-1:000000000000:function:echo"

func TestAWarmProcessServesTheNextInvocation(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	first := invoke(t, host, `{}`)
	second := invoke(t, host, `{}`)
	if !first.Cold || second.Cold {
		t.Errorf("cold: first %v, second %v; want true, false", first.Cold, second.Cold)
	}
	if first.InitDuration <= 0 || second.InitDuration != 0 {
		t.Errorf("init durations: first %v, second %v; want some, none", first.InitDuration, second.InitDuration)
	}
	a, b := parseReport(t, first), parseReport(t, second)
	if a.PID != b.PID || b.Count != 2 {
		t.Errorf("the second invocation ran in process %d as number %d, want process %d, number 2", b.PID, b.Count, a.PID)
	}
}

func TestTheFunctionSeesItsInvocation(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "1"} }))
	before := time.Now().Unix()
	result, err := host.InvokeRequest(context.Background(), lambda.Request{
		Function: "echo:live", Payload: []byte(`{}`), ClientContext: []byte(`{"custom":{"tenant":"a"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := parseReport(t, result)
	if r.RequestID != result.RequestID || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(r.RequestID) {
		t.Errorf("the function's request id is %q, the result's %q; want one version 4 UUID", r.RequestID, result.RequestID)
	}
	if r.ARN != echoARN+":live" || result.ExecutedVersion != "1" {
		t.Errorf("ARN %q, version %q", r.ARN, result.ExecutedVersion)
	}
	if r.Custom["tenant"] != "a" {
		t.Errorf("client context %v", r.Custom)
	}
	if r.RemainingMS <= 0 || r.RemainingMS > time.Minute.Milliseconds() {
		t.Errorf("remaining time %d ms of a minute", r.RemainingMS)
	}
	m := regexp.MustCompile(`^Root=1-([0-9a-f]{8})-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`).FindStringSubmatch(r.Trace)
	if m == nil || r.Trace != result.TraceID {
		t.Fatalf("the function's trace is %q, the result's %q", r.Trace, result.TraceID)
	}
	if seconds := time.Now().Unix(); m[1] < hex(before) || m[1] > hex(seconds) {
		t.Errorf("the trace began at %s, want %s to %s", m[1], hex(before), hex(seconds))
	}
}

func hex(n int64) string {
	const digits = "0123456789abcdef"
	var b [8]byte
	for i := range b {
		b[7-i] = digits[n>>(4*i)&15]
	}
	return string(b[:])
}

func TestATraceIsPassedOn(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.TracingActive = true }))
	const given = "Root=1-65a6825f-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
	result, err := host.InvokeRequest(context.Background(), lambda.Request{Function: "echo", TraceID: given})
	if err != nil {
		t.Fatal(err)
	}
	if r := parseReport(t, result); r.Trace != given {
		t.Errorf("the function's trace is %q, want %q", r.Trace, given)
	}
	if r := invokeReport(t, host, ``); !strings.HasSuffix(r.Trace, ";Sampled=1") {
		t.Errorf("a trace that begins with active tracing is %q, want it sampled", r.Trace)
	}
}

func TestAFunctionIsFoundByEveryFormOfItsName(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "7"} }))
	for name, version := range map[string]string{
		"echo":                            "$LATEST",
		"echo:$LATEST":                    "$LATEST",
		"echo:live":                       "7",
		"echo:7":                          "7",
		"function:echo":                   "$LATEST",
		"function:echo:live":              "7",
		"000000000000:function:echo":      "$LATEST",
		"000000000000:function:echo:7":    "7",
		echoARN:                           "$LATEST",
		echoARN + ":live":                 "7",
		echoARN + ":" + "7":               "7",
		echoARN + ":" + "$LATEST":         "$LATEST",
		"000000000000:function:echo:live": "7",
	} {
		result, err := host.Invoke(context.Background(), name, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if result.ExecutedVersion != version {
			t.Errorf("%s ran version %s, want %s", name, result.ExecutedVersion, version)
		}
		if r := parseReport(t, result); !contains(r.Environment, "AWS_LAMBDA_FUNCTION_VERSION="+version) {
			t.Errorf("%s: the process of version %s was not told so", name, version)
		}
	}
}

func contains(list []string, item string) bool {
	for _, s := range list {
		if s == item {
			return true
		}
	}
	return false
}

func TestAnUnknownFunctionIsNotFound(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "7"} }))
	for name, arn := range map[string]string{
		"none":                       "arn:aws:lambda:us-east-1:000000000000:function:none",
		"echo:beta":                  echoARN + ":beta",
		"echo:8":                     echoARN + ":8",
		"111111111111:function:echo": "arn:aws:lambda:us-east-1:111111111111:function:echo",
		"arn:aws:lambda:eu-west-1:000000000000:function:echo": "arn:aws:lambda:eu-west-1:000000000000:function:echo",
		"arn:aws:lambda:us-east-1:000000000000:function:none": "arn:aws:lambda:us-east-1:000000000000:function:none",
	} {
		_, err := host.Invoke(context.Background(), name, nil)
		var e *lambda.Error
		if !errors.Is(err, lambda.ErrResourceNotFound) || !errors.As(err, &e) {
			t.Errorf("%s: %v, want a ResourceNotFoundException", name, err)
			continue
		}
		if e.ErrorCode() != "ResourceNotFoundException" || e.StatusCode != http.StatusNotFound || e.Message != "Function not found: "+arn {
			t.Errorf("%s: %d %s %q", name, e.StatusCode, e.Code, e.Message)
		}
	}
	if _, err := host.Invoke(context.Background(), "a:b:c:d", nil); !errors.Is(err, lambda.ErrInvalidParameterValue) {
		t.Errorf("a malformed name: %v, want an InvalidParameterValueException", err)
	}
}

func TestAPayloadHasToBeJSONAndSmallEnough(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	for _, payload := range []string{`{`, `{}{}`, "\x00", `{"a":}`} {
		if _, err := host.Invoke(context.Background(), "echo", []byte(payload)); !errors.Is(err, lambda.ErrInvalidRequestContent) {
			t.Errorf("payload %q: %v, want an InvalidRequestContentException", payload, err)
		}
	}
	_, err := host.Invoke(context.Background(), "echo", largePayload(lambda.MaxRequestPayload+1))
	var e *lambda.Error
	if !errors.Is(err, lambda.ErrRequestTooLarge) || !errors.As(err, &e) || e.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a payload of 6 MB and a byte: %v, want a RequestTooLargeException", err)
	}
	invokeReport(t, host, string(largePayload(lambda.MaxRequestPayload)))
	if got := invoke(t, host, ``).Payload; !bytes.Contains(got, []byte(`"count":2`)) {
		t.Errorf("without a payload the function gets {}; it answered %s", got)
	}
}

// largePayload returns JSON of n bytes.
func largePayload(n int) []byte {
	return []byte(`{"padding":"` + strings.Repeat("x", n-len(`{"padding":""}`)) + `"}`)
}

func TestAResponseMayHaveSixMegabytesAndAHundredBytes(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	result := invoke(t, host, `{"size":6291556}`)
	if result.FunctionError != "" || len(result.Payload) != lambda.MaxResponsePayload {
		t.Fatalf("a response of %d bytes: %q, %d bytes", lambda.MaxResponsePayload, result.FunctionError, len(result.Payload))
	}
	result = invoke(t, host, `{"size":6291557}`)
	if document := parseError(t, result); document.ErrorType != "Function.ResponseSizeTooLarge" ||
		document.ErrorMessage != "Response payload size exceeded maximum allowed payload size (6291556 bytes)." {
		t.Errorf("a response of one byte more: %+v", document)
	}
	if r := invokeReport(t, host, `{}`); r.Count != 1 {
		t.Errorf("invocation %d of its process: the runtime client exits after a refused response and is replaced", r.Count)
	}
}

func TestTheFunctionGoesOnWhenItsInvokerLeaves(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(1) }))
	path, release := hold(t)
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := host.Invoke(ctx, "echo", []byte(`{"log":["running"],"hold":"`+path+`"}`))
		left <- err
	}()
	eventually(t, "the function runs", func() bool { return len(logged.of(lambda.LogFunction)) == 1 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("Invoke returned %v, want context.Canceled", err)
	}
	if _, err := host.Invoke(context.Background(), "echo", nil); !errors.Is(err, lambda.ErrTooManyRequests) {
		t.Errorf("an invocation beside the one that was left: %v, want it throttled", err)
	}
	release()
	eventually(t, "the function has ended", func() bool { return len(logged.of(lambda.LogReport)) == 1 })
	if report := logged.of(lambda.LogReport)[0].Report; report.Status != lambda.StatusSuccess {
		t.Errorf("it ended with %+v", report)
	}
	eventually(t, "its concurrency is given back", func() bool {
		result, err := host.Invoke(context.Background(), "echo", nil)
		return err == nil && !result.Cold
	})
}

func TestAnInvocationDoesNotStartForACallerWhoHasLeft(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := host.Invoke(ctx, "echo", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if types := logged.types(); len(types) > 0 {
		t.Errorf("%v was logged", types)
	}
}

func TestAClosedHostRefuses(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	invoke(t, host, `{}`)
	if err := errors.Join(host.Close(), host.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Invoke(context.Background(), "echo", nil); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("Invoke: %v, want ErrClosed", err)
	}
	if err := host.Add(lambda.Function{Name: "other", Path: echoBinary}); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("Add: %v, want ErrClosed", err)
	}
}

func TestClosingEndsRunningInvocations(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	path, _ := hold(t)
	ended := make(chan error)
	go func() {
		_, err := host.Invoke(context.Background(), "echo", []byte(`{"log":["running"],"hold":"`+path+`"}`))
		ended <- err
	}()
	eventually(t, "the function runs", func() bool { return len(logged.of(lambda.LogFunction)) == 1 })
	host.Close()
	if err := <-ended; !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("the invocation ended with %v, want ErrClosed", err)
	}
}

func TestConfigurationProblemsAreToldTogether(t *testing.T) {
	_, err := lambda.NewHost(lambda.Config{AccountID: "12", IdleTimeout: -1, InitTimeout: -1, Concurrency: -1})
	for _, name := range []string{"AccountID", "IdleTimeout", "InitTimeout", "Concurrency"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	host := newHost(t, lambda.Config{})
	plain := t.TempDir() + "/bootstrap"
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = host.Add(lambda.Function{
		Name: "no spaces", ARN: "arn:aws:lambda:us-east-1:1:function:x:live", Path: plain, Timeout: time.Hour, MemorySize: 64,
		ReservedConcurrency: reserve(-1), LogFormat: "XML", LogLevel: "LOUD", Aliases: map[string]string{"1": "live"},
		Env: map[string]string{"AWS_REGION": "mars-1", "A=B": "", "BIG": strings.Repeat("x", 4096)},
	})
	for _, part := range []string{
		`Name is "no spaces"`, "ARN is", "Timeout is 1h0m0s", "MemorySize is 64", "ReservedConcurrency is -1", `LogFormat is "XML"`, `LogLevel is "LOUD"`,
		`Aliases["1"]: an alias`, `Aliases["1"] is "live"`, `Env["AWS_REGION"]: the name is reserved`, `Env["A=B"]`, "at most 4096",
		"is not an executable file",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if err := host.Add(lambda.Function{Name: "missing", Path: plain + "x"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing binary: %v", err)
	}
	if err := host.Add(echo()); err != nil {
		t.Fatal(err)
	}
	if err := host.Add(echo()); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("the same function twice: %v", err)
	}
}

func TestTheHostDoesNotShareTheDefinition(t *testing.T) {
	env := map[string]string{"A": "1"}
	n := reserve(1)
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Env, f.ReservedConcurrency = env, n }))
	env["A"], *n = "2", 0
	if r := invokeReport(t, host, `{}`); !contains(r.Environment, "A=1") {
		t.Error("the environment followed a change of the caller's map")
	}
	if fn := host.Functions()[0]; *fn.ReservedConcurrency != 1 || fn.MemorySize != lambda.DefaultMemorySize || fn.ARN != echoARN {
		t.Errorf("Functions returned %+v", fn)
	}
}
