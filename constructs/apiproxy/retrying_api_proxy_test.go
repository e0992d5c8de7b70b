//go:build !race

package apiproxy_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// newStack creates a stack in an app of its own.
func newStack() (awscdk.App, awscdk.Stack) {
	app := newApp(nothingBundled)
	return app, awscdk.NewStack(app, jsii.String("Shop"), nil)
}

func TestARetryingApiProxyHasItsPartsAsFields(t *testing.T) {
	_, stack := newStack()
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	if proxy.Gateway == nil || proxy.StateMachine == nil || proxy.Table == nil || proxy.Url == nil {
		t.Errorf("a field is nil: %+v", proxy)
	}
	for i, function := range proxy.Proxies {
		if got, want := *function.Node().Id(), fmt.Sprintf("proxy-%d", i+1); got != want {
			t.Errorf("Proxies[%d] has the id %s; want %s", i, got, want)
		}
	}
	if len(proxy.Proxies) != apiproxy.DefaultProxyCount {
		t.Errorf("%d proxies; want %d", len(proxy.Proxies), apiproxy.DefaultProxyCount)
	}
}

func TestARetryingApiProxyCanBeAScope(t *testing.T) {
	app, stack := newStack()
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	awssns.NewTopic(proxy, jsii.String("Alarms"), nil)
	if got := *awscdk.Stack_Of(proxy).StackName(); got != "Shop" {
		t.Errorf("it says that it is in the stack %s", got)
	}
	if got := *proxy.Node().Path(); got != "Shop/Orders" {
		t.Errorf("its path is %s", got)
	}
	if topic := synthesise(app)["Shop"].the("AWS::SNS::Topic"); !strings.HasPrefix(topic.id, "OrdersAlarms") {
		t.Errorf("the topic in it has the id %s", topic.id)
	}
}

func TestTagsOnARetryingApiProxyReachAllOfIt(t *testing.T) {
	app, stack := newStack()
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	awscdk.Tags_Of(proxy).Add(jsii.String("team"), jsii.String("shop"), nil)
	template := synthesise(app)["Shop"]
	for _, kind := range []string{"AWS::Lambda::Function", "AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::StepFunctions::StateMachine"} {
		for _, resource := range template.ofType(kind) {
			if got, want := flat(resource.at("Tags")), `[{"Key":"team","Value":"shop"}]`; got != want {
				t.Errorf("%s has the tags %s", resource.id, got)
			}
		}
	}
	replicas, _ := template.the(tableType).at("Replicas").([]any)
	if got, want := flat(at(replicas[0], "Tags")), `[{"Key":"team","Value":"shop"}]`; got != want {
		t.Errorf("the table has the tags %s", got)
	}
}

func TestARetryingApiProxyCanDependAndBeDependedOn(t *testing.T) {
	app, stack := newStack()
	before := awssns.NewTopic(stack, jsii.String("Before"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	after := awssns.NewTopic(stack, jsii.String("After"), nil)
	proxy.Node().AddDependency(before)
	after.Node().AddDependency(proxy)

	template := synthesise(app)["Shop"]
	id := func(topic awssns.Topic) string {
		return *stack.GetLogicalId(topic.Node().DefaultChild().(awscdk.CfnElement))
	}
	for _, function := range template.functions() {
		if !slices.Contains(each(function.DependsOn), id(before)) {
			t.Errorf("%s waits for %s; want for the topic too", function.id, flat(function.DependsOn))
		}
		if !slices.Contains(each(template.Resources[id(after)].DependsOn), function.id) {
			t.Errorf("the topic does not wait for %s", function.id)
		}
	}
}

func TestAnnotationsAndAspectsWorkOnARetryingApiProxy(t *testing.T) {
	_, stack := newStack()
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	awscdk.Annotations_Of(proxy).AddInfo(jsii.String("looked at"))
	if got := *constructs.Node_Of(proxy).Id(); got != "Orders" {
		t.Errorf("its id is %s", got)
	}
	if !*constructs.Construct_IsConstruct(proxy) {
		t.Error("it is not a construct")
	}
}

func TestThePropsAreNotChanged(t *testing.T) {
	for name, props := range map[string]func() *apiproxy.RetryingApiProxyProps{"minimal": minimal, "everything": everything} {
		_, stack := newStack()
		given := props()
		apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), given)
		// An Architecture is an object of the kernel's, of which there is one.
		ignore := cmpopts.IgnoreFields(apiproxy.RetryingApiProxyProps{}, "Architecture")
		unexported := cmp.Exporter(func(reflect.Type) bool { return true }) // of an UpstreamAuth
		if difference := cmp.Diff(props(), given, ignore, unexported); difference != "" {
			t.Errorf("%s (-before +after):\n%s", name, difference)
		}
	}
}

