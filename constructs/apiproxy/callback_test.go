//go:build !race

package apiproxy_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestOnlyAStackWithCallbacksHasASecretForThemAndStatesThatStartThem(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		with := strings.Contains(t.Name(), "/Callback") || strings.HasSuffix(t.Name(), "Callback") || strings.HasSuffix(t.Name(), "Everything") || strings.HasSuffix(t.Name(), "Monitored")
		if got := len(template.ofType("AWS::SecretsManager::Secret")); (got == 1) != with {
			t.Errorf("there are %d secrets", got)
		}
		if strings.Contains(template.definition().text, "startExecution") {
			t.Error("the state machine of those who wait starts callbacks")
		}
		if template.asyncMachine() != nil {
			if got := strings.Contains(template.asyncDefinition().text, "startExecution"); got != with {
				t.Errorf("that the state machine of asynchronous requests starts callbacks is %t", got)
			}
		}
		for _, function := range template.functions() {
			told := environment(function)
			_, secret := told["CALLBACK_SECRET"]
			if proxy := function != template.gateway(); secret != (with && proxy) {
				t.Errorf("that %s is told of the secret is %t", function.name(), secret)
			}
			if told["CALLBACK_URL"]+told["CALLBACK_HOSTS"] != "" && (!with || function != template.gateway()) {
				t.Errorf("%s is told who is called back", function.name())
			}
		}
	})
}

func TestTheGatewayIsToldWhoIsCalledBackAndTheProxiesOfTheSecret(t *testing.T) {
	for name, want := range map[string][2]string{
		"Callback":          {"https://hooks.example.com/orders", ""},
		"EncryptedCallback": {"", "hooks.example.com"},
		"Everything":        {"https://hooks.example.com/orders?shop=7", "hooks.example.com 10.1.2.3:8443"},
	} {
		template := variants()[name]
		if got := environment(template.gateway()); got["CALLBACK_URL"] != want[0] || got["CALLBACK_HOSTS"] != want[1] {
			t.Errorf("the gateway of %s is told %s and %q, want %q", name, got["CALLBACK_URL"], got["CALLBACK_HOSTS"], want)
		}
		secret := "${" + template.the("AWS::SecretsManager::Secret").id + "}"
		for _, proxy := range template.proxies() {
			if got := environment(proxy)["CALLBACK_SECRET"]; got != secret {
				t.Errorf("%s of %s is told of the secret %s, want %s", proxy.name(), name, got, secret)
			}
			for _, action := range []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"} {
				if got := template.resourcesOf(template.roleOf(proxy), action); !slices.Equal(got, []string{secret}) {
					t.Errorf("%s of %s may %s of %v, want of %s", proxy.name(), name, action, got, secret)
				}
			}
		}
		for _, role := range []*resource{template.roleOf(template.gateway()), template.machineRole(), template.referred(template.asyncMachine().at("RoleArn"))} {
			if got := template.resourcesOf(role, "secretsmanager:GetSecretValue"); len(got) > 0 {
				t.Errorf("%s of %s may read secrets", role.id, name)
			}
		}
	}
}

// Letters and digits are base64, whichever they are, if there is a multiple of four of them.
func TestTheSecretThatIsCreatedIs33BytesInBase64(t *testing.T) {
	for name, deletion := range map[string]string{"Callback": "Delete", "EncryptedCallback": "Delete", "Everything": "Delete"} {
		template := variants()[name]
		secret := template.the("AWS::SecretsManager::Secret")
		if secret.number("GenerateSecretString", "PasswordLength") != 44 || secret.at("GenerateSecretString", "ExcludePunctuation") != true {
			t.Errorf("the secret of %s is made up as %v", name, secret.at("GenerateSecretString"))
		}
		if got := secret.at("KmsKeyId") != nil; got != (name == "EncryptedCallback") {
			t.Errorf("that the secret of %s is encrypted with a key of the stack is %t", name, got)
		}
		if secret.DeletionPolicy != deletion {
			t.Errorf("the secret of %s has the deletion policy %s, want %s", name, secret.DeletionPolicy, deletion)
		}
		told := ""
		for output, one := range template.Outputs {
			if strings.HasPrefix(output, "OrdersCallbackSecretArn") {
				told = flat(one.Value)
			}
		}
		if !strings.Contains(told, secret.id) {
			t.Errorf("the output of %s is %q", name, told)
		}
	}
}

