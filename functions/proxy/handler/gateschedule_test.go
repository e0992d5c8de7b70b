package handler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// anyAnswer draws what an upstream answers: a status, and how many seconds it asks for.
func anyAnswer() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{
		"429", "429", "429 1", "429 3", "429 20", "429 90", "503", "503 2", "503 40", "500", "403 5", "409 1", "404", "200",
	})
}

// anyRequest draws a request, by whose credential a limit may be counted.
func anyRequest(rt *rapid.T) message.Request {
	r := message.Request{Method: rapid.SampledFrom([]string{http.MethodGet, http.MethodPost}).Draw(rt, "method"), Path: "/orders"}
	if rapid.Bool().Draw(rt, "credential") {
		r.Headers = map[string]string{"authorization": "Bearer x"}
	}
	return r
}

// anyScope draws what the policy says that limits are counted by.
func anyScope(rt *rapid.T) retry.Scope {
	return rapid.SampledFrom([]retry.Scope{retry.Inferred, retry.PerAddress, retry.PerAccount}).Draw(rt, "scope")
}

// drawn is a request, and what it meets.
type drawn struct {
	answers []string
	request message.Request
	async   bool
	scope   retry.Scope
	waiting int64
	seed    uint64
}

// A fataler is a test, or a property of one.
type fataler interface {
	Fatalf(format string, args ...any)
}

// With flow control, a gate that cannot be used has one thing more: no quick try is made that nobody counts. So it is as if there
// were no gate, and the policy took limits to be by account.
func TestAGateThatCannotBeUsedAndOneThatObservesAreAsIfThereWereNone(t *testing.T) {
	t.Parallel()
	throttled := errors.New("throttled")
	mode := func(m gate.Mode) message.Gate { return message.Gate{FlowControl: message.GateFlowControl{Mode: m}} }
	for name, c := range map[string]struct {
		gate       message.Gate
		fail       error
		quickTries bool
	}{
		"the store fails":                       {adaptive, throttled, false},
		"the store fails, without flow control": {mode(gate.Off), throttled, true},
		"it observes":                           {mode(gate.Observe), nil, true},
		"it observes, and the store fails, too": {mode(gate.Observe), throttled, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waits, quickTries := 0, 0
			compare := func(ft fataler, d drawn) {
				// play is the way of a request, without a gate or with one.
				play := func(without bool) (told []*message.Envelope, calls []time.Duration) {
					policy := retry.Policy{Scope: d.scope}
					if without && !c.quickTries && policy.Scope == retry.Inferred {
						policy.Scope = retry.PerAccount
					}
					r, u := answering(t, c.gate, policy, d.answers...)
					// The same at the same time, however often it was drawn before.
					r.chance = func() float64 { return rand.New(rand.NewPCG(d.seed, uint64(r.Now().UnixMilli()))).Float64() }
					r.store.Put(r.queue(d.waiting, 2))
					r.store.Before = func(string) error { return c.fail }
					in := r.let(d.request)
					if d.async {
						_, in = r.keep(t, d.request)
					}
					if without {
						in.Call.Gate = nil
						for _, p := range r.proxies {
							p.gate = nil
						}
					}
					for n := range 100 {
						out := r.at(t, n%3+1, in)
						in = *carried(t, out)
						r.Sleep(t.Context(), time.Duration(out.WaitSeconds)*time.Second)
						leads := out.Call != nil
						if out.Gate = nil; leads {
							out.Call.Gate = nil
							waits++
						}
						if n := len(out.Attempts); n > 0 && strings.Contains(out.Attempts[n-1].Why, "quick try") {
							quickTries++
						}
						if told = append(told, out); !leads {
							return told, u.calls()
						}
					}
					ft.Fatalf("the state machine goes round and round")
					return nil, nil
				}
				want, wantCalls := play(true)
				got, gotCalls := play(false)
				if diff := cmp.Diff(want, got); diff != "" {
					ft.Fatalf("the state machine is told something else (-without a gate +with one):\n%s", diff)
				}
				if diff := cmp.Diff(wantCalls, gotCalls); diff != "" {
					ft.Fatalf("the upstream is called at other times (-without a gate +with one):\n%s", diff)
				}
			}
			// A limit of which nothing is known, which whatever is drawn below may not have in it.
			compare(t, drawn{answers: []string{"429 1", "429 1", "200"}, request: message.Request{Method: http.MethodGet, Path: "/orders"}, scope: retry.Inferred})
			rapid.Check(t, func(rt *rapid.T) {
				compare(rt, drawn{
					rapid.SliceOfN(anyAnswer(), 1, 8).Draw(rt, "answers"), anyRequest(rt), rapid.Bool().Draw(rt, "async"), anyScope(rt),
					rapid.Int64Range(0, 300).Draw(rt, "waiting"), rapid.Uint64().Draw(rt, "seed"),
				})
			})
			if waits == 0 || (quickTries > 0) != c.quickTries {
				t.Errorf("the schedules have %d more attempts, and %d quick tries; whether there are any should be %v", waits, quickTries, c.quickTries)
			}
		})
	}
}

// anyItem draws what others may have left in the item, whether it makes sense or not.
func anyItem(rt *rapid.T, now time.Time) gate.Item {
	ms := now.UnixMilli()
	around := rapid.Custom(func(rt *rapid.T) int64 {
		return max(0, ms+rapid.Int64Range(-100_000, 100_000).Draw(rt, "around"))
	})
	moment := rapid.OneOf(rapid.Just(int64(0)), around, rapid.Just(int64(1)))
	count := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 500), rapid.Int64Range(0, 1<<40))
	i := gate.Item{}
	for _, a := range gate.Attributes() {
		number := count
		switch a {
		case "since", "opened", "activeUntil", "still", "roundStart", "probe", "failuresSince":
			number = moment
		case "sure", "outage":
			number = rapid.Int64Range(0, 1)
		case "shards":
			number = rapid.Int64Range(0, 3)
		}
		*i.Field(a) = number.Draw(rt, string(a))
	}
	return i
}

