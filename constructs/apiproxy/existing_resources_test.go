//go:build !race

package apiproxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// importedRoles are the roles orders-gateway, orders-proxies and orders-machine of an account.
func importedRoles(scope constructs.Construct, options *awsiam.FromRoleArnOptions) apiproxy.Roles {
	role := func(id string) awsiam.IRole {
		return awsiam.Role_FromRoleArn(scope, jsii.String(id), jsii.String("arn:aws:iam::123456789012:role/orders-"+strings.ToLower(id)), options)
	}
	return apiproxy.Roles{Gateway: role("Gateway"), Proxies: role("Proxies"), StateMachines: role("Machine")}
}

// everywhere is a stack whose RetryingApiProxy has whatever brings rights, with the roles and log groups given.
func everywhere(app awscdk.App, name string, given func(awscdk.Stack, *apiproxy.RetryingApiProxyProps)) awscdk.Stack {
	stack := awscdk.NewStack(app, &name, &awscdk.StackProps{Env: &awscdk.Environment{
		Account: jsii.String("123456789012"), Region: jsii.String("eu-central-1"),
	}})
	props := everything()
	given(stack, props)
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	return stack
}

// holders are the statements of policies, each without whom it is attached to, by the roles that hold them. A role of the
// construct's own is told by what it is for.
func holders(template template) map[string][]string {
	found := map[string][]string{}
	for _, line := range template.statements() {
		whose, rest, _ := strings.Cut(line, ": ")
		found[whose] = append(found[whose], rest)
	}
	return found
}

func TestWhatFunctionsAndStateMachinesNeedIsGrantedToRolesThatExist(t *testing.T) {
	app := newApp(nothingBundled, map[string]any{"@aws-cdk/aws-iam:importedRoleStackSafeDefaultPolicyName": true})
	everywhere(app, "Own", func(awscdk.Stack, *apiproxy.RetryingApiProxyProps) {})
	everywhere(app, "Imported", func(stack awscdk.Stack, props *apiproxy.RetryingApiProxyProps) {
		props.Roles = importedRoles(stack, nil)
	})
	templates := synthesise(app)
	own, imported := templates["Own"], templates["Imported"]
	for _, role := range imported.roles() {
		t.Errorf("the role %s is created", role.id)
	}
	for _, function := range imported.functions() {
		want := "arn:aws:iam::123456789012:role/orders-proxies"
		if function == imported.gateway() {
			want = "arn:aws:iam::123456789012:role/orders-gateway"
		}
		if got := flat(function.at("Role")); got != want {
			t.Errorf("%s has the role %s; want %s", function.name(), got, want)
		}
	}
	for _, machine := range imported.machines() {
		if got := flat(machine.at("RoleArn")); got != "arn:aws:iam::123456789012:role/orders-machine" {
			t.Errorf("%s has the role %s", machine.id, got)
		}
	}

	functionNames := regexp.MustCompile(`(Own|Imported)-Orders-[0-9A-F]{8}`) // which differ, and stand in rights on network interfaces
	rights := func(template template, holder string) []string {
		var lines []string
		for whose, statements := range holders(template) {
			if whose != holder {
				continue
			}
			for _, statement := range statements {
				lines = append(lines, functionNames.ReplaceAllString(statement, "Orders"))
			}
		}
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	ofRole := func(function *resource) []string {
		var lines []string
		for _, line := range rights(own, "${"+own.roleOf(function).id+"}") {
			if !strings.Contains(line, "sts:AssumeRole") { // who may assume it is for whoever creates it
				lines = append(lines, line)
			}
		}
		return lines
	}
	if difference := cmp.Diff(ofRole(own.gateway()), rights(imported, "orders-gateway")); difference != "" {
		t.Errorf("the gateway's role (-own +imported):\n%s", difference)
	}
	var proxies []string
	for _, proxy := range own.proxies() {
		proxies = append(proxies, ofRole(proxy)...)
	}
	slices.Sort(proxies)
	if difference := cmp.Diff(slices.Compact(proxies), rights(imported, "orders-proxies")); difference != "" {
		t.Errorf("the proxies' role (-own +imported):\n%s", difference)
	}
	for _, action := range []string{"lambda:InvokeFunction", "dynamodb:UpdateItem", "sqs:SendMessage", "states:StartExecution", "logs:CreateLogDelivery"} {
		if !slices.ContainsFunc(rights(imported, "orders-machine"), func(line string) bool { return strings.Contains(line, action) }) {
			t.Errorf("the state machines' role may not %s", action)
		}
	}
}

func TestNothingIsGrantedToRolesThatAreImmutable(t *testing.T) {
	app := newApp(nothingBundled)
	everywhere(app, "Immutable", func(stack awscdk.Stack, props *apiproxy.RetryingApiProxyProps) {
		props.Roles = importedRoles(stack, &awsiam.FromRoleArnOptions{Mutable: jsii.Bool(false)})
	})
	template := synthesise(app)["Immutable"]
	for _, kind := range []string{"AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"} {
		for _, resource := range template.ofType(kind) {
			t.Errorf("%s %s is created", kind, resource.id)
		}
	}
	if got := flat(template.gateway().at("Role")); got != "arn:aws:iam::123456789012:role/orders-gateway" {
		t.Errorf("the gateway has the role %s", got)
	}
}

func TestOneRoleForTwoThingsIsRefused(t *testing.T) {
	_, stack := newStack()
	props := minimal()
	props.Roles = importedRoles(stack, nil)
	props.Roles.StateMachines = props.Roles.Gateway
	message := panicOf(t, func() { apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props) })
	if want := "Roles.Gateway and Roles.StateMachines are the same role; give different ones"; !strings.Contains(message, want) {
		t.Errorf("the message does not say %q:\n%s", want, message)
	}
}

