package stacktest

import (
	"strings"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// An Execution is what a state machine did. Its zero value stands for one that was not started.
type Execution struct {
	// Status is how it ended: SUCCEEDED, FAILED or TIMED_OUT. It succeeds also where attempts or time ran out, and fails
	// where the state machine itself does. Empty if nothing was executed.
	Status Status

	// Error says why there was no final answer: DeadlineExceeded or AttemptsExhausted, for instance, or the error that the
	// execution failed with. Empty if there was one. Cause says more of an execution that failed.
	Error, Cause string

	// Input and Output are JSON texts. Output is empty unless it succeeded.
	Input, Output string

	// Attempts are those that were made at the upstream, in their order.
	Attempts []Attempt

	// Waits are the Wait states that it went through, in their order. What a Wait state cannot wait, the part of a delay
	// below a second, is not in them; Attempt.Wait has the whole delay.
	Waits []Wait

	// States are the names of the states that it entered, in their order.
	States []string

	// Elapsed is how long it took on the virtual clock: all that was waited.
	Elapsed time.Duration

	told string
}

// An Attempt is one try at the upstream and what came of it.
type Attempt struct {
	// Proxy is the proxy that made it: proxy-1.
	Proxy string

	// Status is the upstream's status, or zero if there was none.
	Status int

	// Error is the type of the failure, RFC 9209 section 2.3, if there was one: connection_refused. Details says more.
	Error, Details string

	// At is when it was made, on the virtual clock, from the start of the execution.
	At time.Duration

	// Wait is the delay that was decided on after it, and Why says by which rule.
	Wait time.Duration
	Why  string
}

// A Wait is a Wait state that an execution went through.
type Wait struct {
	State    string
	Duration time.Duration
}

// String tells what was done, one line for each attempt and one for the end.
func (e Execution) String() string { return e.told }

// executions keeps what happens in executions.
type executions struct {
	mu  sync.Mutex
	all map[string]*recording // by ARN

	view executionview.View
}

// A recording is an execution and its events so far.
type recording struct {
	ended   chan struct{}
	printed strings.Builder
	printer *attemptlog.Printer

	execution Execution
	waiting   time.Time // when the Wait state was entered that it is in
}

// of finds the recording of an execution, which may not have begun.
func (all *executions) of(arn string) *recording {
	all.mu.Lock()
	defer all.mu.Unlock()
	r := all.all[arn]
	if r == nil {
		r = &recording{ended: make(chan struct{})}
		r.printer = attemptlog.New(&r.printed)
		r.printer.View = all.view
		all.all[arn] = r
	}
	return r
}

// observe has the form that [stepfunctions.Service.Observe] takes. The events of one execution come one after the other.
func (all *executions) observe(execution stepfunctions.Execution, event asl.Event) {
	all.of(execution.ARN).add(execution, event)
}

// named finds the execution with a name. It is nil if there is none.
func (all *executions) named(name string) *recording {
	all.mu.Lock()
	defer all.mu.Unlock()
	for arn, r := range all.all {
		if strings.Contains(arn, ":"+name+":") { // what follows tells executions of Express workflows apart
			return r
		}
	}
	return nil
}

// wait returns the execution when it has ended.
func (r *recording) wait() Execution {
	<-r.ended
	return r.execution
}

func (r *recording) add(execution stepfunctions.Execution, event asl.Event) {
	r.printer.Event(execution, event)
	e := &r.execution
	if event.StateEntered != nil {
		e.States = append(e.States, event.State())
	}
	switch event.Type {
	case asl.WaitStateEntered:
		r.waiting = event.Timestamp
	case asl.WaitStateExited:
		e.Waits = append(e.Waits, Wait{State: event.State(), Duration: event.Timestamp.Sub(r.waiting)})
	case asl.TaskStateExited, asl.PassStateExited:
		for i, a := range r.printer.View.Attempts(execution, event) {
			if i == len(e.Attempts) {
				e.Attempts = append(e.Attempts, Attempt{
					Proxy: a.Proxy, Status: a.Status, Error: string(a.Error), Details: a.Details,
					At: event.Timestamp.Sub(execution.Started),
				})
			}
			// After the loss of a proxy this is known later: when the next one has judged it.
			e.Attempts[i].Wait, e.Attempts[i].Why = time.Duration(a.Wait)*time.Millisecond, a.Why
		}
	case asl.ExecutionSucceeded, asl.ExecutionFailed, asl.ExecutionTimedOut, asl.ExecutionAborted:
		e.Status, e.Cause = execution.Status, execution.Cause
		_, e.Error = r.printer.View.Result(execution)
		e.Input, e.Output = execution.Input, execution.Output
		e.Elapsed = event.Timestamp.Sub(execution.Started)
		e.told = r.printed.String()
		close(r.ended)
	}
}
