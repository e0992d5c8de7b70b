package apiproxy

import (
	"strconv"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// serviceFaultMaxDelay bounds the delay between retries of the Task itself, for faults of the Lambda service. The
// upstream's answers are for the ring.
const serviceFaultMaxDelay = 5 * time.Second

// serviceFaults are the errors of an invocation after which the Task itself invokes the function again: it was not run, for
// want of room, and there may be room in a moment. A Task cannot tell a request that is safe to repeat from one that is
// not, so all other errors are for the next proxy to judge.
var serviceFaults = []string{"Lambda.TooManyRequestsException"}

// failedState is the state in which an execution ends whose attempts or time ran out. [RetryingApiProxy.MetricFailed] counts
// by its name.
const failedState = "Failed"

// newRing builds the graph: a Choice that leads to the proxy that starts, and for each proxy a Task that calls it, a Choice
// that looks at its answer, a Wait, and a Pass that takes the place of the answer if the proxy is lost.
//
// What travels between the states is one envelope, see package message. A proxy is handed one and returns the next: the
// answer, which goes to the end, or what the next proxy is asked. If the proxy is lost, its Lost state adds that to the
// envelope that it was handed, and the next proxy is handed it at once; that one has the policy judge the loss before it
// sends anything. The state machine only counts the losses, and gives up if there are too many in a row.
//
// The ring of asynchronous requests is the same, with envelopes that name what is kept in the table. giveUp is the state which
// writes there that no proxy was left to judge; nil where callers wait, who are told by the gateway. letters takes those that
// failed, before the end; nil for none.
//
// On the way to the end the idempotency record is completed or released, if the execution started with one. It is completed
// with a final answer that settles the operation, and released after any other and after a failure.
func newRing(scope constructs.Construct, props RetryingApiProxyProps, proxies []awslambda.Alias, table awsdynamodb.ITableV2, giveUp awsstepfunctions.TaskStateBase, letters awssqs.IQueue) awsstepfunctions.IChainable {
	succeeded := awsstepfunctions.NewSucceed(scope, jsii.String("Succeeded"), &awsstepfunctions.SucceedProps{
		Comment: jsii.String("The upstream gave a final answer"),
	})
	// Not a Fail state: the last answer would have to go into its cause, which holds 32,768 characters, and which stands in
	// the logs even if execution data do not.
	failed := awsstepfunctions.NewSucceed(scope, jsii.String(failedState), &awsstepfunctions.SucceedProps{
		Comment: jsii.String("Attempts or time ran out; the output has the last answer"),
	})
	record := newRecordState(scope, table, props.Idempotency.OmitCookies, succeeded)
	released := awsstepfunctions.NewChoice(scope, jsii.String("Released"), nil)
	released.When(outcomeIs(retry.Succeeded), succeeded, nil)
	release := newReleaseState(scope, table, released)
	// What is to have a letter goes there on the way to Failed; what has no summary was stopped or superseded.
	var dead, untold awsstepfunctions.IChainable = failed, failed
	if letters != nil {
		dead = newDeadLetterState(scope, letters, failed)
		released.When(hasSummary(), dead, nil)
		untold = newSettledState(scope, dead)
	}
	released.Otherwise(failed)
	var allLost awsstepfunctions.IChainable = newAllLostState(scope, release, dead, letters != nil)
	if giveUp != nil {
		// What has come of it is known, though not here: the key stays locked, and whoever asks with it is told.
		giveUp.AddCatch(untold, &awsstepfunctions.CatchProps{Errors: jsii.Strings(settledAlready), ResultPath: jsii.String(message.FaultPath)})
		giveUp.AddCatch(allLost, &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), ResultPath: jsii.String(message.FaultPath)})
		giveUp.Next(allLost)
		allLost = giveUp
	}

	tasks := make([]awsstepfunctionstasks.LambdaInvoke, len(proxies))
	for i, proxy := range proxies {
		tasks[i] = newTask(scope, stateName("Proxy", i), props, proxy)
	}
	for i, task := range tasks {
		next := tasks[(i+1)%len(tasks)]
		wait := awsstepfunctions.NewWait(scope, stateName("Wait", i), &awsstepfunctions.WaitProps{
			Time: awsstepfunctions.WaitTime_SecondsPath(jsii.String(message.WaitSecondsPath)),
		})
		wait.Next(next)

		check := awsstepfunctions.NewChoice(scope, stateName("Check", i), nil)
		check.When(awsstepfunctions.Condition_And(outcomeIs(retry.Succeeded), awsstepfunctions.Condition_Not(hasRecord())), succeeded, nil)
		if letters != nil {
			check.When(awsstepfunctions.Condition_And(hasSummary(), awsstepfunctions.Condition_Not(hasRecord())), dead, nil)
		}
		check.When(awsstepfunctions.Condition_And(outcomeIs(retry.Failed), awsstepfunctions.Condition_Not(hasRecord())), failed, nil)
		check.When(awsstepfunctions.Condition_And(outcomeIs(retry.Succeeded), awsstepfunctions.Condition_Not(isUnsettled())), record, nil)
		check.When(awsstepfunctions.Condition_Or(outcomeIs(retry.Succeeded), outcomeIs(retry.Failed)), release, nil)
		check.When(tooManyLosses(), allLost, nil)
		check.When(awsstepfunctions.Condition_NumberGreaterThanEquals(jsii.String(message.WaitSecondsPath), jsii.Number(1)), wait, nil)
		check.Otherwise(next)

		lost := awsstepfunctions.NewPass(scope, stateName("Lost", i), &awsstepfunctions.PassProps{
			Comment:    jsii.String("The proxy gave no answer; the next one judges what that means"),
			Parameters: parameters(message.AfterLoss(message.ProxyName(i + 1))),
		})
		lost.Next(check)
		task.Next(check)
		task.AddCatch(lost, &awsstepfunctions.CatchProps{
			Errors:     jsii.Strings("States.ALL"),
			ResultPath: jsii.String(message.FaultPath),
		})
	}
	return newEnterState(scope, tasks)
}

