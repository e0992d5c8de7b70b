package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// TargetPrefix is how the X-Amz-Target header of a request to Step Functions begins; the operation follows.
const TargetPrefix = "AWSStepFunctions."

// Sizes of pages, in entries.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// maxRequest is the largest request that is read, in bytes: a definition or an input, escaped as JSON.
const maxRequest = 8 << 20

const contentType = "application/x-amz-json-1.0"

var operations = map[string]func(s *Service, ctx context.Context, body []byte) (any, error){
	"DescribeExecution":                operation((*Service).describeExecution),
	"DescribeStateMachine":             operation((*Service).describeStateMachine),
	"DescribeStateMachineForExecution": operation((*Service).describeStateMachineForExecution),
	"GetExecutionHistory":              operation((*Service).getExecutionHistory),
	"ListExecutions":                   operation((*Service).listExecutions),
	"ListStateMachines":                operation((*Service).listStateMachines),
	"StartExecution":                   operation((*Service).startExecution),
	"StartSyncExecution":               operation((*Service).startSyncExecution),
	"StopExecution":                    operation((*Service).stopExecution),
}

// operation adapts a typed operation to the protocol.
func operation[In any](f func(s *Service, ctx context.Context, in In) (any, error)) func(*Service, context.Context, []byte) (any, error) {
	return func(s *Service, ctx context.Context, body []byte) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, apiError("SerializationException", "The request is not what the operation takes: %v", err)
		}
		return f(s, ctx, in)
	}
}

