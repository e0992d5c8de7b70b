package stack

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatchlogs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// keepLogs makes the log groups of the template, and has what functions log go there, before it goes where config has it go.
func (s *Stack) keepLogs(config *Config) {
	s.Logs = cloudwatchlogs.New(cloudwatchlogs.Config{Region: cloudformation.Region, AccountID: cloudformation.AccountID, MaxBytes: config.LogBytes})
	functions := map[string]cloudformation.Function{}
	for _, f := range s.Template.Functions {
		if f.LogGroup == "" {
			f.LogGroup = "/aws/lambda/" + f.Name // which Lambda makes itself
		}
		s.Logs.CreateLogGroup(f.LogGroup, time.Now())
		functions[f.Name] = f
	}
	further := config.Log
	config.Log = func(e lambda.LogEvent) {
		f := functions[e.Function]
		if line := functionLine(e, f.LogFormat); line != "" {
			s.Logs.Put(f.LogGroup, e.LogStream, e.Time, line)
		}
		if further != nil {
			further(e)
		}
	}
}

// functionLine is an event as a line of a log in a format. In JSON, Lambda writes those of its own events that its level of logs has by
// default: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html. Empty for others.
func functionLine(e lambda.LogEvent, format string) string {
	if format != "JSON" || e.Type == lambda.LogFunction {
		return e.Message
	}
	record := map[string]any{"requestId": e.RequestID}
	switch e.Type {
	case lambda.LogStart:
		record["version"] = e.Version
	case lambda.LogReport, lambda.LogInitReport:
		record["status"] = e.Report.Status
		if e.Report.ErrorType != "" {
			record["errorType"] = e.Report.ErrorType
		}
		metrics := map[string]any{
			"durationMs": milliseconds(e.Report.Duration), "billedDurationMs": e.Report.BilledDuration.Milliseconds(), "memorySizeMB": e.Report.MemorySize,
		}
		if e.Report.InitDuration > 0 {
			metrics["initDurationMs"] = milliseconds(e.Report.InitDuration)
		}
		record["metrics"] = metrics
	default:
		return ""
	}
	return asLine(map[string]any{"time": e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), "type": e.Type, "record": record})
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// logStateMachines makes the log groups of state machines, and has the events of their executions go there, without their data. What a
// line looks like is in https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html.
func (s *Stack) logStateMachines() {
	groups := map[string]string{}
	for _, m := range s.Template.StateMachines {
		if m.LogGroup != "" {
			s.Logs.CreateLogGroup(m.LogGroup, time.Now())
			groups[m.ARN] = m.LogGroup
		}
	}
	s.onClose(s.StepFunctions.Observe(func(x stepfunctions.Execution, e asl.Event) {
		group := groups[x.StateMachineARN]
		if group == "" {
			return
		}
		// What is virtual is the time that waits take, and lines are looked for by the time of whoever looks.
		now := time.Now()
		s.Logs.Put(group, x.Name, now, asLine(map[string]any{
			"id": strconv.FormatInt(e.ID, 10), "previous_event_id": strconv.FormatInt(e.PreviousEventID, 10), "type": e.Type,
			"event_timestamp": strconv.FormatInt(e.Timestamp.UnixMilli(), 10), "execution_arn": x.ARN, "details": logged(e),
		}))
	}))
}

// logged is what a log says of an event whose data it leaves out.
func logged(e asl.Event) map[string]any {
	details := map[string]any{}
	task := func(d asl.TaskDetails) { details["resourceType"], details["resource"] = d.ResourceType, d.Resource }
	switch {
	case e.State() != "":
		details["name"] = e.State()
	case e.TaskScheduled != nil:
		task(e.TaskScheduled.TaskDetails)
	case e.TaskStarted != nil:
		task(*e.TaskStarted)
	case e.TaskSucceeded != nil:
		task(e.TaskSucceeded.TaskDetails)
	case e.TaskFailed != nil:
		task(e.TaskFailed.TaskDetails)
	case e.TaskTimedOut != nil:
		task(e.TaskTimedOut.TaskDetails)
	}
	return details
}

func asLine(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		return "" // they are made of strings and numbers
	}
	return string(text)
}
