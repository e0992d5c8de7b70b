package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/triggers"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// defaultUpstream is a public API made for trying HTTP clients.
const defaultUpstream = "https://httpbin.org"

// newProxyStack creates the stack with one RetryingApiProxy, in the variant that the context asks for.
func newProxyStack(scope constructs.Construct, id string) (awscdk.Stack, *apiproxy.RetryingApiProxy) {
	stack := awscdk.NewStack(scope, &id, &awscdk.StackProps{
		Description: jsii.String("An HTTPS endpoint that calls an API which fails, until it does not"),
	})
	props, auth, err := propsFrom(stack.Node())
	if err != nil {
		panic(fmt.Sprintf("%s cannot be built with this context:\n%v", id, err))
	}
	props.Upstream.Auth = upstreamAuth(stack, auth)
	if name := context(stack.Node(), "table", ""); name != "" {
		props.Table = awsdynamodb.TableV2_FromTableName(stack, jsii.String("Records"), &name)
	}
	if topic := alarmTopic(stack); topic != nil {
		props.Alarms.Topic = topic
	}
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Proxy"), props)
	if context(stack.Node(), "queue", "false") == "true" {
		queue := triggers.NewQueue(stack, jsii.String("Requests"), &triggers.QueueProps{Proxy: proxy})
		awscdk.NewCfnOutput(stack, jsii.String("QueueUrl"), &awscdk.CfnOutputProps{
			Value:       queue.Queue.QueueUrl(),
			Description: jsii.String("The queue whose messages are requests"),
		})
	}
	return stack, proxy
}

// upstreamAuth is how the proxies authenticate to the upstream, with secrets that are in the account already.
func upstreamAuth(stack awscdk.Stack, auth message.UpstreamAuth) apiproxy.UpstreamAuth {
	if auth.IsZero() {
		return apiproxy.UpstreamAuth{}
	}
	name, field, _ := strings.Cut(auth.Secret+auth.Certificate, "#") // one of them is empty
	secret := awssecretsmanager.Secret_FromSecretNameV2(stack, jsii.String("UpstreamSecret"), &name)
	var of apiproxy.UpstreamAuth
	switch auth.Kind {
	case message.AuthBearer:
		of = apiproxy.BearerToken(secret)
	case message.AuthBasic:
		of = apiproxy.BasicAuth(secret)
	case message.AuthHeader:
		of = apiproxy.SecretHeader(auth.Name, secret)
	case message.AuthQuery:
		of = apiproxy.SecretQueryParameter(auth.Name, secret)
	case message.AuthOAuth2:
		of = apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{TokenURL: auth.TokenURL})
	default:
		of = apiproxy.ClientCertificate(secret)
	}
	if field == "" {
		return of
	}
	return of.Field(field)
}

