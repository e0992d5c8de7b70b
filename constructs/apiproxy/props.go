package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The defaults of a RetryingApiProxy. What concerns retries is in package retry.
const (
	// DefaultProxyCount is how many proxies the ring has.
	DefaultProxyCount = 3

	// MaxProxyCount is the most proxies that a ring can have.
	MaxProxyCount = 20

	// DefaultMemorySizeMiB is the memory of each function in MiB. A handler needs about 30; the rest buys processor
	// time, which Lambda gives in proportion to memory.
	DefaultMemorySizeMiB = 256

	// DefaultLogRetention is how long logs are kept.
	DefaultLogRetention = awslogs.RetentionDays_ONE_MONTH
)

// RetryingApiProxyProps says what a RetryingApiProxy is to do. Everything but Upstream.BaseURL has a default.
type RetryingApiProxyProps struct {
	// Upstream is the API that is called.
	Upstream Upstream

	// ProxyCount is the number of proxies that attempts go round, from 1 to 20. Default: 3.
	ProxyCount int

	// Retry says which answers are final, which are asked for again, how often, and when. Default: [retry.Default].
	Retry retry.Policy

	// UrlAuthType says who may call the function URL. Default: AWS_IAM, that is, whoever [RetryingApiProxy.GrantInvoke]
	// grants it to. With NONE everybody may.
	UrlAuthType awslambda.FunctionUrlAuthType

	// Architecture is the processor architecture of the functions. Default: ARM_64.
	Architecture awslambda.Architecture

	// MemorySizeMiB is the memory of each function, from 128 to 10240 MiB. Default: 256.
	MemorySizeMiB int

	// LogRetention is how long the logs of the functions and of the state machine are kept. Default: one month.
	LogRetention awslogs.RetentionDays

	// RemovalPolicy says what becomes of the idempotency table and the logs when they are taken out of the stack.
	// Default: RETAIN for the table, as for every table of the CDK, and DESTROY for the logs.
	RemovalPolicy awscdk.RemovalPolicy
}

// An Upstream is the API that is called.
type Upstream struct {
	// BaseURL is where requests go: the path and query of a request are joined to it. It must be an https URL without
	// user information or fragment, https://api.example.com/v1 say. Required.
	BaseURL string

	// AllowPlainHTTP permits a BaseURL with http. Requests and answers then travel in the clear. Default: false.
	AllowPlainHTTP bool

	// AllowedNetworks are the prefixes, 10.1.0.0/16 say, that the upstream's address may lie in although they are not
	// public. Without them, loopback, private, link-local and reserved addresses are refused after resolution, so that
	// the proxies cannot be used to reach what only they can reach. Default: none.
	AllowedNetworks []string
}

// withDefaults returns a copy of the props in which every zero field has its default, except the architecture and the
// removal policy, whose defaults are those of the parts.
func (p RetryingApiProxyProps) withDefaults() RetryingApiProxyProps {
	p.Retry = p.Retry.WithDefaults()
	if p.ProxyCount == 0 {
		p.ProxyCount = DefaultProxyCount
	}
	if p.UrlAuthType == "" {
		p.UrlAuthType = awslambda.FunctionUrlAuthType_AWS_IAM
	}
	if p.MemorySizeMiB == 0 {
		p.MemorySizeMiB = DefaultMemorySizeMiB
	}
	if p.LogRetention == "" {
		p.LogRetention = DefaultLogRetention
	}
	return p
}

// Timeouts nest: the attempt ends before its function, the function before its Task, the machine before the gateway.
const (
	// proxyMargin is what a proxy function has beside its attempt: the sleep of less than a second before it, a cold
	// start, and the writing of the answer.
	proxyMargin = 5 * time.Second

	// taskMargin is what a Task has beside the function: the queueing of the invocation.
	taskMargin = 5 * time.Second

	// gatewayMargin is what the gateway function has beside the longest execution.
	gatewayMargin = 10 * time.Second
)

func (p RetryingApiProxyProps) proxyTimeout() time.Duration {
	return roundUp(p.Retry.AttemptTimeout) + proxyMargin
}

func (p RetryingApiProxyProps) taskTimeout() time.Duration { return p.proxyTimeout() + taskMargin }

// machineTimeout is the longest that an execution may take: the longest deadline, and what the last attempt's function
// may still take to say how it ended.
func (p RetryingApiProxyProps) machineTimeout() time.Duration {
	return min(roundUp(p.Retry.MaxDeadline)+proxyMargin, retry.ExpressDuration)
}

func (p RetryingApiProxyProps) gatewayTimeout() time.Duration {
	return p.machineTimeout() + gatewayMargin
}

// roundUp rounds to the whole seconds in which timeouts are given.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

func seconds(d time.Duration) awscdk.Duration {
	s := d.Seconds()
	return awscdk.Duration_Seconds(&s)
}
