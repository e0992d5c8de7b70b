package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// heldInvocations starts n invocations that run until release is called.
func heldInvocations(t *testing.T, host *lambda.Host, logged *logs, n int) (results <-chan report, release func()) {
	t.Helper()
	path, release := hold(t)
	reports := make(chan report, n)
	for range n {
		go func() {
			result, err := host.Invoke(context.Background(), "echo", []byte(`{"log":["held"],"hold":"`+path+`"}`))
			if err != nil || result.FunctionError != "" {
				t.Errorf("%v %s", err, result.Payload)
				reports <- report{}
				return
			}
			reports <- parseReport(t, result)
		}()
	}
	eventually(t, fmt.Sprintf("%d invocations run at once", n), func() bool {
		running := 0
		for _, e := range logged.of(lambda.LogFunction) {
			if e.Message == "held" {
				running++
			}
		}
		return running >= n
	})
	return reports, release
}

func TestFiftyInvocationsAtOnceRunInFiftyProcessesWhichAreReused(t *testing.T) {
	const n = 50
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	results, release := heldInvocations(t, host, &logged, n)
	release()
	processes := make(map[int]bool)
	for range n {
		processes[(<-results).PID] = true
	}
	if len(processes) != n {
		t.Fatalf("%d processes for %d invocations at once", len(processes), n)
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range 5 {
				if r := invokeReport(t, host, `{}`); !processes[r.PID] {
					t.Errorf("process %d is new: the idle ones were not reused", r.PID)
				}
			}
		})
	}
	wg.Wait()
	if starts := len(logged.of(lambda.LogInitStart)); starts != n {
		t.Errorf("%d processes were started, want %d", starts, n)
	}
}

func TestTheProcessThatBecameIdleLastIsTakenFirst(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	first, releaseFirst := heldInvocations(t, host, &logged, 1)
	logged.forget()
	second, releaseSecond := heldInvocations(t, host, &logged, 1)
	releaseSecond()
	b := (<-second).PID
	if r := invokeReport(t, host, `{}`); r.PID != b {
		t.Errorf("process %d, want the idle one, %d", r.PID, b)
	}
	releaseFirst()
	a := (<-first).PID
	for range 3 {
		if r := invokeReport(t, host, `{}`); r.PID != a {
			t.Errorf("process %d, want %d, which became idle last", r.PID, a)
		}
	}
}

func TestReservedConcurrencyThrottles(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(2) }))
	results, release := heldInvocations(t, host, &logged, 2)
	_, err := host.Invoke(context.Background(), "echo", nil)
	var e *lambda.Error
	if !errors.Is(err, lambda.ErrTooManyRequests) || !errors.As(err, &e) {
		t.Fatalf("the third at once: %v, want a TooManyRequestsException", err)
	}
	if e.StatusCode != http.StatusTooManyRequests || e.Code != "TooManyRequestsException" || e.Reason != lambda.ReasonReservedConcurrency {
		t.Errorf("%+v", e)
	}
	release()
	<-results
	<-results
	invokeReport(t, host, `{}`)
}

func TestAReservedConcurrencyOfZeroStopsTheFunction(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(0) }))
	if _, err := host.Invoke(context.Background(), "echo", nil); !errors.Is(err, lambda.ErrTooManyRequests) {
		t.Errorf("%v, want a TooManyRequestsException", err)
	}
}

func TestInvocationsInARowAreNeverThrottledAndNeedOneProcess(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(1) }))
	for i := range 200 {
		if r := invokeReport(t, host, `{}`); r.Count != i+1 {
			t.Fatalf("invocation %d was number %d of its process", i+1, r.Count)
		}
	}
}

func TestTheConcurrencyOfTheHostIsShared(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add, Concurrency: 1}, echo(), echo(func(f *lambda.Function) { f.Name = "other" }))
	results, release := heldInvocations(t, host, &logged, 1)
	_, err := host.Invoke(context.Background(), "other", nil)
	var e *lambda.Error
	if !errors.As(err, &e) || e.Reason != lambda.ReasonConcurrency {
		t.Errorf("%v, want it throttled because of %s", err, lambda.ReasonConcurrency)
	}
	release()
	<-results
	if _, err := host.Invoke(context.Background(), "other", nil); err != nil {
		t.Error(err)
	}
}

