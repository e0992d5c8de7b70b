// Command echo is a function that does what its event says: the hard cases of a Lambda host, in one binary.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// event says what to do. The order of fields is the order in which it is done.
type event struct {
	Log      []string        `json:"log"`      // lines for standard output
	LogError []string        `json:"logError"` // lines for standard error
	Print    string          `json:"print"`    // text for standard output, as it is
	SleepMS  int             `json:"sleepMs"`
	Hold     string          `json:"hold"`  // wait until this file is gone
	Touch    string          `json:"touch"` // create this file first of all
	Child    bool            `json:"child"` // leave a child process behind
	Exit     *int            `json:"exit"`
	Panic    string          `json:"panic"`
	Error    string          `json:"error"`
	Size     int             `json:"size"`     // answer with a string of this size
	Answer   json.RawMessage `json:"answer"`   // answer with this
	Event    bool            `json:"event"`    // answer with the event
	LingerMS int             `json:"lingerMs"` // stay busy this long after the answer
	Later    string          `json:"later"`    // a line for standard output, 300 ms after the event came
}

// report is the answer where the event asks for no other.
type report struct {
	PID         int               `json:"pid"`
	Count       int               `json:"count"` // invocations of this process
	RequestID   string            `json:"requestId"`
	ARN         string            `json:"arn"`
	Trace       string            `json:"trace"`
	Custom      map[string]string `json:"custom"`
	RemainingMS int64             `json:"remainingMs"`
	Args        []string          `json:"args"`
	Directory   string            `json:"directory"`
	Environment []string          `json:"environment"`
	Child       int               `json:"child"`
}

// lingering is an answer that the runtime client closes after sending it.
type lingering struct {
	io.Reader
	time.Duration
}

// MarshalJSON fails: the runtime client reads what it cannot marshal.
func (l lingering) MarshalJSON() ([]byte, error) { return nil, errors.New("not JSON") }

func (l lingering) Close() error {
	time.Sleep(l.Duration)
	return nil
}

var count int

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	count++
	var e event
	// An event of a function URL brings the instructions as its body.
	var received struct {
		Body    string `json:"body"`
		RawPath string `json:"rawPath"`
	}
	json.Unmarshal(raw, &received)
	if received.RawPath != "" {
		if !strings.HasPrefix(received.Body, "{") {
			return map[string]any{"statusCode": 200, "body": string(raw)}, nil
		}
		if err := json.Unmarshal([]byte(received.Body), &e); err != nil {
			return nil, err
		}
	} else if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	if e.Touch != "" {
		if err := os.WriteFile(e.Touch, nil, 0o600); err != nil {
			return nil, err
		}
	}
	for _, line := range e.Log {
		fmt.Println(line)
	}
	for _, line := range e.LogError {
		fmt.Fprintln(os.Stderr, line)
	}
	fmt.Print(e.Print)
	if e.Later != "" {
		time.AfterFunc(300*time.Millisecond, func() { fmt.Println(e.Later) })
	}
	time.Sleep(time.Duration(e.SleepMS) * time.Millisecond)
	for e.Hold != "" {
		if _, err := os.Stat(e.Hold); errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	r := report{PID: os.Getpid(), Count: count, Args: os.Args, Environment: os.Environ(), Trace: os.Getenv("_X_AMZN_TRACE_ID")}
	r.Directory, _ = os.Getwd()
	if e.Child {
		child := exec.Command("/bin/sleep", "600")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return nil, err
		}
		r.Child = child.Process.Pid
	}
	if e.Exit != nil {
		os.Exit(*e.Exit)
	}
	if e.Panic != "" {
		panic(e.Panic)
	}
	if e.Error != "" {
		return nil, errors.New(e.Error)
	}
	if e.Size > 0 {
		return strings.Repeat("x", e.Size-2), nil
	}
	if e.Answer != nil {
		return e.Answer, nil
	}
	if e.Event {
		return raw, nil
	}
	if e.LingerMS > 0 {
		return lingering{strings.NewReader(`"answered"`), time.Duration(e.LingerMS) * time.Millisecond}, nil
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.RequestID, r.ARN, r.Custom = lc.AwsRequestID, lc.InvokedFunctionArn, lc.ClientContext.Custom
	}
	if deadline, ok := ctx.Deadline(); ok {
		r.RemainingMS = time.Until(deadline).Milliseconds()
	}
	return r, nil
}

// initialise fails in the way that the environment asks for.
func initialise() {
	if path := os.Getenv("INIT_LOG"); path != "" {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprintln(file, "init")
			file.Close()
		}
	}
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Fprintln(os.Stderr, "the configuration is missing")
		os.Exit(3)
	case "exit-once":
		if err := os.Mkdir(os.Getenv("INIT_ONCE"), 0o700); err == nil {
			os.Exit(3)
		}
	case "hang":
		time.Sleep(time.Hour)
	case "report":
		api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
		request, _ := http.NewRequest(http.MethodPost, api, bytes.NewBufferString(`{"errorType":"Config.Missing","errorMessage":"TABLE is not set"}`))
		request.Header.Set("Lambda-Runtime-Function-Error-Type", "Config.Missing")
		if response, err := http.DefaultClient.Do(request); err == nil {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		os.Exit(1)
	case "misuse":
		misuse("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime")
	}
}

// misuse calls the Runtime API in the wrong order, printing what it answers, and serves one invocation.
func misuse(api string) {
	call := func(method, path, body string, field ...string) *http.Response {
		request, _ := http.NewRequest(method, api+path, strings.NewReader(body))
		switch {
		case len(field) == 0:
		case field[0] == "Host":
			request.Host = field[1]
		default:
			request.Header.Set(field[0], field[1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if path != "/invocation/next" || response.StatusCode != http.StatusOK {
			var document struct{ ErrorType string }
			json.Unmarshal(content, &document)
			fmt.Println(method, path[strings.LastIndex(path, "/")+1:], response.StatusCode, document.ErrorType)
		}
		return response
	}
	call("POST", "/invocation/none/response", `{}`)
	id := call("GET", "/invocation/next", "").Header.Get("Lambda-Runtime-Aws-Request-Id")
	call("GET", "/invocation/next", "")
	call("POST", "/init/error", `{}`)
	call("POST", "/invocation/another/response", `{}`)
	call("POST", "/invocation/"+id+"/response", `"first"`)
	call("POST", "/invocation/"+id+"/response", `"second"`)
	call("POST", "/invocation/"+id+"/error", `{}`)
	call("GET", "/nonsense", "")
	call("GET", "/invocation/next", "", "Host", "rebound.example")
	call("GET", "/invocation/next", "", "Origin", "https://other.example")
	call("GET", "/invocation/next", "", "Sec-Fetch-Site", "cross-site")
}

func main() {
	initialise()
	lambda.Start(handle)
}
