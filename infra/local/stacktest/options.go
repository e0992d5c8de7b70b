package stacktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// An Option changes the stack that a bench runs.
type Option func(*settings)

type settings struct {
	policy              json.Marshaler
	concurrency         int
	start               int
	faultShares         string
	endpointIdleTimeout time.Duration
	clocksAhead         map[string]time.Duration
	http2               bool
	secrets             map[string]string
	instance            string
	skip                []string

	// certificates is a file of authorities that the proxies trust, or empty.
	certificates string
}

// Policy gives the functions another retry policy than the one that the stack was synthesised with: a retry.Policy, or
// its JSON as a [json.RawMessage]. The state machine and its timeouts stay as they are, so that a policy which waits for
// longer than the stack was made for ends in the state machine's timeout, as it would in AWS.
func Policy(policy json.Marshaler) Option {
	return func(s *settings) { s.policy = policy }
}

// Concurrency limits how many invocations of functions run at once, over all functions, as an account of AWS does. Each
// request takes one for the gateway as long as it lasts and, while an attempt is made, one for a proxy. What functions have
// reserved is set aside for them. The default is 1000, which is AWS's.
func Concurrency(n int) Option {
	return func(s *settings) { s.concurrency = n }
}

// Start says which proxy makes the first attempt of each request, by its number. Default: 1, so that a test can name the
// proxies; in AWS the gateway draws one.
func Start(proxy int) Option {
	return func(s *settings) { s.start = proxy }
}

// Faults has a share of the calls to AWS fail, those of the state machine included. The shares are written as the variable
// FAULTS of make local takes them:
//
//	throttle=0.1,failed=0.1,lost=0.1,cut=0.1,slow=0.1,delay=50ms,seed=7
//
// A share with the name of a service before it, such as dynamodb.throttle=0.5, is one of that service alone, which then has no
// others.
//
// Calls are throttled, fail with the service's 500, are carried out with the reply lost or broken off in the middle, or are
// held up by the delay, which is in real time. Parts that are left out are 0; delay is then 1s, and seed 1. The n-th call of
// a service meets the same fault in every run.
func Faults(shares string) Option {
	return func(s *settings) { s.faultShares = shares }
}

// EndpointIdleTimeout has the AWS endpoints close connections on which nothing is asked for that long, in real time.
// Default: a minute.
func EndpointIdleTimeout(d time.Duration) Option {
	return func(s *settings) { s.endpointIdleTimeout = d }
}

// ClockAhead has the clock of a function, which is gateway or a proxy such as proxy-2, be ahead of the others, or behind
// them if it is below zero. The option can be given for several functions.
func ClockAhead(function string, ahead time.Duration) Option {
	return func(s *settings) {
		if s.clocksAhead == nil {
			s.clocksAhead = map[string]time.Duration{}
		}
		s.clocksAhead[function] = ahead
	}
}

// Secrets gives secrets in AWS Secrets Manager their values, by their names, such as
//
//	stacktest.Secrets(map[string]string{"orders/token": "s3cret", "orders/client": `{"client_id":"a","client_secret":"b"}`})
//
// or by their complete ARNs, if the stack refers to them by those. A secret of the template needs none: it has the value
// that the template says, or one that is generated. If it is given one all the same, that holds. The option can be given
// several times.
func Secrets(values map[string]string) Option {
	return func(s *settings) {
		if s.secrets == nil {
			s.secrets = map[string]string{}
		}
		maps.Copy(s.secrets, values)
	}
}

// Instance says which RetryingApiProxy of the stack [Bench.Run] calls, if there are several: the path of its construct below
// the stack's, such as Orders, or what the logical id of its function URL begins with. The others run, too; see [Request.To].
func Instance(name string) Option {
	return func(s *settings) { s.instance = name }
}

// Skip leaves parts of the stack out: resources of a type, such as AWS::Kinesis::Stream, where a * at the end stands for all
// types that begin so; a resource, or an output, by its logical id; or all that is in a construct, by its path below the
// stack's, such as Reports. Versions, aliases and function URLs are left out with their function.
//
// Left out unasked are resources for which nothing runs here, such as alarms, dashboards, networks and topics, and functions
// in languages that cannot be run here. A function whose environment refers to what is left out is told a made-up name in the
// place of its own. The option can be given several times.
func Skip(names ...string) Option {
	return func(s *settings) { s.skip = append(s.skip, names...) }
}

// selection is what is run of the stack.
func (s settings) selection() stack.Selection {
	return stack.Selection{Instance: s.instance, Skip: s.skip, InstanceBy: `stacktest.Instance("%s")`, SkipBy: `stacktest.Skip("%s")`}
}

// faults reads the shares of calls that fail.
func (s settings) faults() (faults.Settings, error) {
	if s.faultShares == "" {
		return faults.Settings{}, nil
	}
	read, err := faults.Parse(s.faultShares)
	if err != nil {
		return faults.Settings{}, fmt.Errorf("the faults of the bench are %q: %w", s.faultShares, err)
	}
	return read, nil
}

// environment is what each function is told differently from what its template says.
func (s settings) environment(loaded *cloudformation.Stack, upstream string) (map[string]map[string]string, error) {
	var policy []byte
	if s.policy != nil {
		var err error
		if policy, err = json.Marshal(s.policy); err != nil {
			return nil, fmt.Errorf("the policy of the bench: %w", err)
		}
	}
	all := map[string]map[string]string{}
	policies := 0
	for _, f := range loaded.Functions {
		own := map[string]string{}
		if _, starts := f.Environment[message.StateMachineVariable]; starts {
			own[message.RingStartVariable] = strconv.Itoa(s.start)
		}
		if _, known := f.Environment[message.RetryPolicyVariable]; known && policy != nil {
			own[message.RetryPolicyVariable] = string(policy)
			policies++
		}
		// The path of the base URL stays, since it is a part of what the upstream is asked for.
		if base, err := url.Parse(f.Environment[message.UpstreamVariable]); err == nil && base.Host != "" {
			base.Scheme, base.Host, _ = strings.Cut(upstream, "://")
			if s.certificates != "" {
				own["SSL_CERT_FILE"] = s.certificates
			}
			own[message.UpstreamVariable] = base.String()
		}
		all[f.Name] = own
	}
	if policy != nil && policies == 0 {
		return nil, fmt.Errorf("the bench has a policy, but no function of %s has the variable %s", loaded.Name, message.RetryPolicyVariable)
	}
	return all, nil
}
