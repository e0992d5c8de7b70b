//go:build !race

package apiproxy_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestEachFunctionIsCustomizedByItsNameAfterEverythingElse(t *testing.T) {
	app, stack := newStack()
	props := minimal()
	props.ProxyCount, props.MemorySizeMiB = 2, 192
	props.Environment = map[string]string{"DD_SITE": "datadoghq.eu"}
	var names []string
	props.Customize = func(name string, function *awslambda.FunctionProps) {
		names = append(names, name)
		if *function.MemorySize != 192 || *(*function.Environment)["DD_SITE"] != "datadoghq.eu" || (*function.Environment)["RETRY_POLICY"] == nil {
			t.Errorf("%s is handed over with %v MiB and the variables %v", name, *function.MemorySize, *function.Environment)
		}
		function.MemorySize = jsii.Number(1024)
		function.Layers = &[]awslambda.ILayerVersion{awslambda.LayerVersion_FromLayerVersionArn(stack, jsii.String("Layer-"+name),
			jsii.String("arn:aws:lambda:eu-central-1:123456789012:layer:agent:7"))}
		function.Timeout = awscdk.Duration_Seconds(jsii.Number(600))
		(*function.Environment)["AGENT_OF"] = jsii.String(name)
		if name == "gateway" {
			function.FunctionName = jsii.String("orders")
		}
	}
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	if want := []string{"proxy-1", "proxy-2", "gateway"}; !slices.Equal(names, want) {
		t.Errorf("these were customized: %v; want %v", names, want)
	}
	template := synthesise(app)["Shop"]
	if got := template.gateway().name(); got != "orders" {
		t.Errorf("the gateway is called %s", got)
	}
	for _, function := range template.functions() {
		told := environment(function)
		if function.number("MemorySize") != 1024 || function.number("Timeout") != 600 || !strings.Contains(flat(function.at("Layers")), "layer:agent:7") ||
			told["DD_SITE"] != "datadoghq.eu" || told["AGENT_OF"] == "" {
			t.Errorf("%s is created with %v", function.name(), function.Properties)
		}
	}
}

func TestWhatCustomizeMustNotChangeIsToldAllAtOnce(t *testing.T) {
	_, stack := newStack()
	props := minimal()
	props.Customize = func(name string, function *awslambda.FunctionProps) {
		function.Runtime = awslambda.Runtime_PROVIDED_AL2023()
		function.Role = awsiam.NewRole(stack, jsii.String("Role"), &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil)})
		function.LogGroup = awslogs.NewLogGroup(stack, jsii.String("Logs"), nil)
		function.LoggingFormat = awslambda.LoggingFormat_TEXT
		function.Timeout = awscdk.Duration_Seconds(jsii.Number(293))
		variables := *function.Environment
		delete(variables, "PROXY_NAME")
		variables["PROXY_COUNT"] = jsii.String("4")
		variables["METRICS"] = jsii.String("off")
		variables["AWS_REGION"] = jsii.String("eu-central-1")
		variables["DATA"] = jsii.String(strings.Repeat("a", 4096))
	}
	message := panicOf(t, func() { apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props) })
	for _, want := range []string{
		`RetryingApiProxy "Orders" cannot be built: Customize has changed of the function proxy-1 what must stay:` + "\n",
		"Code, Runtime and Handler are those of the handler that is compiled",
		"Role is another one, which was granted nothing; give it by the prop Roles",
		"LogGroup is another one, which the role may not write to; give it by the prop LogGroups",
		"LoggingFormat must stay JSON",
		"Timeout must be 4m54s or more",
		"Environment has other values of, or none for, PROXY_COUNT, PROXY_NAME; add variables only",
		"Environment has METRICS, by which the functions are told of other props",
		"Environment has AWS_REGION, which Lambda sets itself",
		"bytes, names and values; Lambda has room for 4096",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
	if got := strings.Count(message, "\n"); got != 9 {
		t.Errorf("the message has %d lines after its first; want 9:\n%s", got, message)
	}
}

func TestCustomizeMustLeaveATimeoutAndVariables(t *testing.T) {
	_, stack := newStack()
	props := minimal()
	props.Customize = func(_ string, function *awslambda.FunctionProps) { function.Timeout, function.Environment = nil, nil }
	message := panicOf(t, func() { apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props) })
	for _, want := range []string{"Timeout must be 4m54s or more", "none for, GATE, IDEMPOTENCY_TTL"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
}

// The handlers read what environment.go of package message names. A variable that is missing in the list could be set by
// whoever imports the construct, and would have the functions do something that no prop says.
func TestEnvironmentMayHaveNoneOfTheVariablesThatTheFunctionsRead(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join("..", "..", "functions", "message", "environment.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, isConstant := node.(*ast.ValueSpec)
		if !isConstant || !strings.HasSuffix(spec.Names[0].Name, "Variable") {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		given[name] = ""
		return true
	})
	if len(given) < 40 {
		t.Fatalf("environment.go names %d variables; want 40 or more", len(given))
	}
	err = props(func(p *apiproxy.RetryingApiProxyProps) { p.Environment = given }).Validate()
	var refused []string
	for _, line := range strings.Split(err.Error(), "\n") {
		if name, of := strings.CutPrefix(line, "Environment has "); of {
			refused = append(refused, strings.SplitN(name, ",", 2)[0])
		}
	}
	if difference := cmp.Diff(slices.Sorted(maps.Keys(given)), refused); difference != "" {
		t.Errorf("what is refused (-want +got):\n%s", difference)
	}
}

func TestVariablesOfEnvironmentReachAllFunctions(t *testing.T) {
	for _, function := range variants()["Everything"].functions() {
		if got := environment(function)["AWS_USE_FIPS_ENDPOINT"]; got != "true" {
			t.Errorf("%s is told %q", function.name(), got)
		}
	}
}