// asked is what an answer asked of whoever comes again: until when, of which proxy, and whether as a limit.
type asked struct {
	until time.Time
	proxy string
	limit bool
}

// TestNoAttemptGoesOutEarlyWhateverTheGateSays plays requests, one after another, against upstreams that answer anything. Their
// gates find nonsense in the item, and a store that fails, loses replies, or is slow. The test keeps books of its own of what the
// answers asked for.
func TestNoAttemptGoesOutEarlyWhateverTheGateSays(t *testing.T) {
	t.Parallel()
	var plays, attempts, hops, nonsense, faults, quickTries, limits int
	rapid.Check(t, func(rt *rapid.T) {
		scope := anyScope(rt)
		request := anyRequest(rt)
		var answer string
		r, u := answeringAs(t, adaptive, retry.Policy{Scope: scope}, func(int) string { return answer })
		seed := rapid.Uint64().Draw(rt, "seed")
		r.chance, r.lot = rand.New(rand.NewPCG(seed, 1)).Float64, rand.New(rand.NewPCG(seed, 2)).Float64
		trouble := rapid.IntRange(0, 3).Draw(rt, "trouble")
		if trouble > 0 {
			nonsense++
			r.store.Put(anyItem(rt, r.Now()))
		}
		r.store.Before = func(string) error {
			switch n := rapid.IntRange(0, 19).Draw(rt, "store"); {
			case trouble == 0:
			case n == 17 || trouble == 3 && n > 9:
				faults++
				return errors.New("throttled")
			case n == 13:
				r.Sleep(t.Context(), 50*time.Millisecond)
			case n == 11:
				nonsense++
				r.store.Put(anyItem(rt, r.Now()))
			}
			return nil
		}

		for range rapid.IntRange(1, 4).Draw(rt, "requests") {
			plays++
			in, async := r.let(request), rapid.Bool().Draw(rt, "async")
			if async {
				_, in = r.keep(t, request)
			} else if rapid.Bool().Draw(rt, "ticket") {
				in.Call.Gate.State = gate.State{Ticket: rapid.Int64Range(1, 600).Draw(rt, "number"), Born: 77, Due: rapid.Bool().Draw(rt, "due")}
			}
			var books []asked
			for n := 0; ; n++ {
				if n == 2000 {
					rt.Fatal("the state machine goes round and round")
				}
				proxy := r.proxies[n%3]
				answer = anyAnswer().Draw(rt, "answer")
				before := len(u.calls())
				made := in.Attempts
				if async {
					x, err := proxy.executions.Get(t.Context(), "e1")
					if err != nil {
						rt.Fatal(err)
					}
					made = x.Attempts
				}
				out, err := proxy.Handle(t.Context(), *carried(t, &in))
				if err != nil {
					rt.Fatal(err)
				}
				hops++
				if problem := uncarriable(out); problem != "" {
					rt.Fatal(problem)
				}
				if calls := u.calls(); len(calls) > before {
					attempts++
					at := morning.Add(calls[len(calls)-1])
					deadline := in.Call.DeadlineTime()
					if at.Add(retry.MinimumAttemptTime).After(deadline) {
						rt.Fatalf("an attempt begins %v before the deadline", deadline.Sub(at))
					}
					for _, b := range books {
						if !at.Before(b.until) {
							continue
						}
						last := made[len(made)-1]
						switch quick := strings.Contains(last.Why, "quick try") || strings.Contains(last.Why, "by address"); {
						case !b.limit || b.proxy == proxy.name || scope == retry.PerAccount:
							rt.Fatalf("%s calls %v before what %s was asked for; the attempt before says %q", proxy.name, b.until.Sub(at), b.proxy, last.Why)
						case scope == retry.Inferred && !quick && !wasByAddress(made):
							rt.Fatalf("%s calls %v before what %s was asked for, and that is no quick try: %q", proxy.name, b.until.Sub(at), b.proxy, last.Why)
						case scope == retry.Inferred:
							quickTries++
						}
					}
					var status, seconds int
					fmt.Sscan(answer, &status, &seconds)
					if limit := status == 429 || status == 403; seconds > 0 {
						books = append(books, asked{at.Add(time.Duration(seconds) * time.Second), proxy.name, limit})
						limits++
					}
				}
				if out.Outcome != retry.Again {
					break
				}
				if arrives := r.Now().Add(delayOf(out)); arrives.After(in.Call.DeadlineTime()) {
					rt.Fatalf("the next proxy is called %v after the deadline", arrives.Sub(in.Call.DeadlineTime()))
				}
				r.Sleep(t.Context(), time.Duration(out.WaitSeconds)*time.Second)
				in = *carried(t, out)
			}
			r.Sleep(t.Context(), time.Duration(rapid.IntRange(0, 5000).Draw(rt, "pause"))*time.Millisecond)
		}
	})
	t.Logf("%d requests with %d attempts in %d invocations, %d moments that were asked for, %d faults, nonsense %d times: none was early but %d quick tries",
		plays, attempts, hops, limits, faults, nonsense, quickTries)
	if attempts <= plays || hops <= attempts || limits == 0 || faults == 0 || nonsense == 0 {
		t.Error("the schedules have too little in them")
	}
}

// wasByAddress says whether a request was taken to be limited by address, after a quick try that helped.
func wasByAddress(made []retry.Attempt) bool {
	for _, a := range made {
		if strings.Contains(a.Why, "as the limit is by address") {
			return true
		}
	}
	return false
}
