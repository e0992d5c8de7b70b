package attemptlog_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

func TestExecutionsThatNobodyAskedForThroughTheURLAreForgotten(t *testing.T) {
	printer := attemptlog.New(io.Discard)
	printer.Middleware(http.NotFoundHandler())
	for i := range 5000 {
		execution := stepfunctions.Execution{ARN: fmt.Sprint("arn-", i), Name: fmt.Sprint("execution-", i), Input: "{}"}
		printer.Event(execution, asl.Event{Type: asl.ExecutionStarted, Timestamp: time.Now()})
		execution.Status = asl.Succeeded
		printer.Event(execution, asl.Event{Type: asl.ExecutionSucceeded, Timestamp: time.Now()})
	}
	if n := printer.Remembered(); n > 2000 {
		t.Errorf("%d things are remembered of them", n)
	}
}

func TestARequestThatStartsNoExecutionHasALineToo(t *testing.T) {
	var out strings.Builder
	printer := attemptlog.New(&out)
	url := printer.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-RequestId", r.Header.Get("Test-Id"))
		switch r.URL.Path {
		case "/replayed":
			w.Header().Set("Idempotent-Replayed", "true")
			w.WriteHeader(http.StatusCreated)
		case "/refused":
			w.WriteHeader(http.StatusUnprocessableEntity)
		case "/carried-out":
			execution := stepfunctions.Execution{ARN: "arn", Name: r.Header.Get("Test-Id"), Input: "{}"}
			printer.Event(execution, asl.Event{Type: asl.ExecutionStarted, Timestamp: time.Now()})
			execution.Status = asl.Succeeded
			printer.Event(execution, asl.Event{Type: asl.ExecutionSucceeded, Timestamp: time.Now()})
		}
	}))
	for id, path := range map[string]string{"11111111-a": "/replayed?token=secret", "22222222-b": "/refused", "33333333-c": "/carried-out", "44444444-d": "/-/executions/secret", "55555555-e": "/-/executions/secret/response"} {
		request := httptest.NewRequest("POST", path, nil)
		request.Header.Set("Test-Id", id)
		url.ServeHTTP(httptest.NewRecorder(), request)
	}
	for _, want := range []string{
		"11111111  POST /replayed -> 201 from the idempotency record in ",
		"22222222  POST /refused -> 422 without an attempt in ",
		"44444444  POST /-/executions/… -> 200 without an attempt in ",
		"55555555  POST /-/executions/…/response -> 200 without an attempt in ",
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("there is not one line with %q in:\n%s", want, out.String())
		}
	}
	if got := strings.Count(out.String(), "33333333"); got != 1 {
		t.Errorf("%d lines tell of the request that was carried out, want the one for its end:\n%s", got, out.String())
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("the query or an id is printed:\n%s", out.String())
	}
}

func TestARequestCannotWriteToTheTerminal(t *testing.T) {
	var out strings.Builder
	url := attemptlog.New(&out).Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Requestid", "\x1b[2J\u009b")
	}))
	request := httptest.NewRequest("GET", "/", nil)
	request.Method, request.URL.Path = hostile, "/"+hostile
	url.ServeHTTP(httptest.NewRecorder(), request)
	if got := out.String(); strings.ContainsFunc(strings.TrimSuffix(got, "\n"), func(c rune) bool { return !unicode.IsPrint(c) }) {
		t.Errorf("it printed %q", got)
	}
	if got, want := out.String(), `  \x1b[2J\u009b  `+escaped+" /%1B%5B2J"; !strings.Contains(got, want) {
		t.Errorf("it printed %q, want %q in it", got, want)
	}
}