func TestTheSecretIsKeptIfThePropsSaySo(t *testing.T) {
	app := newApp(nothingBundled)
	props := minimal()
	props.Async, props.Callback, props.RemovalPolicy = &apiproxy.Async{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}, awscdk.RemovalPolicy_RETAIN
	apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Kept"), nil), jsii.String("Orders"), props)
	if secret := synthesise(app)["Kept"].the("AWS::SecretsManager::Secret"); secret.DeletionPolicy != "Retain" {
		t.Errorf("it has the deletion policy %s", secret.DeletionPolicy)
	}
}

func TestCallbacksCanBeSignedWithASecretThatIsThereAlready(t *testing.T) {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Shared"), nil)
	key := awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"))
	secret := awssecretsmanager.Secret_FromSecretAttributes(stack, jsii.String("Signing"), &awssecretsmanager.SecretAttributes{
		SecretCompleteArn: jsii.String("arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbCdEf"), EncryptionKey: key,
	})
	props := minimal()
	props.Async, props.Callback = &apiproxy.Async{}, &apiproxy.Callback{URL: "https://hooks.example.com", Secret: secret}
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	if proxy.CallbackSecret != secret {
		t.Error("CallbackSecret is another one")
	}
	template := synthesise(app)["Shared"]
	if got := len(template.ofType("AWS::SecretsManager::Secret")); got != 0 {
		t.Errorf("%d secrets are created", got)
	}
	for _, proxy := range template.proxies() {
		if got := environment(proxy)["CALLBACK_SECRET"]; got != *secret.SecretArn() {
			t.Errorf("%s is told of %s", proxy.name(), got)
		}
		if got := template.resourcesOf(template.roleOf(proxy), "kms:Decrypt"); !slices.Contains(got, *key.KeyArn()) {
			t.Errorf("%s may use the keys %v", proxy.name(), got)
		}
	}
}

// inputs are what a Choice finds present.
func inputs(present ...string) map[string]bool {
	has := map[string]bool{}
	for _, path := range present {
		has[path] = true
	}
	return has
}

func TestEveryWayToAnEndLeadsByTheCallbackIfThereIsOneAndOnlyThen(t *testing.T) {
	for _, name := range []string{"Callback", "EncryptedCallback", "Everything"} {
		d := variants()[name].asyncDefinition()
		for _, end := range []string{"Succeeded", "Failed"} {
			before := map[string]bool{}
			for state, s := range d.States {
				if slices.Contains(s.successors(), end) {
					before[state] = true
				}
			}
			for state := range before {
				s := d.States[state]
				switch {
				case state == "Callback-"+end, state == "CallbackLetter-"+end, state == "Untold-"+end:
				case s.Type != "Choice":
					t.Errorf("%s of %s leads to %s, whether there is a callback or not", state, name, end)
				default:
					// Whatever else holds, with a callback it does not lead to the end.
					for _, outcome := range []string{"succeeded", "failed", "retry"} {
						for _, more := range [][]string{nil, {recordPath}, {"$.summary"}, {"$.release"}, {recordPath, "$.release"}, {recordPath, "$.summary"}} {
							texts := map[string]string{"$.outcome": outcome}
							without := s.leads(texts, inputs(more...))
							want := without
							if without == "Succeeded" || without == "Failed" {
								want = "Callback-" + without
							}
							if with := s.leads(texts, inputs(append(more, callbackPath)...)); with != want || strings.HasPrefix(without, "Callback") {
								t.Errorf("%s of %s leads to %s without a callback, and to %s with one", state, name, without, with)
							}
						}
					}
				}
			}
		}
	}
}

