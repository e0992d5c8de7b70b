package stacktest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

// policy is a retry policy as JSON.
func policy(text string) stacktest.Option { return stacktest.Policy(json.RawMessage(text)) }

// exact waits as long as the upstream asks and not longer, so that tests can say how long that is.
const exact = `"scope":"per-account","rateLimits":{"jitter":"none"},"serverErrors":{"jitter":"none"}`

func TestAWaitOfMinutesIsWaitedForAndSpendsNoTime(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{`+exact+`}`))
	bench.Upstream(stacktest.Answer(429, "Retry-After", "240"), stacktest.Answer(200).Body("done"))
	run := bench.Run(stacktest.Get("/orders").Wait(280 * time.Second))

	if run.StatusCode != 200 || run.Body != "done" || run.Status != stacktest.Succeeded {
		t.Errorf("the answer is %d %q after an execution that %s", run.StatusCode, run.Body, run.Status)
	}
	if diff := cmp.Diff([]stacktest.Wait{{State: "Wait-1", Duration: 240 * time.Second}}, run.Waits); diff != "" {
		t.Errorf("the waits are not what was expected (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Enter", "Proxy-1", "Check-1", "Wait-1", "Proxy-2", "Check-2", "Succeeded"}, run.States); diff != "" {
		t.Errorf("the states are not what was expected (-want +got):\n%s", diff)
	}
	if run.Elapsed != 240*time.Second {
		t.Errorf("it took %v", run.Elapsed)
	}
	want := []stacktest.Attempt{
		{Proxy: "proxy-1", Status: 429, Wait: 240 * time.Second, Why: "429: Retry-After asks for 4m0s, and backoff above it up to 4m0s, jitter none"},
		{Proxy: "proxy-2", Status: 200, At: 240 * time.Second, Why: "200: final"},
	}
	if diff := cmp.Diff(want, run.Attempts); diff != "" {
		t.Errorf("the attempts are not what was expected (-want +got):\n%s", diff)
	}
}

// A Wait state knows whole seconds; the rest passes on the virtual clock all the same.
func TestWhatIsLeftOfASecondPassesToo(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{"serverErrors":{"base":"1500ms","max":"1h","jitter":"none"}}`))
	bench.Upstream(stacktest.Answer(500), stacktest.Answer(502), stacktest.Answer(204))
	run := bench.Run(stacktest.Get("/"))
	if diff := cmp.Diff([]stacktest.Wait{{State: "Wait-1", Duration: time.Second}, {State: "Wait-2", Duration: 3 * time.Second}}, run.Waits); diff != "" {
		t.Errorf("the waits are not what was expected (-want +got):\n%s", diff)
	}
	if run.StatusCode != 204 || run.Elapsed != 4500*time.Millisecond {
		t.Errorf("the answer is %d after %v, want 204 after 4.5s", run.StatusCode, run.Elapsed)
	}
}

func TestAWaitBeyondTheDeadlineIsToldAtOnce(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{"scope":"per-account"}`))
	bench.Upstream(stacktest.Answer(429, "Retry-After", "3600"))
	run := bench.Run(stacktest.Get("/"))
	if run.StatusCode != 429 || run.Header.Get("Retry-After") != "3600" {
		t.Errorf("the answer is %d with Retry-After %q, want 429 and 3600", run.StatusCode, run.Header.Get("Retry-After"))
	}
	if run.Status != stacktest.Succeeded || run.Error != "DeadlineExceeded" || len(run.Waits) != 0 || run.Elapsed != 0 {
		t.Errorf("the execution %s with %q after %v, want SUCCEEDED with DeadlineExceeded at once", run.Status, run.Error, run.Elapsed)
	}
}

// The caller stands outside of the virtual time: what they are told counts from their own present.
func TestWhatIsLeftOfALimitIsToldFromTheEndOfTheRun(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{`+exact+`}`))
	bench.Upstream(stacktest.Answer(429, "Retry-After", "100"), stacktest.Answer(429, "Retry-After", "3600"))
	run := bench.Run(stacktest.Get("/").Wait(200 * time.Second))
	if run.StatusCode != 429 || run.Header.Get("Retry-After") != "3600" || run.Elapsed != 100*time.Second {
		t.Errorf("the answer is %d with Retry-After %q after %v, want 429 and 3600 after 100 s", run.StatusCode, run.Header.Get("Retry-After"), run.Elapsed)
	}
}

