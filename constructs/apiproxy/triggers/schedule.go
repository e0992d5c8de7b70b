package triggers

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// scheduleKey tells one moment of one schedule from all others. It is the same however often EventBridge Scheduler hands that
// moment over; <aws.scheduler.execution-id> is new for each attempt
// (https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html).
func scheduleKey() string {
	return *awsscheduler.ContextAttribute_ScheduleArn() + " " + *awsscheduler.ContextAttribute_ScheduledTime()
}

// ScheduleProps says when which request is sent.
type ScheduleProps struct {
	// Proxy is what the requests go through. Required.
	Proxy *apiproxy.RetryingApiProxy

	// Request is what is sent. Its strings may hold awsscheduler.ContextAttribute_ScheduledTime() and its like. Required.
	Request Request

	// Schedule says when, in which time zone, from when on and until when; its Target is not given. Required.
	Schedule *awsscheduler.ScheduleProps
}

// NewSchedule creates a schedule of EventBridge Scheduler that sends a request through a RetryingApiProxy, once for each time
// that it is due. What has no final answer is tried again by Lambda, and then goes to [DeadLetters]. It panics with one message
// that lists every problem of the props.
func NewSchedule(scope constructs.Construct, id *string, props *ScheduleProps) awsscheduler.Schedule {
	if props == nil {
		props = &ScheduleProps{}
	}
	wrong := props.Request.validate()
	switch {
	case props.Schedule == nil || props.Schedule.Schedule == nil:
		wrong.add("Schedule has no expression; give one, such as ScheduleExpression_Rate")
	case props.Schedule.Target != nil:
		wrong.add("Schedule has a Target; leave it out, the target is the RetryingApiProxy")
	}
	wrong.check("Schedule", id, props.Proxy)

	settings := *props.Schedule
	settings.Target = awsschedulertargets.NewLambdaInvoke(props.Proxy.Live, &awsschedulertargets.ScheduleTargetBaseProps{
		Input:           awsscheduler.ScheduleTargetInput_FromObject(props.Request.event(scheduleKey())),
		DeadLetterQueue: DeadLetters(props.Proxy),
	})
	return awsscheduler.NewSchedule(scope, id, &settings)
}
