package apiproxy

import (
	"strconv"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Retries of the Task itself, for faults of the Lambda service. The upstream's answers are for the ring.
const (
	serviceFaultAttempts = 3
	serviceFaultInterval = 1 * time.Second
	serviceFaultMaxDelay = 5 * time.Second
	serviceFaultRate     = 2
)

// serviceFaults are the errors of an invocation that did not reach the function. What may have reached it, such as
// Lambda.ClientExecutionTimeoutException, Lambda.SdkClientException and States.Timeout, is a lost proxy.
var serviceFaults = []string{
	"Lambda.TooManyRequestsException",
	"Lambda.ServiceException",
	"Lambda.AWSLambdaException",
}

// newRing builds the graph: for each proxy a Task that calls it, a Choice that looks at what it answered, and a Wait.
//
// The result of a Task is {"answer": <the proxy's answer>}. The envelope that the Task was given has an answer too,
// the one to go on with if the proxy is lost. So the Choice finds an answer under the same name in either case, and
// hands it on: to the end, or, since an answer that is to be retried is the next proxy's envelope, to the next proxy.
// On the way to the end the idempotency record is completed or released, if the execution started with one.
func newRing(scope constructs.Construct, props RetryingApiProxyProps, proxies []awslambda.Alias, table awsdynamodb.ITableV2) awsstepfunctions.IChainable {
	succeeded := awsstepfunctions.NewSucceed(scope, jsii.String("Succeeded"), &awsstepfunctions.SucceedProps{
		Comment: jsii.String("The upstream gave a final answer"),
	})
	failed := awsstepfunctions.NewFail(scope, jsii.String("Failed"), &awsstepfunctions.FailProps{
		Comment:   jsii.String("Attempts or time ran out; the last answer is in the cause"),
		ErrorPath: jsii.String("$.error"),
		CausePath: jsii.String("States.JsonToString($)"),
	})
	record := newRecordState(scope, table, succeeded)
	release := newReleaseState(scope, table, failed)

	tasks := make([]awsstepfunctionstasks.LambdaInvoke, len(proxies))
	for i, proxy := range proxies {
		tasks[i] = newTask(scope, stateName("Proxy", i), props, proxy)
	}
	for i, task := range tasks {
		next := tasks[(i+1)%len(tasks)]
		wait := awsstepfunctions.NewWait(scope, stateName("Wait", i), &awsstepfunctions.WaitProps{
			Time: awsstepfunctions.WaitTime_SecondsPath(jsii.String("$.waitSeconds")),
		})
		wait.Next(next)
		check := awsstepfunctions.NewChoice(scope, stateName("Check", i), &awsstepfunctions.ChoiceProps{
			OutputPath: jsii.String("$.answer"),
		})
		outcomeIs := func(outcome retry.Outcome) awsstepfunctions.Condition {
			return awsstepfunctions.Condition_StringEquals(jsii.String("$.answer.outcome"), jsii.String(string(outcome)))
		}
		check.When(awsstepfunctions.Condition_And(outcomeIs(retry.Succeeded), hasRecord()), record, nil)
		check.When(outcomeIs(retry.Succeeded), succeeded, nil)
		check.When(awsstepfunctions.Condition_And(outcomeIs(retry.Failed), hasRecord()), release, nil)
		check.When(outcomeIs(retry.Failed), failed, nil)
		check.When(awsstepfunctions.Condition_NumberGreaterThanEquals(jsii.String("$.answer.waitSeconds"), jsii.Number(1)), wait, nil)
		check.Otherwise(next)

		task.Next(check)
		task.AddCatch(check, &awsstepfunctions.CatchProps{
			Errors:     jsii.Strings("States.ALL"),
			ResultPath: jsii.String("$.answer.fault"),
		})
	}
	return tasks[0]
}

// newTask creates the Task that calls one proxy.
func newTask(scope constructs.Construct, name *string, props RetryingApiProxyProps, proxy awslambda.Alias) awsstepfunctionstasks.LambdaInvoke {
	task := awsstepfunctionstasks.NewLambdaInvoke(scope, name, &awsstepfunctionstasks.LambdaInvokeProps{
		LambdaFunction:           proxy,
		Payload:                  awsstepfunctions.TaskInput_FromJsonPathAt(jsii.String("$")),
		ResultSelector:           &map[string]any{"answer.$": "$.Payload"},
		RetryOnServiceExceptions: jsii.Bool(false), // its list holds errors after which the function may have run
		TaskTimeout:              awsstepfunctions.Timeout_Duration(seconds(props.taskTimeout())),
	})
	task.AddRetry(&awsstepfunctions.RetryProps{
		Errors:         jsii.Strings(serviceFaults...),
		MaxAttempts:    jsii.Number(serviceFaultAttempts),
		Interval:       seconds(serviceFaultInterval),
		MaxDelay:       seconds(serviceFaultMaxDelay),
		BackoffRate:    jsii.Number(serviceFaultRate),
		JitterStrategy: awsstepfunctions.JitterType_FULL,
	})
	return task
}

// stateName is the name of a state of the i-th proxy, counted from zero: Proxy-1, Check-1, Wait-1.
func stateName(what string, i int) *string {
	return jsii.String(what + "-" + strconv.Itoa(i+1))
}