func TestWaitsUseUpTheDeadline(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{`+exact+`}`))
	limited := stacktest.Answer(429, "Retry-After", "100")
	bench.Upstream(limited, limited, limited)
	run := bench.Run(stacktest.Get("/").Wait(250 * time.Second))
	if run.StatusCode != 429 || run.Error != "DeadlineExceeded" || run.Elapsed != 200*time.Second {
		t.Errorf("the answer is %d (%s) after %v, want 429 (DeadlineExceeded) after 200 s", run.StatusCode, run.Error, run.Elapsed)
	}
}

// hours lets requests wait for longer than an Express workflow can.
const hours = `{` + exact + `,"retryAfterMax":"24h","deadline":"24h","maxDeadline":"24h"}`

func TestAnHourDoesNotFitIntoAnExpressWorkflow(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(hours))
	bench.Upstream(stacktest.Answer(429, "Retry-After", "3600"))
	run := bench.Run(stacktest.Get("/"))
	if run.StatusCode != 504 || run.Status != stacktest.TimedOut || run.Elapsed > 5*time.Minute {
		t.Errorf("the answer is %d after an execution that %s after %v, want 504, TIMED_OUT and at most five minutes", run.StatusCode, run.Status, run.Elapsed)
	}
}

// standard is the stack with its workflow made a Standard one without a timeout.
func standard(t *testing.T) string {
	return edited(t, `"StateMachineType": "EXPRESS"`, `"StateMachineType": "STANDARD"`, `\}\},\\"TimeoutSeconds\\":[0-9]+`, `}}`)
}

func TestAnHourOfAStandardWorkflowPassesAndTheNextProxySucceeds(t *testing.T) {
	t.Parallel()
	express := stacktest.Load(t, cdkOut(t), policy(hours))
	express.Upstream(stacktest.Answer(200))
	input := express.Run(stacktest.Get("/orders")).Input

	bench := stacktest.Load(t, standard(t), policy(hours))
	bench.Upstream(stacktest.Answer(429, "Retry-After", "3600"), stacktest.Answer(200).Body("done"))
	execution := bench.Machine("ProxyStateMachine").Run(input, nil)
	if diff := cmp.Diff([]stacktest.Wait{{State: "Wait-1", Duration: time.Hour}}, execution.Waits); diff != "" {
		t.Errorf("the waits are not what was expected (-want +got):\n%s", diff)
	}
	if a := execution.Attempts; execution.Status != stacktest.Succeeded || len(a) != 2 || a[1].Proxy != "proxy-2" || a[1].Status != 200 || a[1].At != time.Hour {
		t.Errorf("the execution %s with the attempts %+v, want a success of proxy-2 after an hour", execution.Status, a)
	}
}

// Executions of a Standard workflow are started by StartExecution, at the endpoint that the gateway finds, and are waited for
// by nobody. Each waits for itself, while a request may be under way.
func TestHoursOfExecutionsInAStackPassInNoTime(t *testing.T) {
	t.Parallel()
	express := stacktest.Load(t, cdkOut(t), policy(hours))
	express.Upstream(stacktest.Answer(200))
	input := express.Run(stacktest.Get("/orders")).Input

	bench := stacktest.Load(t, standard(t), policy(hours))
	var mu sync.Mutex
	asked := map[string]bool{}
	bench.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if before := asked[r.URL.Path]; !before {
			asked[r.URL.Path] = true
			w.Header().Set("Retry-After", strings.TrimPrefix(r.URL.Path, "/"))
			w.WriteHeader(429)
		}
	}))
	client := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(bench.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	machines, err := client.ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, wait := range []time.Duration{time.Hour, 3 * time.Hour, 20 * time.Hour} {
		all.Go(func() {
			name := fmt.Sprintf("%064x", int(wait.Seconds()))
			_, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{
				StateMachineArn: machines.StateMachines[0].StateMachineArn, Name: &name,
				Input: aws.String(strings.Replace(input, "/orders", fmt.Sprintf("/%d", int(wait.Seconds())), 1)),
			})
			if err != nil {
				t.Error(err)
				return
			}
			execution := bench.Execution(name)
			if execution.Status != stacktest.Succeeded || execution.Error != "" || execution.Elapsed != wait || len(execution.Attempts) != 2 {
				t.Errorf("the execution %s (%s) after %v with the attempts %+v, want SUCCEEDED after %v", execution.Status, execution.Error, execution.Elapsed, execution.Attempts, wait)
			}
		})
	}
	all.Wait()
}

func TestTenHoursPassAtTheLevelOfTheDefinition(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, standard(t))
	execution := bench.Machine("ProxyStateMachine").Run(`{}`, map[string]stacktest.Task{
		"proxy-1": func(string) (string, error) { return `{"outcome":"retry","waitSeconds":36000}`, nil },
		"proxy-2": func(payload string) (string, error) {
			if payload != `{"outcome":"retry","waitSeconds":36000}` {
				t.Errorf("proxy-2 was sent %s", payload)
			}
			return `{"outcome":"succeeded","waitSeconds":0}`, nil
		},
	})
	if execution.Status != stacktest.Succeeded || execution.Elapsed != 10*time.Hour {
		t.Errorf("the execution %s after %v, want SUCCEEDED after ten hours", execution.Status, execution.Elapsed)
	}
}

func TestRequestsAtTheSameTimeWaitEachForThemselves(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{`+exact+`}`))
	var mu sync.Mutex
	asked := map[string]int{}
	bench.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		first := asked[r.URL.Path] == 1
		mu.Unlock()
		if first {
			w.Header().Set("Retry-After", strings.TrimPrefix(r.URL.Path, "/"))
			w.WriteHeader(429)
		}
	}))
	var all sync.WaitGroup
	for i := range 8 {
		wait := time.Duration(10*(i+1)) * time.Second
		all.Go(func() {
			run := bench.Run(stacktest.Get(fmt.Sprintf("/%d", int(wait.Seconds()))).Wait(2 * wait))
			if run.StatusCode != 200 || run.Elapsed != wait || len(run.Attempts) != 2 || run.Attempts[0].Wait != wait {
				t.Errorf("the answer is %d after %v with the attempts %+v, want 200 after %v", run.StatusCode, run.Elapsed, run.Attempts, wait)
			}
		})
	}
	all.Wait()
	if n := len(bench.Received()); n != 16 {
		t.Errorf("the upstream was asked %d times, want 16", n)
	}
}

func TestDuplicatesAtTheSameTimeAreOneRequest(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), policy(`{`+exact+`}`))
	bench.Upstream(stacktest.Answer(503, "Retry-After", "30"), stacktest.Answer(201).Body("made"))
	runs := make([]*stacktest.Run, 5)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() { runs[i] = bench.Run(stacktest.Post("/orders", "{}").IdempotencyKey("order-1")) })
	}
	all.Wait()
	executed := 0
	for _, run := range runs {
		if run.StatusCode != 201 || run.Body != "made" {
			t.Errorf("the answer is %d %q, want 201 made", run.StatusCode, run.Body)
		}
		replayed := run.Header.Get("Idempotent-Replayed") == "true"
		if replayed == (run.Status != "") {
			t.Errorf("an answer with Idempotent-Replayed %t has an execution that %q", replayed, run.Status)
		}
		if !replayed {
			executed++
			if !slices.Contains(run.States, "Record") {
				t.Errorf("the states are %v, want Record among them", run.States)
			}
		}
	}
	if executed != 1 {
		t.Errorf("%d requests were carried out, want 1", executed)
	}
}
