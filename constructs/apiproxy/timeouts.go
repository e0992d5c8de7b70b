package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// expressDuration is the longest that an Express execution can take.
const expressDuration = 5 * time.Minute

// Timeouts nest: the attempt ends before its function, the function before its Task, the machine before the gateway.
const (
	// waitUnit is what a Wait state can wait: whole seconds. The rest of a delay is for the proxy to sleep.
	waitUnit = 1 * time.Second

	// maxSleep is what a proxy may sleep before its attempt: the rest of a delay, or the backoff after a loss.
	maxSleep = message.MaxLossSleep

	// proxyMargin is the time that a proxy function has in addition to its attempt: for the sleep before it, a cold start,
	// and the writing of the answer.
	proxyMargin = maxSleep + 3*time.Second

	// taskMargin is the time that a Task has in addition to the function: for the queueing of the invocation.
	taskMargin = 5 * time.Second

	// machineMargin is the time that an execution has in addition to its last Task.
	machineMargin = 1 * time.Second

	// deadlineMargin is the time that an execution has in addition to the longest deadline, for what is not an attempt:
	// starting, the last transitions, and writing the record.
	deadlineMargin = 10 * time.Second

	// gatewayMargin is the time that the gateway function has in addition to the longest execution.
	gatewayMargin = 10 * time.Second
)

func (p RetryingApiProxyProps) proxyTimeout() time.Duration {
	return roundUp(p.Retry.AttemptTimeout, time.Second) + proxyMargin
}

func (p RetryingApiProxyProps) taskTimeout() time.Duration { return p.proxyTimeout() + taskMargin }

// machineTimeout is the longest that an execution may take: the longest deadline, and what is left then, up to the
// writing of the record. However short the deadline, one Task fits in.
func (p RetryingApiProxyProps) machineTimeout() time.Duration {
	longest := max(roundUp(p.Retry.MaxDeadline, time.Second)+deadlineMargin, p.taskTimeout()+machineMargin)
	return min(longest, expressDuration)
}

func (p RetryingApiProxyProps) gatewayTimeout() time.Duration {
	return p.machineTimeout() + gatewayMargin
}

// roundUp rounds a duration that is not negative up to a multiple of unit.
func roundUp(d, unit time.Duration) time.Duration {
	return (d + unit - 1).Truncate(unit)
}

func seconds(d time.Duration) awscdk.Duration {
	s := d.Seconds()
	return awscdk.Duration_Seconds(&s)
}
