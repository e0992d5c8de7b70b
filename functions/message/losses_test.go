package message_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// resolve follows a path into a JSON text, as the state machine does. Paths into the context object begin where the
// execution's input is.
func resolve(t testing.TB, text []byte, path string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return follow(value, path)
}

func follow(value any, path string) any {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "$$.Execution.Input"), "$")
	for _, name := range strings.Split(path, ".")[1:] {
		object, _ := value.(map[string]any)
		field, found := object[name]
		if !found {
			panic("there is no " + path) // the state machine fails then
		}
		value = field
	}
	return value
}

// resolved is what a Pass state with these Parameters makes of an envelope. Of the intrinsic functions it knows the one
// that counts.
func resolved(e *message.Envelope, parameters map[string]any) *message.Envelope {
	text, err := message.Marshal(e)
	if err != nil {
		panic(err)
	}
	var input any
	if err := json.Unmarshal(text, &input); err != nil {
		panic(err)
	}
	output, err := json.Marshal(evaluate(input, parameters))
	if err != nil {
		panic(err)
	}
	out := new(message.Envelope)
	if err := json.Unmarshal(output, out); err != nil {
		panic(err)
	}
	return out
}

func evaluate(input any, parameters map[string]any) map[string]any {
	output := map[string]any{}
	for name, value := range parameters {
		dynamic, isDynamic := strings.CutSuffix(name, ".$")
		switch value := value.(type) {
		case map[string]any:
			output[name] = evaluate(input, value)
		case string:
			counted, counts := strings.CutPrefix(value, "States.MathAdd(")
			switch {
			case !isDynamic:
				output[name] = value
			case counts:
				output[dynamic] = follow(input, strings.TrimSuffix(counted, ", 1)")).(float64) + 1
			default:
				output[dynamic] = follow(input, value)
			}
		default:
			output[name] = value
		}
	}
	return output
}

// afterLoss is what becomes of an envelope whose proxy was lost: a Catch adds the error, and the state Lost-i the loss.
func afterLoss(e *message.Envelope, proxy, name string) *message.Envelope {
	parameters := message.AfterLoss(proxy)
	losses := maps.Clone(parameters["losses"].(map[string]any))
	if losses["error.$"] != "$.fault.Error" {
		panic("the error is taken from elsewhere")
	}
	delete(losses, "error.$")
	losses["error"] = name
	parameters["losses"] = losses
	return resolved(e, parameters)
}

func TestAsManyProxiesMayBeLostAsThePolicyAllowsNetworkFailures(t *testing.T) {
	failure, limit := retry.Attempt{Kind: retry.NetworkFailure}, retry.Attempt{Kind: retry.RateLimit}
	for _, c := range []struct {
		policy      retry.Policy
		history     []retry.Attempt
		maxAttempts int
		allowed     int
	}{
		{retry.Policy{}, nil, 0, 2}, // three attempts: after the third loss it ends
		{retry.Policy{NetworkFailures: retry.Budget{Attempts: 1}}, nil, 0, 0},
		{retry.Policy{NetworkFailures: retry.Budget{Attempts: 8}}, nil, 0, 7},
		{retry.Policy{}, []retry.Attempt{failure, limit}, 0, 1},
		{retry.Policy{}, []retry.Attempt{failure, failure, failure}, 0, 0},
		{retry.Policy{}, nil, 2, 1},
		{retry.Policy{}, []retry.Attempt{limit}, 2, 0},
		{retry.Policy{}, nil, 9, 2},
	} {
		call := newCall("GET")
		call.MaxAttempts = c.maxAttempts
		losses := message.ToProxy(call, c.policy, c.history, 0).Losses
		if losses.Count != 0 || losses.Allowed != c.allowed {
			t.Errorf("after %d attempts, at most %d of them: %+v, want %d allowed", len(c.history), c.maxAttempts, losses, c.allowed)
		}
	}
}