// newEnterState creates the state that an execution starts with: it leads to the proxy that makes the first attempt, whose
// number is in the input, or to the first one. With one proxy there is nothing to choose.
func newEnterState(scope constructs.Construct, tasks []awsstepfunctionstasks.LambdaInvoke) awsstepfunctions.IChainable {
	if len(tasks) == 1 {
		return tasks[0]
	}
	enter := awsstepfunctions.NewChoice(scope, jsii.String("Enter"), &awsstepfunctions.ChoiceProps{
		Comment: jsii.String("The gateway draws the proxy that makes the first attempt"),
	})
	start := jsii.String(message.StartPath)
	for i, task := range tasks[1:] {
		enter.When(awsstepfunctions.Condition_And(
			awsstepfunctions.Condition_IsPresent(start), awsstepfunctions.Condition_NumberEquals(start, jsii.Number(i+2))), task, nil)
	}
	enter.Otherwise(tasks[0])
	return enter
}

// newAllLostState creates the states for an execution whose proxies were lost one after the other: one that leaves the
// request out of what is told at the end, and one that goes there, as a Check state does. With a summary, there is to be a
// letter.
func newAllLostState(scope constructs.Construct, release, failed awsstepfunctions.IChainable, summary bool) awsstepfunctions.Pass {
	told := message.AfterLosses()
	if summary {
		told["summary"] = message.SummaryOfLosses()
	}
	allLost := awsstepfunctions.NewPass(scope, jsii.String("AllLost"), &awsstepfunctions.PassProps{
		Comment:    jsii.String("No proxy was left to judge; the gateway does it"),
		Parameters: parameters(told),
	})
	check := awsstepfunctions.NewChoice(scope, jsii.String("CheckAllLost"), nil)
	check.When(hasRecord(), awsstepfunctions.Chain_Start(release), nil)
	check.Otherwise(failed)
	allLost.Next(check)
	return allLost
}

func outcomeIs(outcome retry.Outcome) awsstepfunctions.Condition {
	return awsstepfunctions.Condition_StringEquals(jsii.String(message.OutcomePath), jsii.String(string(outcome)))
}

// isUnsettled says that the answer does not settle the operation, so that it is not recorded.
func isUnsettled() awsstepfunctions.Condition {
	return awsstepfunctions.Condition_IsPresent(jsii.String(message.ReleasePath))
}

func tooManyLosses() awsstepfunctions.Condition {
	count, allowed := jsii.String(message.LossesCountPath), jsii.String(message.LossesAllowedPath)
	return awsstepfunctions.Condition_And(awsstepfunctions.Condition_IsPresent(count), awsstepfunctions.Condition_NumberGreaterThanJsonPath(count, allowed))
}

// parameters has the form that the CDK takes Parameters in.
func parameters(p map[string]any) *map[string]any { return &p }

// newTask creates the Task that calls one proxy.
func newTask(scope constructs.Construct, name *string, props RetryingApiProxyProps, proxy awslambda.Alias) awsstepfunctionstasks.LambdaInvoke {
	task := awsstepfunctionstasks.NewLambdaInvoke(scope, name, &awsstepfunctionstasks.LambdaInvokeProps{
		LambdaFunction:           proxy,
		Payload:                  awsstepfunctions.TaskInput_FromJsonPathAt(jsii.String("$")),
		OutputPath:               jsii.String("$.Payload"),
		RetryOnServiceExceptions: jsii.Bool(false), // its list holds errors after which the function may have run
		TaskTimeout:              awsstepfunctions.Timeout_Duration(seconds(props.taskTimeout())),
	})
	task.AddRetry(faultRetry(serviceFaults, serviceFaultMaxDelay))
	return task
}

// stateName is the name of a state of the i-th proxy, counted from zero: Proxy-1, Check-1, Wait-1.
func stateName(what string, i int) *string {
	return jsii.String(what + "-" + strconv.Itoa(i+1))
}