func TestACallbackIsAnotherExecutionOfTheSameStateMachineAndIsStartedForMinutes(t *testing.T) {
	for _, name := range []string{"Callback", "Everything"} {
		d := variants()[name].asyncDefinition()
		for _, end := range []string{"Succeeded", "Failed"} {
			start := d.States["Callback-"+end]
			want := map[string]any{"StateMachineArn.$": "$$.StateMachine.Id", "Name.$": "$$.Execution.Input.callback.name", "Input.$": "$$.Execution.Input.callback.input"}
			if start.Type != "Task" || start.Resource != "arn:${AWS::Partition}:states:::states:startExecution" || !maps.Equal(start.Parameters, want) ||
				start.Next != end || string(start.ResultPath) != "null" || start.TimeoutSeconds != 10 {
				t.Errorf("the state of %s is %+v", name, start)
			}
			if len(start.Retry) != 2 || start.Retry[0].MaxAttempts != 0 || !slices.Equal(start.Retry[0].ErrorEquals, []string{"StepFunctions.ExecutionAlreadyExistsException"}) {
				t.Fatalf("what was started already is started again: %+v", start.Retry)
			}
			again := start.Retry[1]
			if !slices.Equal(again.ErrorEquals, []string{"States.ALL"}) || again.MaxAttempts != 9 || again.MaxDelaySeconds != 60 || again.JitterStrategy != "FULL" || again.BackoffRate != 2 {
				t.Errorf("it is started again as %+v", again)
			}
			if len(start.Catch) != 2 || start.Catch[0].Next != end || !slices.Equal(start.Catch[0].ErrorEquals, []string{"StepFunctions.ExecutionAlreadyExistsException"}) {
				t.Fatalf("what was started already leads to %+v", start.Catch)
			}
			untold := start.Catch[1].Next
			if name == "Everything" { // where there are letters
				letter := d.States["CallbackLetter-"+end]
				if untold != "CallbackLetter-"+end || letter.Next != end || string(letter.ResultPath) != "null" || len(letter.Catch) != 1 || letter.Retry[0].MaxAttempts != 12 {
					t.Fatalf("what cannot be started leads to %s, which is %+v", untold, letter)
				}
				body := letter.Parameters["MessageBody"].(map[string]any)
				if body["execution.$"] != "$$.Execution.Input.callback.name" || fmt.Sprint(body["summary"]) != "map[maybeProcessed:false reason:CallbackNotStarted]" {
					t.Errorf("the letter is %v", body)
				}
				untold = letter.Catch[0].Next
			}
			if untold != "Untold-"+end || d.States[untold].Type != "Pass" || d.States[untold].Next != end || !slices.Equal(start.Catch[1].ErrorEquals, []string{"States.ALL"}) {
				t.Errorf("in the end it leads to %s, which is %+v", untold, d.States[untold])
			}
		}
	}
}

func TestACallbackTakesTwoTransitionsMoreAndFourOfItsOwn(t *testing.T) {
	d := variants()["Callback"].asyncDefinition()
	for _, c := range []struct {
		present []string
		want    int
	}{
		{[]string{recordPath}, 6}, // where there are callbacks, a Choice more
		{[]string{recordPath, callbackPath}, 7},
		{[]string{callbackPath}, 5},
		{nil, 4}, // as that of the callback
	} {
		if got := d.transitions(t, 1, c.present...); got != c.want {
			t.Errorf("with %v, one attempt takes %d transitions, want %d", c.present, got, c.want)
		}
	}
}

func TestAnExecutionWithACallbackHasTimeForThatToo(t *testing.T) {
	if got, want := variants()["Callback"].asyncDefinition().TimeoutSeconds, (25*time.Hour + 10*time.Second).Seconds(); got != want {
		t.Errorf("it ends after %v s, want %v", got, want)
	}
	if got, want := variants()["Everything"].asyncDefinition().TimeoutSeconds, (8 * time.Hour).Seconds(); got != want { // 6 hours, one for the callback, one for letters
		t.Errorf("with letters, it ends after %v s, want %v", got, want)
	}
}

func TestOnlyTheStateMachineMayStartItselfBesideTheGateway(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		if template.asyncMachine() == nil {
			return
		}
		own := template.referred(template.asyncMachine().at("RoleArn"))
		for _, role := range template.ofType("AWS::IAM::Role") {
			may := template.resourcesOf(role, "states:StartExecution")
			want := len(template.ofType("AWS::SecretsManager::Secret")) > 0 && role == own || role == template.roleOf(template.gateway())
			if want != slices.Equal(may, []string{"${" + template.asyncMachine().id + "}"}) || !want && len(may) > 0 {
				t.Errorf("%s may start %v", role.id, may)
			}
		}
	})
}

// CloudFormation refuses a template whose resources depend on each other in a circle.
func TestNoResourceDependsOnItself(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		dependencies := map[string][]string{}
		for id, r := range template.Resources {
			found := references(r.Properties)
			if r.DependsOn != nil {
				found = append(found, each(r.DependsOn)...)
			}
			for _, other := range found {
				if _, isResource := template.Resources[other]; isResource {
					dependencies[id] = append(dependencies[id], other)
				}
			}
		}
		const under, done = 1, 2
		state := map[string]int{}
		var visit func(id string, way []string)
		visit = func(id string, way []string) {
			switch state[id] {
			case under:
				t.Fatalf("a circle: %s", strings.Join(append(way, id), " -> "))
			case done:
				return
			}
			state[id] = under
			for _, next := range dependencies[id] {
				visit(next, append(way, id))
			}
			state[id] = done
		}
		for _, id := range slices.Sorted(maps.Keys(template.Resources)) {
			visit(id, nil)
		}
		if len(dependencies) < len(template.Resources)/2 {
			t.Errorf("only %d of %d resources are known to depend on another one", len(dependencies), len(template.Resources))
		}
	})
}