// Each would be denied the records of the other, and so all of them. The second import is another object with the same ARN.
func TestRolesOfAnotherWithTheSameTableAreRefused(t *testing.T) {
	_, stack := newStack()
	table := apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), nil)
	build := func(id string, change func(*apiproxy.RetryingApiProxyProps)) {
		props := minimal()
		props.ProxyCount, props.Table = 1, table
		props.Roles = importedRoles(constructs.NewConstruct(stack, jsii.String("RolesOf"+id)), nil)
		change(props)
		apiproxy.NewRetryingApiProxy(stack, &id, props)
	}
	build("Orders", func(*apiproxy.RetryingApiProxyProps) {})
	message := panicOf(t, func() { build("Refunds", func(*apiproxy.RetryingApiProxyProps) {}) })
	if want := `Roles.Gateway is a role that the RetryingApiProxy with the RecordPrefix "Orders" has too, and both have the same table`; !strings.Contains(message, want) {
		t.Errorf("the message does not say %q:\n%s", want, message)
	}
	build("OwnTable", func(p *apiproxy.RetryingApiProxyProps) { p.Table = nil })
	build("SamePrefix", func(p *apiproxy.RetryingApiProxyProps) { p.RecordPrefix = "Orders" })
}

func TestLogsGoToTheLogGroupsThatExist(t *testing.T) {
	app := newApp(nothingBundled)
	everywhere(app, "Logged", func(stack awscdk.Stack, props *apiproxy.RetryingApiProxyProps) {
		group := func(name string) awslogs.ILogGroup { return awslogs.LogGroup_FromLogGroupName(stack, &name, &name) }
		props.LogGroups = apiproxy.LogGroups{Gateway: group("gateway"), Proxies: group("proxies"), StateMachines: group("machines")}
	})
	template := synthesise(app)["Logged"]
	for _, group := range template.ofType("AWS::Logs::LogGroup") {
		t.Errorf("the log group %s is created", group.id)
	}
	for _, function := range template.functions() {
		want := "proxies"
		if function == template.gateway() {
			want = "gateway"
		}
		if got := flat(function.at("LoggingConfig", "LogGroup")); got != want {
			t.Errorf("%s logs to %s; want %s", function.name(), got, want)
		}
		arn := "arn:${AWS::Partition}:logs:eu-central-1:123456789012:log-group:" + want + ":*"
		for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
			if got := template.resourcesOf(template.roleOf(function), action); !slices.Equal(got, []string{arn}) {
				t.Errorf("%s may %s on %v; want %s", function.name(), action, got, arn)
			}
		}
	}
	for _, machine := range template.machines() {
		destinations, _ := machine.at("LoggingConfiguration", "Destinations").([]any)
		if got := flat(at(destinations[0], "CloudWatchLogsLogGroup", "LogGroupArn")); !strings.HasSuffix(got, ":log-group:machines:*") {
			t.Errorf("%s logs to %s", machine.id, got)
		}
	}
	// Both state machines log to one group: two filters would count each failure twice.
	var counted []string
	for _, filter := range template.ofType("AWS::Logs::MetricFilter") {
		transformations := filter.at("MetricTransformations").([]any)
		name := flat(at(transformations[0], "MetricName"))
		counted = append(counted, fmt.Sprint(flat(filter.at("LogGroupName")), " ", name[strings.LastIndex(name, "-")+1:]))
	}
	if want := []string{"machines Failed", "machines Undelivered"}; !slices.Equal(counted, want) {
		t.Errorf("these are counted: %q; want %q", counted, want)
	}
}

func TestALogGroupOfFunctionsCanBeThatOfSeveral(t *testing.T) {
	app, stack := newStack()
	group := awslogs.NewLogGroup(stack, jsii.String("Logs"), nil)
	for _, id := range []string{"Orders", "Refunds"} {
		props := minimal()
		props.ProxyCount, props.LogGroups = 1, apiproxy.LogGroups{Gateway: group, Proxies: group, StateMachines: group}
		apiproxy.NewRetryingApiProxy(stack, &id, props)
	}
	template := synthesise(app)["Shop"]
	if got := len(template.ofType("AWS::Logs::LogGroup")); got != 1 {
		t.Errorf("%d log groups; want one", got)
	}
	if got := len(template.ofType("AWS::Logs::MetricFilter")); got != 2 {
		t.Errorf("%d metric filters; want one of each", got)
	}
}

// Whoever creates the roles by hand has the CDK write down what each of them needs: docs/platform.md.
func TestTheCDKReportsWhatEachRoleNeeds(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Reported"), nil)
	awsiam.Role_CustomizeRoles(stack, &awsiam.CustomizeRolesOptions{PreventSynthesis: jsii.Bool(true)})
	props := everything()
	props.ProxyCount = 2
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	assembly := app.Synth(&awscdk.StageSynthesisOptions{SkipValidation: jsii.Bool(true)})
	text, err := os.ReadFile(filepath.Join(*assembly.Directory(), "iam-policy-report.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"(Reported/Orders/gateway-role)", "(Reported/Orders/proxy-1-role)", "(Reported/Orders/proxy-2-role)", "(Reported/Orders/state-machine-role)",
		"(Reported/Orders/Async/state-machine-role)", "states:StartSyncExecution", "states:StartExecution", "dynamodb:LeadingKeys", "lambda:InvokeFunction", "secretsmanager:GetSecretValue",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}
