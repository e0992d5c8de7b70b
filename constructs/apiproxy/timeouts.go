package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// expressDuration is the longest that an Express execution can take.
const expressDuration = 5 * time.Minute

// Timeouts nest: the longest deadline comes before the end of the function of a proxy, that one before the end of its Task,
// the Task before the machine, and the machine before the gateway. An attempt that no other may follow gets all that is left
// of the deadline, so a proxy may take as long as that.
const (
	// waitUnit is what a Wait state can wait: whole seconds. The rest of a delay is for the proxy to sleep.
	waitUnit = 1 * time.Second

	// proxyMargin is the time that a proxy function has in addition to the longest deadline: for the writing of the answer,
	// and for clocks that differ.
	proxyMargin = 4 * time.Second

	// taskMargin is the time that a Task has in addition to the function: for the queueing of the invocation.
	taskMargin = 3 * time.Second

	// deadlineMargin is the time that an execution has in addition to the longest deadline, for what is not an attempt:
	// starting, the last transitions, and writing the record.
	deadlineMargin = 10 * time.Second

	// letterMargin is the time that an execution has after its deadline where there are dead letters: proxies that hang, one
	// after the other, are given up, and the letter is sent, also if SQS refuses it for a while. An execution that Step
	// Functions ends sends none.
	letterMargin = 1 * time.Hour

	// gatewayMargin is the time that the gateway function has in addition to the longest execution.
	gatewayMargin = 10 * time.Second
)

// longestDeadline is the longest that a caller can wait, on whatever route.
func (p RetryingApiProxyProps) longestDeadline() time.Duration {
	var longest time.Duration
	for _, policy := range p.Retry.Each() {
		longest = max(longest, policy.MaxDeadline)
	}
	return roundUp(longest, time.Second)
}

func (p RetryingApiProxyProps) proxyTimeout() time.Duration {
	return p.longestDeadline() + proxyMargin
}

func (p RetryingApiProxyProps) taskTimeout() time.Duration { return p.proxyTimeout() + taskMargin }

// machineTimeout is the longest that an execution may take: the longest deadline, and what is left then, up to the
// writing of the record.
func (p RetryingApiProxyProps) machineTimeout() time.Duration {
	return p.longestDeadline() + deadlineMargin
}

// asyncMachineTimeout is the longest that the execution of an asynchronous request may take.
func (p RetryingApiProxyProps) asyncMachineTimeout() time.Duration {
	if p.DeadLetters != nil {
		return roundUp(p.Async.Deadline, time.Second) + letterMargin
	}
	return roundUp(p.Async.Deadline, time.Second) + deadlineMargin
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
