package stack

import (
	"net"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
)

// Config says which stack is run, and how.
type Config struct {
	// Template is the stack that is run, as [Load] reads it.
	Template *cloudformation.Stack

	// Listener is where the function URL is served: the one that the template was loaded with. Start takes it over, and
	// closes it even if it fails.
	Listener net.Listener

	// chosen is the logical id of the function URL that is served at Listener, and others are where those of the template are
	// served that are not it, by their logical ids. Load sets both.
	chosen string
	others map[string]net.Listener

	// EndpointListener is where the AWS endpoints are served. Start takes it over too. Default: a free port of 127.0.0.1.
	EndpointListener net.Listener

	// Upstream takes the place of the upstream in the template. Plain http and loopback addresses are allowed for it.
	// Empty leaves the functions as they are.
	Upstream string

	// CallbackURL takes the place of the URL that is told of asynchronous requests, if the template has one. Plain http and
	// loopback addresses are allowed for it, and loopback addresses for the hosts that requests may name. Empty leaves the
	// functions as they are.
	CallbackURL string

	// CertificateAuthority is certificates in PEM, by which upstreams and token URLs are trusted besides the system's and
	// those of the template. Empty leaves the functions as they are.
	CertificateAuthority string

	// SourceAddresses gives each function that calls the upstream a loopback address of its own to call from, if the
	// upstream is on a loopback address too. See package egress.
	SourceAddresses bool

	// Speed is how much faster the waits between attempts pass. Default: 1. To the functions it looks as if the whole
	// wait had passed: a wait of a minute uses up a minute of a request's deadline.
	Speed float64

	// Clock is the clock of the state machines, such as a virtual one, in the place of Speed. The functions run in real
	// time; see package timeshift. Default: the real clock.
	Clock clock.Clock

	// QueueClock is the clock of the queues and of the event sources that read them: of visibility timeouts, delays, retention
	// and long polls. It must not be the state machines': those wait on theirs while an event source's function runs, for
	// which time stands still on this one. See [eventsource.Config]. Default: the real clock, whatever Speed is, since a
	// visibility timeout is about how long a function may run.
	QueueClock clock.Clock

	// KeepRunning lets the functions run on between invocations, such as under a debugger. Default: they are frozen.
	KeepRunning bool

	// Concurrency is how many invocations of functions may run at once, over all functions, as in an account of AWS.
	// Default: lambda.DefaultConcurrency.
	Concurrency int

	// Faults has calls to the AWS endpoints fail, and those that the state machines make. Default: none fails.
	Faults faults.Settings

	// URLIdleTimeout and EndpointIdleTimeout are how long the function URL and the AWS endpoints keep a connection on which
	// nothing is asked. Default: DefaultIdleTimeout.
	URLIdleTimeout, EndpointIdleTimeout time.Duration

	// DataFile is where tables, the objects in buckets, queues, executions and the secrets that the template has generated are
	// kept; empty keeps them in memory. Standard executions in it go on.
	DataFile string

	// Secrets are the values of secrets, by their names, or by their complete ARNs if the stack refers to them by those. A
	// secret that the template has, too, has this value and not the template's.
	Secrets map[string]string

	// ClocksAhead says how far the clocks of the gateway and the proxies are ahead of the others, by the functions' names or
	// short names; below zero they are behind. The clocks of DynamoDB and Step Functions are right. See [timeshift.Ahead].
	ClocksAhead map[string]time.Duration

	// Signed has the function URL take signed requests only, if its template says AWS_IAM. Signatures are looked at, and not
	// verified. Default: it takes every request.
	Signed bool

	// Environment adds variables to functions, by the functions' names or short names.
	Environment map[string]map[string]string

	// Binaries are programs that take the place of functions' code, by the functions' names or short names.
	Binaries map[string]string

	// LogBytes is how much is kept of what functions and state machines log, for CloudWatch Logs. Default:
	// [cloudwatchlogs.DefaultMaxBytes].
	LogBytes int

	// Log receives what the functions write and what the host says of them. Default: nothing is logged.
	Log func(lambda.LogEvent)

	// Middleware, if it is set, wraps the handlers of the function URLs of gateways, or of the only one that there is: first
	// that of the URL at Listener.
	Middleware func(url http.Handler) http.Handler

	// Prepare, if it is set, is called when everything is there, before executions in the DataFile go on and requests are
	// taken: it is where to observe the executions.
	Prepare func(*Stack)
}

// DefaultIdleTimeout is how long connections are kept on which nothing is asked. AWS publishes no figures for its
// endpoints; a minute is what its load balancers do by default.
const DefaultIdleTimeout = 60 * time.Second