func TestALossIsAddedToTheListWithTheNameOfItsErrorAndTheCallGoesOn(t *testing.T) {
	before := message.ToProxy(newCall("GET"), retry.Policy{}, []retry.Attempt{{Proxy: "proxy-3", Status: 429, Kind: retry.RateLimit}}, 2700*time.Millisecond)
	after := afterLoss(afterLoss(before, "proxy-1", "Sandbox.Timedout"), "proxy-2", "Runtime.ExitError")

	want := &message.Losses{
		Count: 2, Allowed: 2, Proxy: "proxy-2", Error: "Runtime.ExitError",
		Before: &message.Losses{Count: 1, Allowed: 2, Proxy: "proxy-1", Error: "Sandbox.Timedout", Before: &message.Losses{Allowed: 2}},
	}
	if diff := cmp.Diff(want, after.Losses); diff != "" {
		t.Errorf("the losses differ (-want +got):\n%s", diff)
	}
	if after.Outcome != retry.Again || after.Version != 1 || after.WaitSeconds != 0 || after.SleepMilliseconds != 0 {
		t.Errorf("the next proxy is not called at once: %+v", after)
	}
	if diff := cmp.Diff(before.Call, after.Call); diff != "" {
		t.Errorf("the call differs (-before +after):\n%s", diff)
	}
	var made []string
	for _, attempt := range after.Made() {
		made = append(made, attempt.Proxy+" "+string(attempt.Error)+" "+attempt.Details)
	}
	if diff := cmp.Diff([]string{"proxy-3  ", "proxy-1 proxy_internal_error Sandbox.Timedout", "proxy-2 proxy_internal_error Runtime.ExitError"}, made); diff != "" {
		t.Errorf("the attempts made differ (-want +got):\n%s", diff)
	}
}

func TestWhoGivesUpKeepsTheLossesAndNotTheCall(t *testing.T) {
	lost := afterLoss(message.ToProxy(newCall("GET"), retry.Policy{}, []retry.Attempt{{Proxy: "proxy-3", Status: 429}}, 0), "proxy-1", "Runtime.ExitError")
	end := resolved(lost, message.AfterLosses())
	if end.Outcome != retry.Failed || end.Error != message.ProxiesLost || end.Version != 1 || end.Call != nil || len(end.Attempts) != 1 || end.Losses.Count != 1 {
		t.Errorf("it ends with %+v", end)
	}
}

// none draws the shortest delay from every window.
func none() float64 { return 0 }

func TestWithoutALossThereIsNothingToJudge(t *testing.T) {
	history := []retry.Attempt{{Proxy: "proxy-3", Status: 429, Kind: retry.RateLimit}}
	attempts, decision := message.ToProxy(newCall("GET"), retry.Policy{}, history, 0).JudgeLosses(retry.Policy{}, retry.Request{Method: "GET"}, now, none)
	if diff := cmp.Diff(history, attempts); diff != "" || decision != (retry.Decision{}) {
		t.Errorf("decided was %+v on %+v", decision, attempts)
	}
}

func TestOnlyErrorsThatProveItSayThatAProxyWasNeverRun(t *testing.T) {
	for name, proof := range map[string]bool{
		"Lambda.TooManyRequestsException":  true,
		"Lambda.ResourceNotFoundException": true,
		"Lambda.EC2ThrottledException":     true,
		"Lambda.RequestTooLargeException":  true,
		"VersionError":                     true,

		"Lambda.ServiceException":                false,
		"Lambda.SdkClientException":              false,
		"Lambda.ClientExecutionTimeoutException": false,
		"Lambda.AWSLambdaException":              false,
		"Lambda.Unknown":                         false,
		"Sandbox.Timedout":                       false,
		"Runtime.ExitError":                      false,
		"States.Timeout":                         false,
		"States.TaskFailed":                      false,
		"errorString":                            false,
		"":                                       false,
	} {
		lost := afterLoss(message.ToProxy(newCall("POST"), retry.Policy{}, nil, 0), "proxy-1", name)
		_, decision := lost.JudgeLosses(retry.Policy{}, retry.Request{Method: "POST"}, now, none)
		if goesOn := decision.Outcome == retry.Again; goesOn != proof {
			t.Errorf("after %s a POST goes on: %v, want %v (%s)", name, goesOn, proof, decision.Why)
		}
	}
}

func TestTheListEndsWithTheLossThatEndsTheRequest(t *testing.T) {
	e := message.ToProxy(newCall("GET"), retry.Policy{}, nil, 0)
	for _, name := range []string{"Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"} {
		e = afterLoss(e, "proxy-1", name)
	}
	for method, want := range map[string]int{"GET": 3, "POST": 1} {
		attempts, decision := e.JudgeLosses(retry.Policy{}, retry.Request{Method: method}, now, none)
		if len(attempts) != want || decision.Outcome != retry.Failed {
			t.Errorf("%s: %d attempts are told, want %d, and then comes %s", method, len(attempts), want, decision.Outcome)
		}
	}
	if len(e.Attempts) != 0 || !slices.Equal([]string{"Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"}, detailsOf(e.Made())) {
		t.Errorf("judging changed the envelope: %+v", e)
	}
}

func detailsOf(attempts []retry.Attempt) (details []string) {
	for _, attempt := range attempts {
		details = append(details, attempt.Details)
	}
	return details
}