// propsFrom reads the context and reports all that is wrong with it at once. How to authenticate to the upstream, with which
// secret, stands apart: a secret belongs to a stack.
func propsFrom(node constructs.Node) (*apiproxy.RetryingApiProxyProps, message.UpstreamAuth, error) {
	props := &apiproxy.RetryingApiProxyProps{
		Idempotency: apiproxy.Idempotency{CacheHeaders: true},
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	props.Upstream.BaseURL = context(node, "upstream", defaultUpstream)

	if text := context(node, "proxies", ""); text != "" {
		count, err := strconv.Atoi(text)
		if err != nil || count < 1 || count > apiproxy.MaxProxyCount {
			problem("context proxies is %q; give a whole number from 1 to %d", text, apiproxy.MaxProxyCount)
		} else {
			props.ProxyCount = count
		}
	}

	switch text := context(node, "architecture", "arm64"); text {
	case "arm64":
		props.Architecture = awslambda.Architecture_ARM_64()
	case "x86_64":
		props.Architecture = awslambda.Architecture_X86_64()
	default:
		problem("context architecture is %q; give arm64 or x86_64", text)
	}

	switch text := context(node, "auth", "AWS_IAM"); text {
	case "AWS_IAM":
		props.UrlAuthType = awslambda.FunctionUrlAuthType_AWS_IAM
	case "NONE":
		props.UrlAuthType = awslambda.FunctionUrlAuthType_NONE
	default:
		problem("context auth is %q; give AWS_IAM or NONE", text)
	}

	if text := context(node, "queue", "false"); text != "true" && text != "false" {
		problem("context queue is %q; give true or false", text)
	}

	var err error
	if props.Retry, err = policyFrom(node); err != nil {
		problems = append(problems, err)
	}

	switch text := context(node, "async", "false"); text {
	case "false":
	case "true":
		props.Async = &apiproxy.Async{}
	default:
		deadline, err := time.ParseDuration(text)
		if err != nil {
			problem("context async is %q; give true, false, or how long asynchronous requests may take, such as 6h", text)
		}
		props.Async = &apiproxy.Async{Deadline: deadline}
	}

	switch text := context(node, "deadletters", "false"); text {
	case "false":
	case "true":
		props.DeadLetters = &apiproxy.DeadLetters{}
	default:
		problem("context deadletters is %q; give true or false", text)
	}

	if props.FlowControl, props.CircuitBreaker, err = flowControlFrom(node); err != nil {
		problems = append(problems, err)
	}

	if err := monitoringFrom(node, props); err != nil {
		problems = append(problems, err)
	}
	switch kind := apiproxy.EgressKind(context(node, "egress", string(apiproxy.Shared))); kind {
	case apiproxy.Shared, apiproxy.StaticAddresses, apiproxy.IPv6:
		props.Egress.Kind = kind
	default:
		problem("context egress is %q; give shared, static or ipv6", kind)
	}
	props.Egress.ProbeURL = context(node, "addressprobe", "")

	callbackURL := context(node, "callback", "")
	callbackHosts := strings.FieldsFunc(context(node, "callbackhosts", ""), func(r rune) bool { return r == ',' || r == ' ' })
	if callbackURL != "" || len(callbackHosts) > 0 {
		props.Callback = &apiproxy.Callback{URL: callbackURL, Hosts: callbackHosts}
	}

	switch text := context(node, "largebodies", "false"); text {
	case "false":
	case "true":
		props.LargeBodies = &apiproxy.LargeBodies{}
	default:
		problem("context largebodies is %q; give true or false", text)
	}

	var auth message.UpstreamAuth
	if text := context(node, "upstreamauth", ""); text != "" {
		if auth, err = message.ParseUpstreamAuth(text); err != nil {
			problem("context upstreamauth: %w", err)
		}
	}
	return props, auth, errors.Join(append(problems, props.Validate())...)
}

// policyFrom is the retry policy that the context asks for: its own, over the presets of its vendors.
func policyFrom(node constructs.Node) (retry.Policy, error) {
	var policy, preset retry.Policy
	var problems []error
	text, err := policyText(node.TryGetContext(jsii.String("policy")))
	if err == nil && text != nil {
		err = json.Unmarshal(text, &policy)
	}
	if err != nil {
		problems = append(problems, fmt.Errorf("context policy: %w", err))
	}
	if names := context(node, "vendor", ""); names != "" {
		if preset, err = retry.Vendor(strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })...); err != nil {
			problems = append(problems, fmt.Errorf("context vendor: %w", err))
		}
	}
	return policy.Over(preset), errors.Join(problems...)
}

// policyText is the JSON of a policy in the context: an object in cdk.json or, as -c has it, a text, which is JSON or names a
// file.
func policyText(value any) ([]byte, error) {
	text, isText := value.(string)
	switch {
	case value == nil || isText && text == "":
		return nil, nil
	case !isText:
		return json.Marshal(value)
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
		return []byte(text), nil
	}
	return os.ReadFile(text)
}

// context returns a value of the context as text. The CLI hands on what -c says as strings; cdk.json may hold numbers.
func context(node constructs.Node, key, fallback string) string {
	value := node.TryGetContext(&key)
	if value == nil {
		return fallback
	}
	return fmt.Sprint(value)
}
