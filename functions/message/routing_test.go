package message_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A machine goes its way as the state machine does: it knows the outcome, the seconds to wait, and how many proxies were
// lost.
type machine struct {
	proxies int

	// invoke calls the proxy of a number. An error means that it was lost.
	invoke func(number int, input []byte) ([]byte, error)

	// invoked and waited are what came of it: the numbers of the proxies in their order, and the seconds before each.
	invoked []int
	waited  []int
}

// tooMany ends a machine that would not end by itself.
const tooMany = 1000

var errEndless = errors.New("the machine does not end")

func (m *machine) run(input []byte) (*message.Envelope, error) {
	var waited int
	for number := 1; len(m.invoked) < tooMany; number = number%m.proxies + 1 {
		m.invoked, m.waited = append(m.invoked, number), append(m.waited, waited)
		output, lost := m.invoke(number, input)
		if lost != nil {
			output = input
		}
		envelope := new(message.Envelope)
		if err := json.Unmarshal(output, envelope); err != nil {
			return nil, err
		}
		if lost != nil {
			envelope = afterLoss(envelope, message.ProxyName(number), lost.Error())
		}
		switch {
		case envelope.Outcome != retry.Again:
			return envelope, nil
		case envelope.Losses.Count > envelope.Losses.Allowed:
			return resolved(envelope, message.AfterLosses()), nil
		}
		var err error
		if input, err = message.Marshal(envelope); err != nil {
			return nil, err
		}
		waited = int(envelope.WaitSeconds)
	}
	return nil, errEndless
}

var errCrash = errors.New("Runtime.ExitError")

func TestIfAllProxiesCrashTheMachineEndsAfterThePolicysAttempts(t *testing.T) {
	for proxies := 1; proxies <= 20; proxies++ {
		for _, attempts := range []int{1, 2, 3, 8} {
			policy := retry.Policy{NetworkFailures: retry.Budget{Attempts: attempts}}
			input, err := message.Marshal(message.ToProxy(newCall("GET"), policy, nil, 0))
			if err != nil {
				t.Fatal(err)
			}
			m := machine{proxies: proxies, invoke: func(int, []byte) ([]byte, error) { return nil, errCrash }}
			end, err := m.run(input)
			if err != nil {
				t.Fatalf("%d proxies, %d attempts: %v", proxies, attempts, err)
			}
			if len(m.invoked) != attempts || end.Outcome != retry.Failed || end.Error != message.ProxiesLost {
				t.Errorf("%d proxies, %d attempts: ended with %s, %s after %d", proxies, attempts, end.Outcome, end.Error, len(m.invoked))
			}
			told, decision := end.JudgeLosses(policy, newCall("GET").ForPolicy(proxies), now, none)
			if len(told) != attempts || decision.Reason != retry.AttemptsExhausted {
				t.Errorf("%d proxies, %d attempts: told are %d, and the reason is %s", proxies, attempts, len(told), decision.Reason)
			}
			for i, attempt := range told {
				if attempt.Proxy != message.ProxyName(m.invoked[i]) {
					t.Errorf("%d proxies: attempt %d was made by proxy-%d and is told of %s", proxies, i+1, m.invoked[i], attempt.Proxy)
				}
			}
		}
	}
}

