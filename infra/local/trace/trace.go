// Package trace tells, one line at a time, what a stack does with its requests: a line for each attempt while it runs,
// and one for the end of each execution.
package trace

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stepfunctions/asl"
)

// A Printer prints the events of executions. It is safe for concurrent use.
type Printer struct {
	mu      sync.Mutex
	out     io.Writer
	running map[string]*running
}

// running is what a printer knows of an execution that goes on.
type running struct {
	request  string
	proxy    string
	attempts int
}

// New makes a printer that writes to out.
func New(out io.Writer) *Printer {
	return &Printer{out: out, running: map[string]*running{}}
}

// envelope is what is read of the envelopes that travel between the states.
type envelope struct {
	Outcome    string
	StatusCode int
	Error      string
	Attempts   []attempt
	Call       *struct {
		Request struct{ Method, Path string }
	}
	Answer *envelope
}

type attempt struct {
	Proxy    string
	Duration int64
	Status   int
	Error    string
	Details  string
	Wait     int64
	Why      string
}

// made lists the attempts that were made when an envelope was written. One that leads to a proxy holds, innermost, how
// the execution ends if that proxy and the next ones are all lost; their attempts stand in the list in advance.
func (e *envelope) made() []attempt {
	end, ahead := e, 0
	for ; end.Outcome == "retry" && end.Answer != nil; end = end.Answer {
		ahead++
	}
	return end.Attempts[:max(0, len(end.Attempts)-ahead)]
}

// Event prints what there is to say of an event. It has the form that [stepfunctions.Service.Observe] takes.
func (p *Printer) Event(execution stepfunctions.Execution, event asl.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.running[execution.ARN]
	if r == nil {
		r = &running{request: requestLine(execution.Input)}
		p.running[execution.ARN] = r
	}
	switch event.Type {
	case asl.TaskStateEntered:
		// The state Proxy-1 calls proxy-1.
		r.proxy = strings.ToLower(event.State())
	case asl.TaskSucceeded:
		var task struct{ Payload envelope }
		if json.Unmarshal([]byte(event.TaskSucceeded.Output), &task) == nil && task.Payload.Outcome != "" {
			p.attempt(execution, event, r, &task.Payload)
		}
	case asl.TaskFailedEvent:
		p.lost(execution, event, r, event.TaskFailed.Error)
	case asl.TaskTimedOut:
		p.lost(execution, event, r, event.TaskTimedOut.Error)
	case asl.ExecutionSucceeded, asl.ExecutionFailed, asl.ExecutionTimedOut, asl.ExecutionAborted:
		p.end(execution, event, r)
		delete(p.running, execution.ARN)
	}
}

// attempt prints the last attempt that an answer tells of.
func (p *Printer) attempt(execution stepfunctions.Execution, event asl.Event, r *running, answer *envelope) {
	attempts := answer.made()
	if len(attempts) == 0 || attempts[len(attempts)-1].Proxy != r.proxy {
		return // the proxy made none, because there was no time left
	}
	r.attempts++
	last := attempts[len(attempts)-1]
	result := last.Error
	if last.Status != 0 {
		result = strings.TrimSpace(strconv.Itoa(last.Status) + " " + last.Error)
	}
	text := last.Why
	if last.Wait > 0 {
		text = fmt.Sprintf("waits %s; %s", milliseconds(last.Wait), text)
	}
	if last.Details != "" {
		text += " (" + last.Details + ")"
	}
	p.print(execution, event, fmt.Sprintf("attempt %d  %-8s %-4s %8s  %s", r.attempts, last.Proxy, result, milliseconds(last.Duration), text))
}

// lost prints an attempt whose proxy gave no answer.
func (p *Printer) lost(execution stepfunctions.Execution, event asl.Event, r *running, name string) {
	r.attempts++
	p.print(execution, event, fmt.Sprintf("attempt %d  %-8s lost           %s", r.attempts, r.proxy, name))
}

// end prints how an execution ended.
func (p *Printer) end(execution stepfunctions.Execution, event asl.Event, r *running) {
	text, last := execution.Output, envelope{}
	result := string(execution.Status)
	if execution.Status == asl.Failed {
		text, result = execution.Cause, execution.Error
	}
	if json.Unmarshal([]byte(text), &last) == nil && last.StatusCode != 0 {
		result = strconv.Itoa(last.StatusCode)
		if execution.Status == asl.Failed {
			result += " " + execution.Error
		}
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
	name := execution.Name
	if len(name) > shortName {
		name = name[:shortName]
	}
	fmt.Fprintf(p.out, "%s  %-8s  %s\n", event.Timestamp.Local().Format("15:04:05.000"), name, text)
}

// requestLine reads the method and path of the request that an execution is about. The query is left out: it may hold
// secrets.
func requestLine(input string) string {
	var e envelope
	if json.Unmarshal([]byte(input), &e) != nil {
		return "execution"
	}
	for at := &e; at != nil; at = at.Answer {
		if at.Call != nil {
			return at.Call.Request.Method + " " + at.Call.Request.Path
		}
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