func TestReservedConcurrencyIsSetAside(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add, Concurrency: 3},
		echo(), echo(func(f *lambda.Function) { f.Name, f.ReservedConcurrency = "reserved", reserve(1) }))
	results, release := heldInvocations(t, host, &logged, 2)
	_, err := host.Invoke(context.Background(), "echo", nil)
	var e *lambda.Error
	if !errors.As(err, &e) || e.Reason != lambda.ReasonConcurrency {
		t.Errorf("the third beside one that is reserved: %v, want it throttled because of %s", err, lambda.ReasonConcurrency)
	}
	if _, err := host.Invoke(context.Background(), "reserved", nil); err != nil {
		t.Errorf("the function with the reservation: %v", err)
	}
	release()
	<-results
	<-results
}

func TestMoreThanThereIsCannotBeReserved(t *testing.T) {
	host := newHost(t, lambda.Config{Concurrency: 3}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(2) }))
	err := host.Add(echo(func(f *lambda.Function) { f.Name, f.ReservedConcurrency = "other", reserve(2) }))
	want := `lambda: function "other": Function.ReservedConcurrency is 2: of Config.Concurrency, 3, the other functions leave 1`
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestVersionsRunInProcessesOfTheirOwn(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "1"} }))
	latest := invokeReport(t, host, `{}`)
	result, err := host.Invoke(context.Background(), "echo:live", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := parseReport(t, result); r.PID == latest.PID {
		t.Error("version 1 ran in the process of $LATEST")
	}
	if r := invokeReport(t, host, `{}`); r.PID != latest.PID {
		t.Error("$LATEST did not return to its process")
	}
}

func TestIdleProcessesAreEnded(t *testing.T) {
	host := newHost(t, lambda.Config{IdleTimeout: 50 * time.Millisecond}, echo())
	pid := invokeReport(t, host, `{}`).PID
	eventually(t, "the idle process is gone", func() bool { return !alive(pid) })
	result := invoke(t, host, `{}`)
	if r := parseReport(t, result); !result.Cold || r.PID == pid {
		t.Errorf("process %d, cold %v; want a new one", r.PID, result.Cold)
	}
}

func TestEveryInvocationGetsItsOwnOutcomeWhateverHappensBesideIt(t *testing.T) {
	const workers = 12
	each := 25
	if testing.Short() {
		each = 5
	}
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(workers) }))
	var ids sync.Map
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range each {
				mark := fmt.Sprintf("%d-%d", w, i)
				payload, want := fmt.Sprintf(`{"answer":%q}`, mark), fmt.Sprintf("%q", mark)
				wantError := ""
				switch random.IntN(8) {
				case 0:
					payload, wantError = fmt.Sprintf(`{"error":%q}`, mark), "errorString"
				case 1:
					payload, wantError = fmt.Sprintf(`{"panic":%q}`, mark), "string"
				case 2:
					payload, wantError = `{"exit":1}`, "Runtime.ExitError"
				}
				result, err := host.Invoke(context.Background(), "echo", []byte(payload))
				if err != nil {
					t.Errorf("%s: %v", payload, err)
					continue
				}
				if _, seen := ids.LoadOrStore(result.RequestID, true); seen {
					t.Errorf("request id %s was given twice", result.RequestID)
				}
				if result.ErrorType != wantError || wantError == "" && string(result.Payload) != want {
					t.Errorf("%s: %s", payload, result.Payload)
				}
				if document := (errorDocument{}); wantError == "errorString" || wantError == "string" {
					if document = parseError(t, result); document.ErrorMessage != mark {
						t.Errorf("%s: %+v", payload, document)
					}
				}
			}
		})
	}
	wg.Wait()
	// Every failure has given its concurrency back.
	for range workers {
		wg.Go(func() { invoke(t, host, `{}`) })
	}
	wg.Wait()
}
