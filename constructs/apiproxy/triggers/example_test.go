package triggers_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/triggers"
)

// A queue into which one role puts requests, such as {"method": "POST", "path": "/orders", "body": {"tea": 2}}.
func ExampleNewQueue() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
	})

	jobs := triggers.NewQueue(stack, jsii.String("Jobs"), &triggers.QueueProps{
		Proxy:          proxy,
		MaxConcurrency: 5, // 50 messages at once
	})
	jobs.GrantSend(awsiam.NewRole(stack, jsii.String("Sender"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()}))

	app.Synth(nil)
}

// A report that is asked for each night at three, in Berlin.
func ExampleNewSchedule() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
	})

	triggers.NewSchedule(stack, jsii.String("Nightly"), &triggers.ScheduleProps{
		Proxy: proxy,
		Request: triggers.Request{
			Method: "POST", Path: "/reports",
			Body: map[string]any{"until": awsscheduler.ContextAttribute_ScheduledTime()},
		},
		Schedule: &awsscheduler.ScheduleProps{
			Schedule: awsscheduler.ScheduleExpression_Cron(&awsscheduler.CronOptionsWithTimezone{
				Hour: jsii.String("3"), Minute: jsii.String("0"), TimeZone: awscdk.TimeZone_EUROPE_BERLIN(),
			}),
		},
	})
	triggers.DeadLetters(proxy).MetricApproximateNumberOfMessagesVisible(nil) // for an alarm

	app.Synth(nil)
}

// Each order that the shop tells of is put into the upstream API.
func ExampleNewRule() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
	})

	triggers.NewRule(stack, jsii.String("Ordered"), &triggers.RuleProps{
		Proxy: proxy,
		Request: triggers.Request{
			Method: "PUT", Path: "/orders/" + *awsevents.EventField_FromPath(jsii.String("$.detail.id")),
			Body:   awsevents.EventField_FromPath(jsii.String("$.detail")),
			FailOn: triggers.FailOnError, // what the API refuses goes to the dead letters too
		},
		Rule: &awsevents.RuleProps{EventPattern: &awsevents.EventPattern{
			Source: jsii.Strings("shop"), DetailType: jsii.Strings("order"),
			Detail: &map[string]any{"id": []any{map[string]any{"exists": true}}},
		}},
	})

	app.Synth(nil)
}

// A state that pays for an order, and a choice by the API's answer.
func ExampleNewTask() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
	})

	pay := triggers.NewTask(stack, jsii.String("Pay"), &triggers.TaskProps{
		Proxy: proxy,
		Request: triggers.Request{
			Method: "POST", Path: "/payments",
			Body:           awsstepfunctions.JsonPath_ObjectAt(jsii.String("$.payment")),
			IdempotencyKey: *awsstepfunctions.JsonPath_StringAt(jsii.String("$.orderId")),
		},
	})
	unknown := awsstepfunctions.NewFail(stack, jsii.String("Unknown"), nil)
	pay.AddCatch(unknown, &awsstepfunctions.CatchProps{Errors: jsii.Strings(triggers.NoFinalAnswerError)})
	paid := awsstepfunctions.NewChoice(stack, jsii.String("Paid"), nil)
	paid.When(awsstepfunctions.Condition_NumberEquals(jsii.String("$.statusCode"), jsii.Number(201)),
		awsstepfunctions.NewSucceed(stack, jsii.String("Done"), nil), nil)
	paid.Otherwise(awsstepfunctions.NewFail(stack, jsii.String("Refused"), nil))
	awsstepfunctions.NewStateMachine(stack, jsii.String("Checkout"), &awsstepfunctions.StateMachineProps{
		DefinitionBody: awsstepfunctions.DefinitionBody_FromChainable(pay.Next(paid)),
	})

	app.Synth(nil)
}
