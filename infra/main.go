// Command infra is the CDK app. cdk.json runs it; it can be run by itself too, with the cloud assembly's directory in
// CDK_OUTDIR. With the argument explain it prints what the stack's retry policy comes to instead, and with leaves what cdk destroy
// leaves in the account.
//
// Context, by cdk -c or cdk.json:
//
//	upstream      base URL of the API that is called (default https://httpbin.org)
//	proxies       number of proxies, 1 to 20 (default 3)
//	architecture  arm64 or x86_64 (default arm64)
//	auth          AWS_IAM or NONE: who may call the URL (default AWS_IAM)
//	async         true, or how long they may take, such as 6h: lets requests be asynchronous, by Prefer: respond-async (default
//	              false)
//	deadletters   true or false: has asynchronous requests that failed told of in a queue; needs async (default false)
//	callback      https URL that is told of the end of asynchronous requests; needs async (default: none)
//	callbackhosts hosts with commas between that the field Callback-Url of such requests may name; needs async (default: none)
//	largebodies   true or false: lets bodies be as large as what the URL carries, by way of a bucket (default false)
//	flowcontrol   off, adaptive, observe, or a rate as fixed:RATE/PERIOD or fixed:RATE/PERIOD:BURST, such as fixed:50/1s:80: has requests
//	              that share a limit wait for one another; docs/gate.md (default off)
//	flowkey       what limits are counted by: credential+route, credential, route or upstream (default credential+route)
//	maxwaiting    how many requests that share a limit may wait at the same time, -1 for no bound (default 500)
//	circuitbreaker
//	              on or off: stops calls while nearly all of them fail (default on)
//	policy        the retry policy: JSON, or the name of a file with it (default: the default policy)
//	vendor        names of vendors with commas between, whose presets the policy is put over; docs/vendors.md lists them
//	              (default: none)
//	table         name of a table of idempotency records that is there, such as one that cdk destroy has left (default: one is created)
//	alarms        true, or the ARN of the Amazon SNS topic that is told: has alarms, for $0.10 a month for each metric that they look
//	              at; docs/monitoring.md (default false)
//	dashboard     true or false: has a dashboard, for $3 a month (default false)
//	savedqueries  true or false: keeps queries of CloudWatch Logs Insights for the logs (default true)
//	egress        shared, static or ipv6: which addresses the proxies call from; static costs $36.50 a month for each proxy;
//	              docs/egress.md (default shared)
//	addressprobe  https URL that answers with the address that it was called from, by which proxies learn theirs (default: none)
//	queue         true adds a queue whose messages are requests; docs/triggers.md (default false)
//	upstreamauth  how to authenticate to the upstream, and the name of the secret in AWS Secrets Manager: bearer:SECRET,
//	              basic:SECRET, header/NAME:SECRET, query/NAME:SECRET, oauth2/TOKEN-URL:SECRET or certificate:SECRET, with #FIELD
//	              behind it for one field of a JSON object (default: not at all)
//	verification  true puts the stack in the place that make verify runs against, in the same variant (default false)
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	argument := ""
	if len(os.Args) > 1 {
		argument = os.Args[1]
	}
	if len(os.Args) > 1 && argument != "explain" && argument != "leaves" {
		fmt.Fprintf(os.Stderr, "infra: the argument is %q; give explain, leaves, or none to synthesise the stack\n", argument)
		os.Exit(2)
	}

	defer jsii.Close()
	// The constructs of the CDK panic with what is wrong; a stack trace under it helps nobody.
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Fprintln(os.Stderr, problem)
			jsii.Close()
			os.Exit(1)
		}
	}()

	switch argument {
	case "explain":
		explain(awscdk.NewApp(nil))
	case "leaves":
		// Nothing is deployed, so no handler has to be compiled.
		leaves(awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []string{}}}), os.Stdout)
	default:
		app := awscdk.NewApp(nil)
		stacks(app)
		app.Synth(nil)
	}
}