// TestCrashesAndAnswersInAnyOrderEndWithinTheBudgets lets proxies that judge as the real ones do crash, be refused an
// invocation, or be answered, in any order.
func TestCrashesAndAnswersInAnyOrderEndWithinTheBudgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proxies := rapid.IntRange(1, 20).Draw(t, "proxies")
		attempts := rapid.IntRange(1, 9)
		policy := retry.Policy{
			RateLimits:      retry.Budget{Attempts: attempts.Draw(t, "rate limits")},
			ServerErrors:    retry.Budget{Attempts: attempts.Draw(t, "server errors")},
			NetworkFailures: retry.Budget{Attempts: attempts.Draw(t, "network failures")},
		}.WithDefaults()
		random := func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") }
		clock := now
		call := newCall(rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"))
		request := call.ForPolicy(proxies)
		spent := make(map[retry.Kind]int)
		var who []string     // was invoked and did not only hand on what it judged
		mayHaveSent := false // a proxy crashed, or met a server error
		ended := false       // a loss was judged to be the last

		m := machine{proxies: proxies}
		m.invoke = func(number int, input []byte) ([]byte, error) {
			clock = clock.Add(time.Duration(m.waited[len(m.waited)-1])*time.Second + 10*time.Millisecond)
			fate := rapid.SampledFrom([]string{"crashes", "is refused", "200", "429", "500", "503"}).Draw(t, "fate")
			if fate == "crashes" || fate == "is refused" {
				who = append(who, message.ProxyName(number))
				if fate == "is refused" {
					return nil, errors.New("Lambda.TooManyRequestsException")
				}
				mayHaveSent = true
				return nil, errCrash
			}
			var in message.Envelope
			if err := json.Unmarshal(input, &in); err != nil {
				return nil, err
			}
			history, loss := in.JudgeLosses(policy, request, clock, random)
			switch {
			case loss.Outcome == retry.Failed:
				ended = true
				return message.Marshal(message.Failure("request-1", loss.Reason, history))
			case loss.Delay >= time.Second:
				return message.Marshal(message.ToProxy(call, policy, history, loss.Delay))
			}
			if mayHaveSent && call.Request.Method == "POST" {
				t.Fatalf("a POST is sent although one may have been sent before: %+v", history)
			}
			who = append(who, message.ProxyName(number))
			if len(history) != len(who)-1 {
				t.Fatalf("the %dth proxy is told of %d attempts", len(who), len(history))
			}
			status, _ := strconv.Atoi(fate)
			mayHaveSent = mayHaveSent || status >= 500
			result := retry.Result{Status: status, Received: clock}
			decision := policy.Next(request, history, result, random)
			told := append(history, result.Attempt(message.ProxyName(number), clock, decision))
			if decision.Outcome != retry.Again {
				return message.Marshal(message.Answer("request-1", decision.Outcome, decision.Reason, message.Response{StatusCode: status}, told))
			}
			return message.Marshal(message.ToProxy(call, policy, told, decision.Delay))
		}

		input, err := message.Marshal(message.ToProxy(call, policy, nil, 0))
		if err != nil {
			t.Fatal(err)
		}
		end, err := m.run(input)
		if err != nil {
			t.Fatal(err)
		}
		told, reason := end.Attempts, end.Error
		if end.Error == message.ProxiesLost {
			var loss retry.Decision
			told, loss = end.JudgeLosses(policy, request, clock, random)
			reason = loss.Reason
			ended = true
		}
		// Proxies that were lost after the one whose loss ends it could not have sent anything.
		if len(told) != len(who) && !(ended && len(told) < len(who)) {
			t.Fatalf("%v were invoked, %d attempts are told", who, len(told))
		}
		for i, attempt := range told {
			if attempt.Proxy != who[i] {
				t.Fatalf("attempt %d was made by %s and is told of %s", i+1, who[i], attempt.Proxy)
			}
			if attempt.Kind != "" {
				spent[attempt.Kind]++
			}
		}
		exhausted := false
		for kind, budget := range map[retry.Kind]int{
			retry.RateLimit:      policy.RateLimits.Attempts,
			retry.ServerError:    policy.ServerErrors.Attempts,
			retry.NetworkFailure: policy.NetworkFailures.Attempts,
		} {
			if spent[kind] > budget {
				t.Fatalf("%d attempts ended in a %s, of %d that are allowed", spent[kind], kind, budget)
			}
			exhausted = exhausted || spent[kind] == budget
		}
		if reason == retry.AttemptsExhausted && !exhausted {
			t.Fatalf("no budget is used up, but it ended with %s: %v", reason, spent)
		}
		if end.Outcome == retry.Failed && reason == "" {
			t.Fatalf("it ended for no reason: %+v", told)
		}
	})
}