func TestTwoInOneStackAndTwoStacksInOneAppShareNoNames(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short; it synthesises thirty of them, which takes seconds")
	}
	app := newApp(nothingBundled)
	long := strings.Repeat("VeryLong", 14)
	for _, scope := range []constructs.Construct{
		app,
		awscdk.NewStage(app, jsii.String("Beta"), nil),
		awscdk.NewStage(app, jsii.String("Production"), nil),
	} {
		for _, name := range []string{"Shop", long} {
			stack := awscdk.NewStack(scope, &name, nil)
			props := minimal()
			props.ProxyCount = 1
			for _, id := range []string{"Orders", "orders", long, long + "2"} {
				apiproxy.NewRetryingApiProxy(stack, &id, props)
			}
			// One of the same id, but further down.
			apiproxy.NewRetryingApiProxy(constructs.NewConstruct(stack, jsii.String("Below")), jsii.String("Orders"), props)
		}
	}
	seen := map[string]bool{}
	check := func(name string, limit int) {
		if seen[name] {
			t.Errorf("two resources are called %s", name)
		}
		seen[name] = true
		if len(name) > limit {
			t.Errorf("%s has %d characters; the limit is %d", name, len(name), limit)
		}
	}
	for _, template := range synthesise(app) {
		for _, function := range template.functions() {
			check(function.name(), 64)
		}
		for _, group := range template.ofType("AWS::Logs::LogGroup") {
			if name := flat(group.at("LogGroupName")); name != "" {
				check(name, 512)
			}
		}
	}
	if want := 3 * 2 * 5 * 3; len(seen) != want { // scopes, stacks, proxies, names of each
		t.Errorf("%d names were looked at; want %d", len(seen), want)
	}
}

func TestBadPropsPanicOnceWithEveryProblem(t *testing.T) {
	_, stack := newStack()
	message := panicOf(t, func() {
		apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
			Upstream:      apiproxy.Upstream{BaseURL: "http://api.example.com", AllowedNetworks: []string{"10.1.0.0"}},
			ProxyCount:    21,
			MemorySizeMiB: 64,
			Retry:         retry.Policy{Scope: "everywhere"},
			Idempotency:   apiproxy.Idempotency{Required: "sometimes", TTL: -1},
			UrlAuthType:   awslambda.FunctionUrlAuthType("BASIC"),
		})
	})
	for _, want := range []string{
		`RetryingApiProxy "Orders"`, "http://api.example.com", "10.1.0.0", "21", "1 to 20", "64", "128", "everywhere",
		"per-address", "sometimes", "unsafe", "-1ns", "BASIC", "AWS_IAM",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q:\n%s", want, message)
		}
	}
	if children := *stack.Node().Children(); len(children) > 0 {
		t.Errorf("%d children are left in the scope", len(children))
	}
}

func TestNilPropsPanicWithWhatIsRequired(t *testing.T) {
	_, stack := newStack()
	message := panicOf(t, func() { apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), nil) })
	if !strings.Contains(message, "Upstream.BaseURL is empty") {
		t.Errorf("the message is:\n%s", message)
	}
	if strings.Count(message, "\n") != 1 {
		t.Errorf("the message lists more than what is required:\n%s", message)
	}
}

func TestAStackCanBeBuiltAfterBadPropsWerePutRight(t *testing.T) {
	app, stack := newStack()
	panicOf(t, func() { apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), nil) })
	apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	if got := len(synthesise(app)["Shop"].functions()); got != 4 {
		t.Errorf("%d functions; want 4", got)
	}
}
