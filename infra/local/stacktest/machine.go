package stacktest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

// A Task takes the place of a function: it is given a payload and answers with a result, both JSON texts. An error is one
// of the function, under the name of its Go type as for a handler in Go; [ErrCrashed] is a process that ended; and an
// [*ServiceError] is one of the Lambda service, such as throttling.
type Task func(payload string) (result string, err error)

// ErrCrashed is the error of a Task whose process ended before it answered.
var ErrCrashed = errors.New("the process ended before it answered")

// A Machine is a state machine of the stack that is run by itself.
type Machine struct {
	bench      *Bench
	definition cloudformation.StateMachine
}

// Machine finds a state machine by its name, or by a part that no other one's name has, since names that the CDK makes end
// in a hash: ProxyStateMachine, if the construct's id is Proxy. What names none or several fails the test at once.
func (b *Bench) Machine(name string) *Machine {
	b.t.Helper()
	var found []cloudformation.StateMachine
	var names []string
	for _, m := range b.stack.Template.StateMachines {
		if m.Name == name {
			return &Machine{b, m}
		}
		if strings.Contains(m.Name, name) {
			found = append(found, m)
		}
		names = append(names, m.Name)
	}
	if len(found) != 1 {
		b.t.Fatalf("stacktest: %q is in the names of %d state machines; the stack has %s", name, len(found), strings.Join(names, ", "))
	}
	return &Machine{b, found[0]}
}

// Run executes the state machine with an input, on a virtual clock of its own, and returns when it has ended. Tasks take
// the place of functions, by their short names: proxy-1. Functions that are not among them are the stack's own, and so
// are the tables and the queues. What limits the time of executions of its type, five minutes for an Express workflow and a year for a
// Standard one, limits this one, too.
//
// An input can be had from the Input of an earlier execution.
func (m *Machine) Run(input string, tasks map[string]Task) Execution {
	b := m.bench
	b.t.Helper()
	functions, tables, queues := b.stack.Integrations()
	shifting := timeshift.New(clock.NewVirtual(time.Now()), time.Now)
	service := stepfunctions.New(stepfunctions.Config{
		Lambda: shifting.Lambda(b.standIns(tasks, functions)), DynamoDB: tables, SQS: queues, Clock: shifting,
	})
	defer service.Close()
	service.Observe(b.executions.observe)
	service.Observe(b.prepareUpstream)
	err := service.CreateStateMachine(stepfunctions.StateMachine{
		Name: m.definition.Name, ARN: m.definition.ARN, Type: stepfunctions.Type(m.definition.Type), Definition: m.definition.Definition,
	})
	if err != nil {
		b.t.Fatalf("stacktest: %v", err)
	}
	started, err := service.StartExecution(m.definition.ARN, "", input)
	if err != nil {
		b.t.Fatalf("stacktest: %v", err)
	}
	execution := b.executions.of(started.ARN).wait()
	b.tell(execution.String())
	return execution
}

// standIns puts tasks in the place of functions.
func (b *Bench) standIns(tasks map[string]Task, functions asl.Lambda) asl.Lambda {
	b.t.Helper()
	arns := map[string]string{} // by short name
	for _, f := range b.stack.Template.Functions {
		arns[b.stack.ShortName(f.Name)] = f.ARN
	}
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		if arns[name] == "" {
			b.t.Fatalf("stacktest: a task is to take the place of %q; the functions of the stack are %s",
				name, strings.Join(slices.Sorted(maps.Keys(arns)), ", "))
		}
	}
	return asl.LambdaFunc(func(ctx context.Context, function string, payload []byte) (asl.Invocation, error) {
		for name, task := range tasks {
			if function == arns[name] || strings.HasPrefix(function, arns[name]+":") { // with an alias or a version
				return invoke(task, payload)
			}
		}
		return functions.Invoke(ctx, function, payload)
	})
}

// invoke calls a task as Lambda calls a function.
func invoke(task Task, payload []byte) (asl.Invocation, error) {
	result, err := task(string(payload))
	var refused *asl.ServiceError
	switch {
	case errors.As(err, &refused):
		return asl.Invocation{}, refused
	case err != nil:
		return failed(err), nil
	}
	return asl.Invocation{Payload: []byte(result)}, nil
}

// failed is what Lambda says of a function that returned an error.
func failed(err error) asl.Invocation {
	kind := reflect.TypeOf(err)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	name := kind.Name()
	if errors.Is(err, ErrCrashed) {
		name = "Runtime.ExitError"
	}
	payload, _ := json.Marshal(map[string]string{"errorType": name, "errorMessage": err.Error()})
	return asl.Invocation{Payload: payload, FunctionError: "Unhandled"}
}