// ServeHTTP answers requests in the AWS JSON 1.0 protocol. The operations are StartExecution, StartSyncExecution,
// StopExecution, DescribeExecution, DescribeStateMachine, DescribeStateMachineForExecution, GetExecutionHistory,
// ListExecutions and ListStateMachines; any other is answered with UnknownOperationException. Signatures are not looked
// at.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("x-amzn-RequestId", asl.UUID(s.config.Random))
	answer, err := s.answer(r)
	status := http.StatusOK
	if err != nil {
		if r.Context().Err() != nil {
			return // nobody is there to hear
		}
		var refused *Error
		if !errors.As(err, &refused) {
			refused = apiError(InternalFailure, "%v", err)
		}
		status = refused.statusCode()
		header.Set("x-amzn-ErrorType", refused.Code)
		answer = map[string]string{"__type": refused.Code, "message": refused.Message}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure"}`)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

func (s *Service) answer(r *http.Request) (any, error) {
	target := r.Header.Get("X-Amz-Target")
	name, ours := strings.CutPrefix(target, TargetPrefix)
	run, known := operations[name]
	if r.Method != http.MethodPost || !ours || !known {
		return nil, apiError("UnknownOperationException", "The operation %q is not one of those that are supported here", target)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return nil, apiError("SerializationException", "The request could not be read: %v", err)
	}
	if len(body) > maxRequest {
		return nil, apiError(ValidationException, "The request is longer than %d bytes", maxRequest)
	}
	return run(s, r.Context(), body)
}

// seconds is a time as the protocol has it: seconds since 1970 with a fraction of milliseconds.
type seconds time.Time

func (t seconds) MarshalJSON() ([]byte, error) {
	ms := float64(time.Time(t).UnixMilli())
	return strconv.AppendFloat(nil, ms/1000, 'f', 3, 64), nil
}

// when leaves a time that is not known out of an answer.
func when(t time.Time) *seconds {
	if t.IsZero() {
		return nil
	}
	s := seconds(t)
	return &s
}

type included struct {
	Included bool `json:"included"`
}

type startInput struct {
	StateMachineArn string `json:"stateMachineArn"`
	Name            string `json:"name"`
	Input           string `json:"input"`
}

// startFromTask starts an execution for a Task state of another one.
func (s *Service) startFromTask(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	answer, err := operations["StartExecution"](s, ctx, input)
	var refused *Error
	if errors.As(err, &refused) {
		return nil, &asl.ServiceError{Code: refused.Code, Message: refused.Message, StatusCode: refused.statusCode()}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func (s *Service) startExecution(_ context.Context, in startInput) (any, error) {
	e, err := s.StartExecution(in.StateMachineArn, in.Name, in.Input)
	if err != nil {
		return nil, err
	}
	return map[string]any{"executionArn": e.ARN, "startDate": when(e.Started)}, nil
}

// What Express workflows are billed in: time is rounded up to so much, and memory too.
const (
	billedStep   = 100 * time.Millisecond
	billedMemory = 64 // MB; executions of this size never need more
)

func (s *Service) startSyncExecution(ctx context.Context, in startInput) (any, error) {
	e, err := s.StartSyncExecution(ctx, in.StateMachineArn, in.Name, in.Input)
	if err != nil {
		return nil, err
	}
	answer := describe(e)
	answer.OutputDetails = &included{true} // here even if the execution failed
	steps := math.Ceil(float64(e.Stopped.Sub(e.Started)) / float64(billedStep))
	return struct {
		executionAnswer
		BillingDetails map[string]int64 `json:"billingDetails"`
	}{answer, map[string]int64{
		"billedDurationInMilliseconds": int64(steps) * billedStep.Milliseconds(),
		"billedMemoryUsedInMB":         billedMemory,
	}}, nil
}

// executionSummary is an execution as ListExecutions tells it.
type executionSummary struct {
	ExecutionArn           string     `json:"executionArn"`
	StateMachineArn        string     `json:"stateMachineArn"`
	StateMachineVersionArn string     `json:"stateMachineVersionArn,omitempty"`
	Name                   string     `json:"name"`
	Status                 asl.Status `json:"status"`
	StartDate              *seconds   `json:"startDate"`
	StopDate               *seconds   `json:"stopDate,omitempty"`
}

func summarise(e Execution) executionSummary {
	return executionSummary{
		ExecutionArn: e.ARN, StateMachineArn: e.StateMachineARN, StateMachineVersionArn: e.VersionARN, Name: e.Name, Status: e.Status,
		StartDate: when(e.Started), StopDate: when(e.Stopped),
	}
}

// executionAnswer is an execution as DescribeExecution and StartSyncExecution tell it.
type executionAnswer struct {
	executionSummary
	Input         string    `json:"input"`
	InputDetails  included  `json:"inputDetails"`
	Output        string    `json:"output,omitempty"`
	OutputDetails *included `json:"outputDetails,omitempty"`
	Error         string    `json:"error,omitempty"`
	Cause         string    `json:"cause,omitempty"`
}

func describe(e Execution) executionAnswer {
	answer := executionAnswer{
		executionSummary: summarise(e), Input: e.Input, InputDetails: included{true},
		Output: e.Output, Error: e.Error, Cause: e.Cause,
	}
	if e.Status == asl.Succeeded {
		answer.OutputDetails = &included{true}
	}
	return answer
}

type executionInput struct {
	ExecutionArn string `json:"executionArn"`
}

func (s *Service) describeExecution(_ context.Context, in executionInput) (any, error) {
	e, err := s.Execution(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	return describe(e), nil
}

func (s *Service) stopExecution(_ context.Context, in struct {
	ExecutionArn string `json:"executionArn"`
	Error        string `json:"error"`
	Cause        string `json:"cause"`
}) (any, error) {
	e, err := s.StopExecution(in.ExecutionArn, in.Error, in.Cause)
	if err != nil {
		return nil, err
	}
	return map[string]any{"stopDate": when(e.Stopped)}, nil
}

func (s *Service) describeStateMachine(_ context.Context, in struct {
	StateMachineArn string `json:"stateMachineArn"`
}) (any, error) {
	m, err := s.StateMachine(in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"stateMachineArn": m.ARN, "name": m.Name, "status": "ACTIVE", "definition": m.Definition, "roleArn": m.RoleARN,
		"type": m.Type, "creationDate": when(m.Created),
	}, nil
}

func (s *Service) describeStateMachineForExecution(_ context.Context, in executionInput) (any, error) {
	s.mu.Lock()
	e, err := s.find(in.ExecutionArn)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	m := e.machine.StateMachine // as it was when the execution was started
	return map[string]any{
		"stateMachineArn": m.ARN, "name": m.Name, "definition": m.Definition, "roleArn": m.RoleARN,
		"updateDate": when(m.Created),
	}, nil
}

// historyEvent is an event with its time in the protocol's form.
type historyEvent struct {
	asl.Event
	Timestamp seconds `json:"timestamp"`
}

func (s *Service) getExecutionHistory(_ context.Context, in struct {
	ExecutionArn         string `json:"executionArn"`
	MaxResults           int    `json:"maxResults"`
	ReverseOrder         bool   `json:"reverseOrder"`
	NextToken            string `json:"nextToken"`
	IncludeExecutionData *bool  `json:"includeExecutionData"`
}) (any, error) {
	events, err := s.History(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	if in.ReverseOrder {
		slices.Reverse(events)
	}
	page, token, err := paged(events, in.MaxResults, in.NextToken, func(e asl.Event) string { return strconv.FormatInt(e.ID, 10) })
	if err != nil {
		return nil, err
	}
	answer := struct {
		Events    []historyEvent `json:"events"`
		NextToken string         `json:"nextToken,omitempty"`
	}{[]historyEvent{}, token}
	for _, event := range page {
		if in.IncludeExecutionData != nil && !*in.IncludeExecutionData {
			event = withoutData(event)
		}
		answer.Events = append(answer.Events, historyEvent{event, seconds(event.Timestamp)})
	}
	return answer, nil
}

// withoutData leaves inputs and outputs out of an event.
func withoutData(event asl.Event) asl.Event {
	if d := event.ExecutionStarted; d != nil {
		event.ExecutionStarted = &asl.ExecutionStartedDetails{RoleARN: d.RoleARN, StateMachineVersionARN: d.StateMachineVersionARN}
	}
	if event.ExecutionSucceeded != nil {
		event.ExecutionSucceeded = &asl.ExecutionSucceededDetails{}
	}
	if d := event.StateEntered; d != nil {
		event.StateEntered = &asl.StateEnteredDetails{Name: d.Name}
	}
	if d := event.StateExited; d != nil {
		event.StateExited = &asl.StateExitedDetails{Name: d.Name}
	}
	if d := event.TaskScheduled; d != nil {
		event.TaskScheduled = &asl.TaskScheduledDetails{TaskDetails: d.TaskDetails, Region: d.Region, TimeoutInSeconds: d.TimeoutInSeconds}
	}
	if d := event.TaskSucceeded; d != nil {
		event.TaskSucceeded = &asl.TaskSucceededDetails{TaskDetails: d.TaskDetails}
	}
	return event
}

// statuses holds what executions can be listed by; the empty one stands for all.
var statuses = map[asl.Status]bool{"": true, asl.Running: true, asl.Succeeded: true, asl.Failed: true, asl.TimedOut: true, asl.Aborted: true}

func (s *Service) listExecutions(_ context.Context, in struct {
	StateMachineArn string     `json:"stateMachineArn"`
	StatusFilter    asl.Status `json:"statusFilter"`
	MaxResults      int        `json:"maxResults"`
	NextToken       string     `json:"nextToken"`
}) (any, error) {
	if in.StateMachineArn == "" {
		return nil, apiError(ValidationException, "1 validation error detected: Value at 'stateMachineArn' must not be empty")
	}
	if !statuses[in.StatusFilter] {
		return nil, apiError(ValidationException, "1 validation error detected: Value '%s' at 'statusFilter' is none of %s, %s, %s, %s, %s",
			in.StatusFilter, asl.Running, asl.Succeeded, asl.Failed, asl.TimedOut, asl.Aborted)
	}
	all, err := s.Executions(in.StateMachineArn, in.StatusFilter)
	if err != nil {
		return nil, err
	}
	page, token, err := paged(all, in.MaxResults, in.NextToken, func(e Execution) string { return e.ARN })
	if err != nil {
		return nil, err
	}
	answer := struct {
		Executions []executionSummary `json:"executions"`
		NextToken  string             `json:"nextToken,omitempty"`
	}{[]executionSummary{}, token}
	for _, e := range page {
		answer.Executions = append(answer.Executions, summarise(e))
	}
	return answer, nil
}

func (s *Service) listStateMachines(_ context.Context, in struct {
	MaxResults int    `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}) (any, error) {
	page, token, err := paged(s.StateMachines(), in.MaxResults, in.NextToken, func(m StateMachine) string { return m.ARN })
	if err != nil {
		return nil, err
	}
	machines := []map[string]any{}
	for _, m := range page {
		machines = append(machines, map[string]any{
			"stateMachineArn": m.ARN, "name": m.Name, "type": m.Type, "creationDate": when(m.Created),
		})
	}
	answer := map[string]any{"stateMachines": machines}
	if token != "" {
		answer["nextToken"] = token
	}
	return answer, nil
}

// paged cuts a page out of a list. The token of the next page is the key of the last entry of this one.
func paged[E any](all []E, size int, token string, key func(E) string) (page []E, next string, err error) {
	if size < 0 || size > MaxPage {
		return nil, "", apiError(ValidationException, "1 validation error detected: Value '%d' at 'maxResults' must be from 0 to %d", size, MaxPage)
	}
	if size == 0 {
		size = DefaultPage
	}
	if token != "" {
		last := slices.IndexFunc(all, func(e E) bool { return key(e) == token })
		if last < 0 {
			return nil, "", apiError(InvalidToken, "Invalid Token: '%s'", token)
		}
		all = all[last+1:]
	}
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], key(all[size-1]), nil
}
