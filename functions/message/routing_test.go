package message_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A machine goes its way as the state machine does: it knows JSON, and of it the outcome, the seconds to wait, and
// where the answer is.
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
		var state map[string]any
		if output, lost := m.invoke(number, input); lost == nil {
			state = map[string]any{"answer": json.RawMessage(output)}
		} else {
			if err := json.Unmarshal(input, &state); err != nil {
				return nil, err
			}
			state["answer"].(map[string]any)["fault"] = map[string]any{"Error": "Runtime.ExitError", "Cause": lost.Error()}
		}
		answer, err := json.Marshal(state["answer"])
		if err != nil {
			return nil, err
		}
		envelope := new(message.Envelope)
		if err := json.Unmarshal(answer, envelope); err != nil {
			return nil, err
		}
		if envelope.Outcome != retry.Again {
			return envelope, nil
		}
		input, waited = answer, int(envelope.WaitSeconds)
	}
	return nil, errEndless
}

var errCrash = errors.New("the proxy crashed")

func TestIfAllProxiesCrashTheMachineEndsAfterThePolicysAttempts(t *testing.T) {
	for proxies := 1; proxies <= 20; proxies++ {
		for _, attempts := range []int{1, 2, 3, 8} {
			policy := retry.Policy{NetworkFailures: retry.Budget{Attempts: attempts}}
			input, err := message.Marshal(newDispatch(newCall("GET"), proxies, policy).Envelope())
			if err != nil {
				t.Fatal(err)
			}
			m := machine{proxies: proxies, invoke: func(int, []byte) ([]byte, error) { return nil, errCrash }}
			end, err := m.run(input)
			if err != nil {
				t.Fatalf("%d proxies, %d attempts: %v", proxies, attempts, err)
			}
			if len(m.invoked) != attempts || end.Outcome != retry.Failed || end.Error != retry.AttemptsExhausted {
				t.Errorf("%d proxies, %d attempts: ended with %s, %s after %d", proxies, attempts, end.Outcome, end.Error, len(m.invoked))
			}
			for i, attempt := range end.Attempts {
				if attempt.Proxy != message.ProxyName(m.invoked[i]) {
					t.Errorf("%d proxies: attempt %d was made by proxy-%d and is told of %s", proxies, i+1, m.invoked[i], attempt.Proxy)
				}
			}
		}
	}
}

// TestCrashesAndAnswersInAnyOrderEndWithinTheBudgets lets proxies that judge as the real ones do crash, or be answered,
// in any order.
func TestCrashesAndAnswersInAnyOrderEndWithinTheBudgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ring := message.Ring(rapid.IntRange(1, 20).Draw(t, "proxies"))
		attempts := rapid.IntRange(1, 9)
		policy := retry.Policy{
			RateLimits:      retry.Budget{Attempts: attempts.Draw(t, "rate limits")},
			ServerErrors:    retry.Budget{Attempts: attempts.Draw(t, "server errors")},
			NetworkFailures: retry.Budget{Attempts: attempts.Draw(t, "network failures")},
		}.WithDefaults()
		random := func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") }
		clock := now
		call := newCall(rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"))
		spent := make(map[retry.Kind]int)
		var told []retry.Attempt

		m := machine{proxies: int(ring)}
		m.invoke = func(number int, input []byte) ([]byte, error) {
			clock = clock.Add(time.Duration(m.waited[len(m.waited)-1])*time.Second + 10*time.Millisecond)
			status := rapid.SampledFrom([]int{0, 200, 429, 500, 503}).Draw(t, "status, or a crash")
			if status == 0 {
				spent[retry.NetworkFailure]++
				return nil, errCrash
			}
			var in message.Envelope
			if err := json.Unmarshal(input, &in); err != nil {
				return nil, err
			}
			call, history := in.TheCall(), in.History()
			if len(history) != len(m.invoked)-1 {
				t.Fatalf("the %dth proxy is told of %d attempts", len(m.invoked), len(history))
			}
			result := retry.Result{Status: status, Received: clock}
			decision := policy.Next(call.ForPolicy(ring), history, result, random)
			spent[decision.Kind]++
			told = append(history, result.Attempt(message.ProxyName(number), clock, decision))
			if decision.Outcome != retry.Again {
				return message.Marshal(&message.Envelope{Outcome: decision.Outcome, Error: decision.Reason, Attempts: told})
			}
			next := *call
			next.To = ring.After(message.ProxyName(number))
			return message.Marshal(message.Dispatch{
				Policy: policy, Ring: ring, Call: &next, History: told, Delay: decision.Delay, Now: clock, Random: random,
			}.Envelope())
		}

		input, err := message.Marshal(message.Dispatch{Policy: policy, Ring: ring, Call: call, Now: clock, Random: random}.Envelope())
		if err != nil {
			t.Fatal(err)
		}
		end, err := m.run(input)
		if err != nil {
			t.Fatal(err)
		}
		if len(end.Attempts) != len(m.invoked) {
			t.Fatalf("%d proxies were invoked, %d attempts are told", len(m.invoked), len(end.Attempts))
		}
		for i, attempt := range end.Attempts {
			if attempt.Proxy != message.ProxyName(m.invoked[i]) {
				t.Fatalf("attempt %d was made by proxy-%d and is told of %s", i+1, m.invoked[i], attempt.Proxy)
			}
		}
		for kind, budget := range map[retry.Kind]int{
			retry.RateLimit:      policy.RateLimits.Attempts,
			retry.ServerError:    policy.ServerErrors.Attempts,
			retry.NetworkFailure: policy.NetworkFailures.Attempts,
		} {
			if spent[kind] > budget {
				t.Fatalf("%d attempts ended in a %s, of %d that are allowed", spent[kind], kind, budget)
			}
			if end.Error == retry.AttemptsExhausted && spent[kind] == budget {
				return
			}
		}
		if end.Error == retry.AttemptsExhausted {
			t.Fatalf("no budget is used up, but it ended with %s: %v", end.Error, spent)
		}
	})
}