// inSub finds the ids in the text of an Fn::Sub.
var inSub = regexp.MustCompile(`\$\{([A-Za-z0-9]+)[.}]`)

// references lists the ids of what a value refers to.
func references(value any) (ids []string) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			ids = append(ids, references(element)...)
		}
	case map[string]any:
		if id, ok := value["Ref"].(string); ok {
			ids = append(ids, id)
		}
		if attribute, ok := value["Fn::GetAtt"].([]any); ok {
			ids = append(ids, attribute[0].(string))
		}
		if text, ok := value["Fn::Sub"].(string); ok {
			for _, match := range inSub.FindAllStringSubmatch(text, -1) {
				ids = append(ids, match[1])
			}
		}
		for _, member := range value {
			ids = append(ids, references(member)...)
		}
	}
	return ids
}

func TestCallbacksThatCannotBeStartedAreCounted(t *testing.T) {
	for name, want := range map[string]string{
		"Callback":   `{ ($.type = "PassStateEntered") && (($.details.name = "Untold-Succeeded") || ($.details.name = "Untold-Failed")) }`,
		"Everything": `{ ($.type = "PassStateEntered") && (($.details.name = "Undelivered") || ($.details.name = "Untold-Succeeded") || ($.details.name = "Untold-Failed")) }`,
	} {
		var patterns []string
		for _, filter := range variants()[name].ofType("AWS::Logs::MetricFilter") {
			patterns = append(patterns, filter.at("FilterPattern").(string))
		}
		if !slices.Contains(patterns, want) {
			t.Errorf("the patterns of %s are %q, want %s", name, patterns, want)
		}
	}
}

func TestWhatIsWrongWithCallbacksIsSaidAllAtOnce(t *testing.T) {
	for _, c := range []struct {
		callback apiproxy.Callback
		want     []string
	}{
		{apiproxy.Callback{}, []string{"Callback names nobody; give the URL that is told of requests, or the Hosts that Callback-Url may name, or both"}},
		{apiproxy.Callback{URL: "http://hooks.example.com", Hosts: []string{"*.example.com", "Hooks.example.com", "https://hooks.example.com", "hooks.example.com/a", "", "hooks.example.com:443"}}, []string{
			"Callback.URL is not usable: it must be one of https; give an https URL",
			`Callback.Hosts: "*.example.com" has a wildcard`,
			`Callback.Hosts: "Hooks.example.com" is not in lower case; give "hooks.example.com"`,
			`Callback.Hosts: "https://hooks.example.com" is not a host`,
			`Callback.Hosts: "hooks.example.com/a" is not a host`,
			`Callback.Hosts: "" is not a host`,
			`Callback.Hosts: "hooks.example.com:443" names the port of https; leave it out`,
		}},
		{apiproxy.Callback{URL: "http://127.0.0.1:8080/"}, []string{"Callback.URL is one of http; give an https URL"}},
		{apiproxy.Callback{URL: "https://me:secret@hooks.example.com"}, []string{"it has a user name or a password"}},
		{apiproxy.Callback{URL: "https://hooks.example.com/#top"}, []string{"it has a fragment"}},
		{apiproxy.Callback{URL: "https:///orders"}, []string{"it has no host"}},
	} {
		props := minimal()
		props.Async, props.Callback = &apiproxy.Async{}, &c.callback
		err := props.Validate()
		if err == nil {
			t.Errorf("%+v is taken", c.callback)
			continue
		}
		if got := strings.Count(err.Error(), "\n") + 1; got != len(c.want) {
			t.Errorf("%d problems are named, want %d: %v", got, len(c.want), err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v, want %s", err, want)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells of the password: %v", err)
		}
	}
	props := minimal()
	props.Callback = &apiproxy.Callback{URL: "https://hooks.example.com"}
	if err := props.Validate(); err == nil || !strings.Contains(err.Error(), "Callback is set, and Async is not; set Async too") {
		t.Errorf("without Async, the error is %v", err)
	}
}

func TestHostsOfCallbacksThatTogetherAreTooLongAreRefused(t *testing.T) {
	props := minimal()
	props.Async, props.Callback = &apiproxy.Async{}, &apiproxy.Callback{Hosts: slices.Repeat([]string{strings.Repeat("a", 60) + ".example.com"}, 60)}
	if err := props.Validate(); err == nil || !strings.Contains(err.Error(), "Retry, Callback, RecordPrefix, FlowControl, CircuitBreaker, Egress.ProbeURL and Upstream") {
		t.Errorf("the error is %v", err)
	}
}
