package attemptlog

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

// A Printer prints the events of executions. It is safe for concurrent use.
type Printer struct {
	// View reads executions. To be set before use.
	View executionview.View

	mu      sync.Mutex
	out     io.Writer
	running map[string]*running

	wrapping bool            // there is a Middleware
	started  map[string]bool // the names of executions whose requests the Middleware has not yet seen answered
	order    []string        // the names of those that started last, answered or not
}

// maxStarted is how many executions may have started since one whose request is still to be answered. Those that were
// started by somebody else, or whose callers have left, would be remembered for ever.
const maxStarted = 1000

// running is what a printer knows of an execution that goes on.
type running struct {
	request  string
	attempts int // those that were printed
}

// New makes a printer that writes to out.
func New(out io.Writer) *Printer {
	return &Printer{out: out, running: map[string]*running{}, started: map[string]bool{}}
}

// Event prints what there is to say of an event. It has the form that [stepfunctions.Service.Observe] takes.
func (p *Printer) Event(execution stepfunctions.Execution, event asl.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.running[execution.ARN]
	if r == nil {
		r = &running{request: p.requestLine(execution.Input)}
		p.running[execution.ARN] = r
		if p.wrapping {
			p.remember(execution.Name)
		}
	}
	switch event.Type {
	case asl.TaskStateExited, asl.PassStateExited:
		p.attempt(execution, event, r, p.View.Attempts(execution, event))
	case asl.TaskFailedEvent:
		p.write(execution, event, event.TaskFailed)
	case asl.TaskTimedOut:
		p.write(execution, event, event.TaskTimedOut)
	case asl.ExecutionSucceeded, asl.ExecutionFailed, asl.ExecutionTimedOut, asl.ExecutionAborted:
		p.end(execution, event, r)
		delete(p.running, execution.ARN)
	}
}

// Printed tells of an execution that another process left, and that goes on now: the attempts in its events so far are not
// printed again.
func (p *Printer) Printed(execution stepfunctions.Execution, events []asl.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &running{request: p.requestLine(execution.Input)}
	for _, event := range events {
		r.attempts = max(r.attempts, len(p.View.Attempts(execution, event)))
	}
	p.running[execution.ARN] = r
}

// remember has the Middleware know of an execution that has started.
func (p *Printer) remember(name string) {
	p.started[name] = true
	p.order = append(p.order, name)
	if len(p.order) > maxStarted {
		delete(p.started, p.order[0])
		p.order = p.order[1:]
	}
}

// attempt prints the attempts that are new: none if there was no time for one, and two if a proxy repeated its attempt with
// another credential.
func (p *Printer) attempt(execution stepfunctions.Execution, event asl.Event, r *running, made []retry.Attempt) {
	for ; r.attempts < len(made); r.attempts++ {
		a := made[r.attempts]
		took := ""
		if a.Start != 0 {
			took = milliseconds(a.Duration)
		}
		text := a.Why
		if a.Wait > 0 {
			text = fmt.Sprintf("waits %s; %s", milliseconds(a.Wait), text)
		}
		if a.Details != "" {
			text = strings.TrimSpace(text + " (" + a.Details + ")")
		}
		p.print(execution, event, fmt.Sprintf("attempt %d  %-8s %-4s %8s  %s", r.attempts+1, a.Proxy, executionview.AttemptResult(a), took, text))
	}
}

// write prints that a write to a table failed. The calls of proxies that fail are attempts, or are repeated.
func (p *Printer) write(execution stepfunctions.Execution, event asl.Event, failure *asl.TaskFailureDetails) {
	if failure.ResourceType != "lambda" {
		p.print(execution, event, fmt.Sprintf("%s %s failed: %s", failure.ResourceType, failure.Resource, failure.Error))
	}
}

// end prints how an execution ended.
func (p *Printer) end(execution stepfunctions.Execution, event asl.Event, r *running) {
	statusCode, result := p.View.Result(execution)
	if statusCode != 0 {
		result = strings.TrimSpace(strconv.Itoa(statusCode) + " " + result)
	}
	plural := "s"
	if r.attempts == 1 {
		plural = ""
	}
	p.print(execution, event, fmt.Sprintf("%s -> %s after %d attempt%s in %s",
		r.request, result, r.attempts, plural, milliseconds(event.Timestamp.Sub(execution.Started).Milliseconds())))
}

// shortName is how much of an execution's name is printed.
const shortName = 8

func (p *Printer) print(execution stepfunctions.Execution, event asl.Event, text string) {
	p.line(event.Timestamp, execution.Name, text)
}

// line prints a line. What is in it comes from callers, upstreams and whoever starts executions, so it is made printable.
func (p *Printer) line(at time.Time, name, text string) {
	fmt.Fprintf(p.out, "%s  %-8s  %s\n", at.Local().Format("15:04:05.000"), terminal.Line(name[:min(len(name), shortName)]), terminal.Line(text))
}

// requestLine reads the method and path of the request that an execution is about. The query is left out: it may hold
// secrets.
func (p *Printer) requestLine(input string) string {
	if method, path, ok := p.View.Request(input); ok {
		return method + " " + path
	}
	return "execution"
}

// milliseconds writes a duration for people.
func milliseconds(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d >= 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.String()
}
