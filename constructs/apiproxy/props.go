package apiproxy

import (
	"cmp"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The defaults of a RetryingApiProxy. What concerns retries is in package retry.
const (
	// DefaultProxyCount is how many proxies the ring has.
	DefaultProxyCount = 3

	// MaxProxyCount is the most proxies that a ring can have.
	MaxProxyCount = 20

	// DefaultMemorySizeMiB is the memory of each proxy in MiB, and of a gateway with LargeBodies. A handler needs about 20, or 95 for
	// bodies of 4 MB; the rest buys processor time, which Lambda gives in proportion to memory.
	DefaultMemorySizeMiB = 256

	// DefaultGatewayMemorySizeMiB is the memory of the gateway in MiB, without LargeBodies. It is paid for as long as a request takes,
	// waits included. A small request takes 4 ms more with it than with a whole processor, and one with a body of 100 KB a tenth of a
	// second: docs/operating.md has what was measured.
	DefaultGatewayMemorySizeMiB = 128

	// DefaultKeyTTL is how long the answer to a request with an Idempotency-Key is replayed.
	DefaultKeyTTL = 24 * time.Hour

	// DefaultMaxAnonymousWait is the longest that callers get by Prefer: wait whom nobody knows.
	DefaultMaxAnonymousWait = 1 * time.Minute

	// DefaultSecretCacheTime is how long the proxies use a secret before they read it again.
	DefaultSecretCacheTime = 5 * time.Minute

	// DefaultAsyncDeadline is how long asynchronous requests may take.
	DefaultAsyncDeadline = 24 * time.Hour

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

	// Idempotency says what becomes of requests with an Idempotency-Key.
	Idempotency Idempotency

	// Async lets callers send requests whose answers they fetch later, with Prefer: respond-async (RFC 7240 section 4.1). It
	// adds a Standard state machine, which costs nothing while no request waits; a request costs $0.025 for each thousand of
	// states that it goes through (list price). Paths below /-/executions/ then do not go upstream. Default: nil; the
	// preference goes upstream like any other.
	Async *Async

	// DeadLetters has asynchronous requests that failed told of in a queue, from where they can be sent again. Messages of a
	// queue of package triggers are then done once they are accepted. It needs Async. A request that fails is a transition
	// more. Default: nil; whoever sent them sees.
	DeadLetters *DeadLetters

	// Callback has somebody told of the end of asynchronous requests, by a signed POST. It needs Async. A request with a callback
	// takes two transitions more, and the callback four if it is delivered at once. Default: nil; whoever asks is told.
	Callback *Callback

	// LargeBodies lets requests and answers be as large as what a function URL carries: 6 MB as JSON, which is about 4.5 MB of
	// bytes, and more of text. What does not fit into a state, about 250 KB, goes to a bucket; neither callers nor the upstream
	// notice. A body that goes there costs about half a cent for each thousand (list price: $0.005 for 1,000 writes, $0.0004 for
	// 1,000 reads), and what is stored $0.023 a month for each GB. The proxies take longer to start, because they have the AWS SDK
	// then. An answer that is larger than the URL carries comes back with the upstream's status and fields, and a problem in the
	// place of its body. Default: nil; larger requests are answered with 413, larger errors come back without their body, and larger
	// successes are a problem.
	LargeBodies *LargeBodies

	// OmitRetryAdvice leaves out what tells callers that retrying was done for them. Answers that were given up on have
	// Stripe-Should-Retry: false and X-Should-Retry: false, which the SDKs of Stripe, OpenAI and Anthropic obey, unless the
	// upstream sent these fields, and a Retry-After of the policy's next backoff where the upstream has not said when to come
	// again. Default: false.
	OmitRetryAdvice bool

	// FlowControl has requests that share a limit of the upstream wait for one another. Default: Off; each request finds out for
	// itself.
	FlowControl FlowControl

	// CircuitBreaker stops calls while nearly all of them fail. Default: it is on. The proxies then have the AWS SDK, with which they take
	// longer to start.
	CircuitBreaker CircuitBreaker

	// Table holds the idempotency records, if it is not to be the construct's own. Its partition key must be a string
	// called id; its time-to-live attribute should be expiration. Several RetryingApiProxy can share a table, if each has a
	// RecordPrefix of its own. It must be in the stack's own account and region. Default: a table is created.
	Table awsdynamodb.ITableV2

	// RecordPrefix begins the ids of the records, up to a number sign. Functions may touch no other records of the table. So it does,
	// behind gate#, with those of the items of FlowControl and CircuitBreaker; it cannot be gate itself. Metrics go by it, too.
	// With another prefix, the keys that were used before are new again. Default: the ids of the construct and of its
	// scopes within the stack, with slashes between them, so that a stack that is renamed keeps its keys. Where stacks
	// share a table, two that have a construct of the same name need a prefix each.
	RecordPrefix string

	// UrlAuthType says who may call the function URL. Default: AWS_IAM, that is, whoever [RetryingApiProxy.GrantInvoke]
	// grants it to.
	//
	// With NONE everybody on the internet may. Whoever finds the URL can use up the limits of the upstream, what is paid for
	// each request, and the account's concurrency, unless ReservedConcurrency.Gateway bounds it; and behind an Upstream.Auth
	// they act with that credential. Requests without credentials of their own are all one caller: one who guesses a key
	// of another is handed their answer.
	UrlAuthType awslambda.FunctionUrlAuthType

	// MaxAnonymousWait is the longest that callers get by Prefer: wait whom nobody knows, because UrlAuthType is NONE: each
	// that waits holds a function and an execution. They get the policy's Deadline in any case. Default: 1 minute.
	MaxAnonymousWait time.Duration

	// HideAttempts leaves the attempts out of what callers are told, in Proxy-Status and in problems: how many proxies there
	// are, and what the upstream answered them. Default: false.
	HideAttempts bool

	// Cors lets pages of other origins call from a browser. The function URL then answers preflights, without invoking
	// anything, and lets those pages read all answers, also those in which it refuses a request itself. AllowedHeaders
	// must name what pages send, such as Content-Type, Idempotency-Key and Prefer; for AWS_IAM, Authorization, X-Amz-Date
	// and X-Amz-Security-Token, too. To ExposedHeaders are added Proxy-Status, Idempotent-Replayed, Retry-After, Location,
	// Preference-Applied and X-Amzn-Requestid, unless it is *. What the upstream says to pages in Access-Control fields is
	// taken out. Default: none; preflights go upstream, and what it says to pages comes back.
	Cors *awslambda.FunctionUrlCorsOptions

	// Architecture is the processor architecture of the functions. Default: ARM_64.
	Architecture awslambda.Architecture

	// MemorySizeMiB is the memory of each function, from 128 to 10240 MiB. Default: 256 for the proxies.
	MemorySizeMiB int

	// GatewayMemorySizeMiB is the memory of the gateway, from 128 to 10240 MiB, if it is not to be that of the others. The gateway is
	// paid for while its callers wait, by its memory. Default: MemorySizeMiB, if that is set, or else 128, and 256 with LargeBodies.
	GatewayMemorySizeMiB int

	// Environment are more variables of all functions, for what runs beside the handlers: layers, extensions, the AWS SDK
	// (AWS_USE_FIPS_ENDPOINT). They stand in the template in the clear. Names that Lambda or this construct uses are refused, and
	// what is more than the 4 KB that Lambda has room for. Default: none.
	Environment map[string]string

	// ReservedConcurrency sets concurrency aside for the functions. Default: none; all functions of the account share what
	// is not reserved.
	ReservedConcurrency ReservedConcurrency

	// ProvisionedConcurrency keeps environments of the functions ready, which is paid for while nothing runs: $2.19 a month for each of
	// 256 MB (list price). Default: none; functions start when they are needed.
	ProvisionedConcurrency ProvisionedConcurrency

	// Roles are roles that exist, for those who may create none. Default: each function and state machine gets one of its own.
	Roles Roles

	// LogGroups are log groups that exist. Default: each function and state machine gets one of its own.
	LogGroups LogGroups

	// Customize is called with the props of each function before it is created, last of all, to change what no other prop says:
	// layers, a name, ephemeral storage, a longer timeout. The name is gateway, proxy-1, proxy-2 and so on. Props are changed in place.
	//
	// NewRetryingApiProxy panics, with all problems, if Customize has set Code, Runtime or Handler; changed Role, LogGroup, LoggingFormat or a
	// variable of Environment that is the construct's; taken one out; added one that the prop Environment could not have; or made Timeout shorter
	// than the function needs. A function that gets another FunctionName is replaced by a new one. Default: nil.
	Customize func(name string, props *awslambda.FunctionProps)
	// Vpc is where the proxies are, such as for an upstream with a private address, which Upstream.AllowedNetworks must then allow. There
	// they need a way to the upstream and to what they ask of AWS: docs/egress.md lists it. A VPC costs nothing, and what leads out of
	// it does. The gateway calls AWS alone, and is in none. Default: none.
	Vpc awsec2.IVpc

	// VpcSubnets selects the subnets of Vpc that all proxies are in. They must be private: from a public subnet, a function cannot
	// reach the internet. Default: private subnets with a way out, or else isolated ones, with a warning.
	VpcSubnets *awsec2.SubnetSelection

	// SecurityGroups are groups of Vpc that the proxies are in, 5 at most, in the place of one of their own. Default: a group that
	// lets nobody in, and out the ports of the upstream and of the other URLs that the props name, and 443 for AWS.
	SecurityGroups []awsec2.ISecurityGroup

	// Egress says by which addresses the proxies call. Other kinds than Shared cost while there are no requests. Default: Shared.
	Egress Egress

	// EncryptionKey encrypts what is kept: the table, the bucket and the secret of Callback that are created, the logs, the data
	// of executions and the functions' environment. It costs $1 a month and $0.03 for 10,000 uses (list prices). The policy of a
	// key that is imported must let CloudWatch Logs of the region use it. The stack must be told its region, unless Table is
	// given. Default: keys that AWS owns.
	EncryptionKey awskms.IKey

	// Alarms has somebody told of what would otherwise be silent, at $0.10 a month for each metric that an alarm looks at (list price):
	// $2.20 for the default props. Default: nil; there are no alarms.
	Alarms *Alarms

	// Dashboard shows what is done, on a page of CloudWatch, at $3 a month beyond the account's first three (list price). Default: nil;
	// there is none.
	Dashboard *Dashboard

	// SavedQueries keeps nine queries of CloudWatch Logs Insights for the logs, in a folder with the path of the construct: what failed
	// and why, all that was done for one request or one key, limits by proxy, slow requests, replays, crashes, callers. They cost nothing;
	// each time that one is run costs $0.005 for each GB of logs in the time that it looks at (list price). Each is a resource of the
	// stack. Default: false.
	SavedQueries bool

	// OmitMetrics leaves the metrics out of what the functions log, and with them what they cost: $0.30 a month for each, by the hours
	// in which it has a value (list price). While all is well these are four, and one more for each proxy. Alarms and Dashboard need
	// them. Default: false.
	OmitMetrics bool

	// LogExecutionData puts what goes into the states of an execution and what comes out of them into the log of the state
	// machine: whole requests and answers, with credentials, cookies and bodies. Default: false.
	LogExecutionData bool

	// LogRetention is how long the logs of the functions and of the state machine are kept. Default: one month.
	LogRetention awslogs.RetentionDays

	// RemovalPolicy says what becomes of the idempotency table, the bucket of LargeBodies, the secret of Callback that was created
	// and the logs when they are taken out of the stack. With DESTROY, the bucket has to be empty by then: CloudFormation deletes no other, and nothing empties it but
	// its lifecycle rules. Default: RETAIN for table and bucket, as for every table and bucket of the CDK, and DESTROY for the secret and the logs. The
	// queue of DeadLetters is deleted in any case; give one of your own that is to stay.
	RemovalPolicy awscdk.RemovalPolicy
}

// Async says how long asynchronous requests may take.
type Async struct {
	// Deadline is how long a request may take, in whole seconds, waits included. It takes the place of the policy's RetryAfterMax,
	// too: nobody waits on a connection. Callers can ask for less, by Prefer: deadline=N. Default: 24 hours.
	Deadline time.Duration
}

// LargeBodies says where bodies are kept that do not fit into a state.
type LargeBodies struct {
	// Bucket is the bucket, if it is not to be the construct's own. It must be in the stack's own account and region, keep the
	// public out, refuse what is not encrypted on its way, and encrypt objects. A key of its own must be known of the bucket here
	// (its EncryptionKey), so that the functions are granted its use. It should have these two lifecycle rules, without which
	// objects are kept for good: those whose keys begin with RecordPrefix and /requests/ expire after 2 days, or after the whole days
	// of Async.Deadline and one more; those with RecordPrefix and /answers/ after the whole days of Idempotency.TTL and one more,
	// and of Async.Deadline and Idempotency.TTL together where there is Async. Where there are DeadLetters, both are kept for
	// Async.Deadline, DeadLetters.Retention and two hours at least, and one day more. Several RetryingApiProxy can share a bucket, if
	// each has a RecordPrefix of its own. Default: a bucket is created.
	Bucket awss3.IBucket
}

// ReservedConcurrency is concurrency of the account that is set aside for functions, and the most that they get. The gateway
// holds a slot for as long as a request takes, waits included, and a proxy for as long as an attempt takes: a rate of 10
// requests a second that take a second each holds 10 of the gateway. [RetryingApiProxyProps.Explain] estimates it for
// the policy.
//
// Where the gateway's share is small enough, more callers than there is room for are refused at once, with 429 by the
// function URL, and those who are let in find room for their attempts. Lambda refuses a reservation that leaves fewer than
// 100 of the account's slots to all other functions; new accounts have 10 or 50 in all, and nothing can be reserved in
// them until the quota has been raised.
type ReservedConcurrency struct {
	// Gateway is for the function behind the URL. Zero reserves nothing, and limits nothing.
	Gateway int

	// EachProxy is for every one of the proxies. Zero reserves nothing, and limits nothing.
	EachProxy int
}

// Idempotency says what becomes of requests with an Idempotency-Key: the first one with a key is carried out, and every
// later one is handed its answer.
type Idempotency struct {
	// Required says which requests must carry a key; others are answered with 400. Default: KeyNeverRequired.
	Required KeyRequirement

	// TTL is how long an answer is replayed, in whole seconds, from the moment that it came. Default: 24 hours.
	TTL time.Duration

	// CacheHeaders adds ETag, Cache-Control and Vary to recorded answers where the upstream sent none, so that a caller
	// who asks again with If-None-Match gets 304 and no body. Default: false.
	CacheHeaders bool

	// Caller names the header fields that stand for the caller in the ids of records, such as X-Tenant. Two callers with the
	// same key are two operations, and neither is handed the other's answer. Name fields that callers cannot choose at will,
	// or that the upstream checks. A request without any of them is told apart as by default.
	//
	// claim:sub names a claim of the caller's bearer token, a JSON Web Token, and so stays the same when the token is
	// refreshed. Anybody can write a claim: it may be named only with Tokens, by which the gateway verifies it, or where
	// UrlAuthType is AWS_IAM, so that an IAM identity vouches for it.
	//
	// Default: the credentials that go upstream (Authorization, X-Api-Key and their like, cookies where there is nothing
	// else), beside the IAM identity.
	Caller []string

	// Tokens says how the bearer tokens of callers are verified whose claims Caller names. A request whose token is not right
	// is forwarded all the same, and told apart by its credentials. Default: they are not verified.
	Tokens Tokens

	// KeyFields names header fields that may hold the key in the place of Idempotency-Key, such as PayPal-Request-Id. They
	// go upstream as they came. Default: none.
	KeyFields []string

	// Recorded says by status which final answers are recorded, where that is not as by default: 2xx, 3xx, and 4xx but 401,
	// 403, 407, 408, 409, 421, 423, 425, 426, 428, 429 and 431, without Retry-After and without advice to repeat the
	// request. An answer that is not recorded leaves the key free. Default: none.
	Recorded map[int]bool

	// OmitCookies leaves Set-Cookie out of records, so that replays set none. Default: false.
	OmitCookies bool

	// ServerCacheHit adds "serverCacheHit": true to replayed answers whose body is a JSON object. It changes the
	// upstream's body; the header Idempotent-Replayed says the same without that. Default: false.
	ServerCacheHit bool
}

// Tokens says whose JSON Web Tokens are right.
type Tokens struct {
	// Issuer is what the claim iss must be, such as https://login.example.com/.
	Issuer string

	// Keys is the https URL of the issuer's public keys, a JSON Web Key Set (RFC 7517 section 5). The gateway fetches them
	// when it first needs them, and again for a token whose key it does not know, once a minute at most.
	Keys string

	// Audience is what the claim aud must name. Default: anything.
	Audience string
}

// A KeyRequirement says which requests must carry an Idempotency-Key.
type KeyRequirement string

const (
	// KeyNeverRequired leaves it to the caller.
	KeyNeverRequired KeyRequirement = "never"

	// KeyRequiredForUnsafe asks for a key with every method but the safe ones of the HTTP Method Registry: GET, HEAD,
	// OPTIONS, TRACE, PROPFIND, QUERY, REPORT and SEARCH.
	KeyRequiredForUnsafe KeyRequirement = "unsafe"

	// KeyAlwaysRequired asks for a key with every request but preflights, by which browsers ask on their own what a page may
	// send.
	KeyAlwaysRequired KeyRequirement = "always"
)

// An Upstream is the API that is called.
type Upstream struct {
	// BaseURL is where requests go: the path and query of a request are joined to it. It must be an https URL without
	// user information, query or fragment, such as https://api.example.com/v1. Required.
	BaseURL string

	// Auth is how the proxies authenticate to the upstream, such as BearerToken(secret). It takes the place of the field, or of
	// the query parameter, that it sets, and of nothing else: with SecretHeader a caller's Authorization still goes upstream.
	// That field then says nothing of whose request it is; see Idempotency.Caller. Where the upstream answers 401, the secret
	// is read again, and if it has changed the request is repeated once. Default: none; what callers send goes upstream.
	Auth UpstreamAuth

	// AllowAuthOverride lets callers send a credential of their own in the place of Auth's. Default: false.
	AllowAuthOverride bool

	// SecretCacheTime is how long a proxy uses a secret before it reads it again, from 1 second. Secrets are rotated without a
	// deployment, and take effect after so long, or as soon as the upstream answers 401. Default: 5 minutes.
	SecretCacheTime time.Duration

	// Headers are header fields that every request gets, in the place of the caller's, such as Stripe-Version. They stand in
	// the template in the clear, so none may carry a secret. Default: none.
	Headers map[string]string

	// CertificateAuthority is one or more certificates in PEM, by which the upstream and a token URL are trusted besides the
	// authorities that the system knows. It stands in the functions' environment, which has room for one or two. Default: none.
	CertificateAuthority string

	// AllowPlainHTTP permits a BaseURL with http. Requests and answers then travel in the clear. Default: false.
	AllowPlainHTTP bool

	// KeepLinks leaves Location, Content-Location and Link as the upstream sent them. Where a link in them has the origin of
	// BaseURL and lies below its path, it is otherwise made to lead to the function URL, so that whoever follows it still
	// comes through here. Default: false.
	KeepLinks bool

	// AllowedMethods are the methods that are forwarded, such as GET and HEAD, in capitals. Others are answered with 405,
	// without anything being sent or recorded. HEAD and OPTIONS are methods of their own, not part of another. Header fields
	// by which many frameworks take another method, such as X-HTTP-Method-Override, may name an allowed one only; what stands
	// in a body is not looked at. Default: all but TRACE, which has to be named.
	AllowedMethods []string

	// AllowedPaths are the paths below BaseURL that are forwarded, with all that is below them: /orders allows /orders and
	// /orders/5, and not /ordersX. Others are answered with 403, without anything being sent or recorded. Paths are compared
	// segment by segment, with their escapes undone and with regard to case: /orders%2F5 and /orders;v=1 are other paths.
	// Queries are not looked at. Default: all.
	AllowedPaths []string

	// AllowedNetworks are the prefixes, such as 10.1.0.0/16, that the upstream's address may lie in although they are not
	// public. Without them, loopback, private, link-local and reserved addresses are refused after resolution, so that
	// the proxies cannot be used to reach what only they can reach. Loopback and link-local addresses, and those of AWS's own
	// services in fd00:ec2::/32, stay refused unless one is named alone, as in 127.0.0.1/32. Default: none.
	AllowedNetworks []string
}

// defaultGatewayMemory is the memory of a gateway of which nothing is said, in MiB.
func (p RetryingApiProxyProps) defaultGatewayMemory() int {
	if p.LargeBodies != nil {
		return DefaultMemorySizeMiB
	}
	return DefaultGatewayMemorySizeMiB
}

// withDefaults returns a copy of the props in which every zero field has its default, except the architecture and the
// removal policy, whose defaults are those of the parts.
func (p RetryingApiProxyProps) withDefaults() RetryingApiProxyProps {
	p.Retry = p.Retry.WithDefaults()
	if p.ProxyCount == 0 {
		p.ProxyCount = DefaultProxyCount
	}
	if p.Idempotency.Required == "" {
		p.Idempotency.Required = KeyNeverRequired
	}
	if p.Idempotency.TTL == 0 {
		p.Idempotency.TTL = DefaultKeyTTL
	}
	if p.UrlAuthType == "" {
		p.UrlAuthType = awslambda.FunctionUrlAuthType_AWS_IAM
	}
	if p.Async != nil {
		async := *p.Async
		if async.Deadline == 0 {
			async.Deadline = DefaultAsyncDeadline
		}
		p.Async = &async
	}
	if p.DeadLetters != nil {
		letters := *p.DeadLetters
		if letters.Retention == 0 {
			letters.Retention = DefaultLetterRetention
		}
		p.DeadLetters = &letters
	}
	if p.FlowControl.Mode == "" {
		p.FlowControl.Mode = DefaultFlowControlMode
	}
	if p.FlowControl.MaxWaiting == 0 {
		p.FlowControl.MaxWaiting = p.defaultMaxWaiting()
	}
	if p.Egress.Kind == "" {
		p.Egress.Kind = Shared
	}
	if p.MaxAnonymousWait == 0 {
		p.MaxAnonymousWait = DefaultMaxAnonymousWait
	}
	if p.Upstream.SecretCacheTime == 0 {
		p.Upstream.SecretCacheTime = DefaultSecretCacheTime
	}
	if p.GatewayMemorySizeMiB == 0 {
		p.GatewayMemorySizeMiB = cmp.Or(p.MemorySizeMiB, p.defaultGatewayMemory())
	}
	if p.MemorySizeMiB == 0 {
		p.MemorySizeMiB = DefaultMemorySizeMiB
	}
	if p.LogRetention == "" {
		p.LogRetention = DefaultLogRetention
	}
	return p
}
