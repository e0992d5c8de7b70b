package apiproxy_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// costsOfTheDefault is what the explanation of the default props says in addition to times.
func costsOfTheDefault(t *testing.T) string {
	t.Helper()
	text := apiproxy.RetryingApiProxyProps{}.Explain().String()
	costs, found := strings.CutPrefix(text, retry.Default().Explain().String()+"\n")
	if !found {
		t.Fatalf("the explanation does not begin with that of the policy:\n%s", text)
	}
	return costs
}

func TestAnExplanationHasTheTimetableOfThePolicyAndThenTheCosts(t *testing.T) {
	want := `State transitions, dollars per million requests, and concurrency at 10 requests a second:
attempts  transitions  waiting  Express  gateways  proxies
1         4            0s       3.25     4         3
2         6            0s       5.26     7         6
3         9            1s       11.65    20        14
4         12           3s       20.74    43        22
5         15           7s       35.26    86        30
6         18           15s      60.60    169       38
Step Functions and Lambda at list prices of us-east-1; attempts of 300ms, a gateway of 128 MB and proxies of 256 MB on arm64, waits of
`
	if got := costsOfTheDefault(t); !strings.HasPrefix(got, want) {
		t.Errorf("the costs are\n%s", got)
	}
}

func TestAnExplanationIsForAsManyProxiesAsThePropsSay(t *testing.T) {
	for count, last := range map[int]string{0: "proxy-3", 2: "proxy-2", 5: "proxy-5"} {
		text := props(func(p *apiproxy.RetryingApiProxyProps) { p.ProxyCount = count }).Explain().String()
		for _, name := range []string{"proxy-1", "proxy-2", "proxy-3", "proxy-4", "proxy-5", "proxy-6"} {
			if got, want := strings.Contains(text, name), name <= last; got != want {
				t.Errorf("with ProxyCount %d: that %s is named is %t; want %t", count, name, got, want)
			}
		}
	}
}

func TestTheDocumentationShowsTheCostsOfTheDefault(t *testing.T) {
	text, err := os.ReadFile("../../docs/retry.md")
	if err != nil {
		t.Fatal(err)
	}
	if costs := costsOfTheDefault(t); !strings.Contains(string(text), "```\n"+costs+"```\n") {
		t.Errorf("the costs in the documentation are not\n%s", costs)
	}
}

func TestAnExplanationKnowsOfTheCredentialForTheUpstream(t *testing.T) {
	for _, c := range []struct {
		auth  apiproxy.UpstreamAuth
		quick bool
	}{{apiproxy.UpstreamAuth{}, true}, {apiproxy.SigV4("execute-api", "eu-central-1"), false}} {
		text := props(func(p *apiproxy.RetryingApiProxyProps) { p.Upstream.Auth = c.auth }).Explain().String()
		if got := strings.Contains(text, "quick try"); got != c.quick {
			t.Errorf("that there is a quick try is %t; want %t:\n%s", got, c.quick, text)
		}
	}
}

func TestAnExplanationTellsOfTheTransitionOfADeadLetterIfThereAreSuch(t *testing.T) {
	for _, bodies := range []*apiproxy.LargeBodies{nil, {}} {
		text := props(func(p *apiproxy.RetryingApiProxyProps) { p.LargeBodies = bodies }).Explain().String()
		if got := strings.Contains(text, "cost $5.00 to write to the bucket, and $0.40 each time that they are read"); got != (bodies != nil) {
			t.Errorf("with LargeBodies %v, the explanation is %s", bodies, text)
		}
	}
	for _, letters := range []*apiproxy.DeadLetters{nil, {}} {
		text := props(func(p *apiproxy.RetryingApiProxyProps) { p.Async, p.DeadLetters = &apiproxy.Async{}, letters }).Explain().String()
		if got := strings.Contains(text, "one transition more, for its dead letter"); got != (letters != nil) {
			t.Errorf("with DeadLetters %v, the explanation is %s", letters, text)
		}
	}
}

func TestAnExplanationTellsWhatACallbackCostsIfThereAreSuch(t *testing.T) {
	for _, callback := range []*apiproxy.Callback{nil, {URL: "https://hooks.example.com/orders"}} {
		text := props(func(p *apiproxy.RetryingApiProxyProps) { p.Async, p.Callback = &apiproxy.Async{}, callback }).Explain().String()
		// By hand: six transitions at 25 dollars a million, and a proxy of 0.3 s in 256 MB, at 0.20 for each call.
		const want = "A callback takes 6 transitions more: two of the request, and 4 of its own if it is delivered at once. A million of them\ncost $151.20.\n"
		if got := strings.Contains(text, want); got != (callback != nil) {
			t.Errorf("with Callback %v, the explanation is %s", callback, text)
		}
	}
}

func TestAnExplanationTellsOfFlowControlAndTheBreakerAndOfWhatWaitingCosts(t *testing.T) {
	// By hand: 30 s of a function of 256 MB are $0.0001, and of an Express execution of 64 MB $0.00003126.
	const price = "A million that wait 30s cost $50.00 more, and up to\n$81.26 where an Express execution waits with them.\n"
	const breaker = "\nThe circuit breaker, by credential and route, stops calls when 10 of them, and 80% of all,\n"
	const places = "\nAt most 500 requests that share a limit wait for that at the same time, and the others are turned away. 500 that wait hold\n" +
		"500 of the account's concurrent executions, those of the gateway. " + price
	const free = "Asynchronous requests wait in neither, and for nothing.\n"
	on, off := apiproxy.CircuitBreaker{}, apiproxy.CircuitBreaker{Disabled: true}
	for name, c := range map[string]struct {
		control  apiproxy.FlowControl
		breaker  apiproxy.CircuitBreaker
		async    *apiproxy.Async
		says     []string
		saysNone []string
	}{
		"neither": {apiproxy.FlowControl{Mode: apiproxy.Off}, off, &apiproxy.Async{}, nil, []string{"low control", "reaker", "share a limit", "$81.26", free}},
		"nobody waits": {apiproxy.FlowControl{Mode: apiproxy.Observe}, off, nil,
			[]string{"\nFlow control observes, by credential and route: nobody waits"}, []string{"reaker", "share a limit", "$81.26"}},
		"the breaker alone": {apiproxy.FlowControl{Mode: apiproxy.Off}, on, nil, []string{breaker, places}, []string{"low control", free}},
		"a rate alone": {apiproxy.FlowControl{Mode: apiproxy.Fixed, Rate: 3000, Period: time.Minute, Burst: 80, Key: apiproxy.ByUpstream}, off, &apiproxy.Async{},
			[]string{"\nFlow control is fixed, for all requests together: 3000 calls per 1m0s, and up to 80 at once.\n", "$0.625 for a million", places, free}, []string{"reaker"}},
		"a learned rate, without bound": {apiproxy.FlowControl{Mode: apiproxy.Adaptive, Key: apiproxy.ByRoute, MaxWaiting: apiproxy.Unbounded}, on, nil,
			[]string{"\nFlow control is adaptive, by route: ", "$0.625 for a million", "The circuit breaker, by route, ",
				"As many requests wait for that as come: 10 a second that wait 30s hold 300 of the account's concurrent executions,\nthose of the gateway. " + price},
			[]string{"At most"}},
		"another breaker": {apiproxy.FlowControl{MaxWaiting: 20}, apiproxy.CircuitBreaker{MinimumFailures: 7, FailureRate: 0.5, ProbeInterval: 5 * time.Second, RampUp: 2}, nil,
			[]string{"stops calls when 7 of them, and 50% of all,\n", "One per 5s then", "at 2 times", "20 that wait hold\n20 of the account's"}, nil},
	} {
		text := props(func(p *apiproxy.RetryingApiProxyProps) {
			p.FlowControl, p.CircuitBreaker, p.Async = c.control, c.breaker, c.async
		}).Explain().String()
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, text)
			}
		}
		for _, bad := range c.saysNone {
			if strings.Contains(text, bad) {
				t.Errorf("%s: it says %q:\n%s", name, bad, text)
			}
		}
	}
}

func TestAnExplanationHasTheCostsOfAsynchronousRequestsIfThereAreSuch(t *testing.T) {
	text := props(func(p *apiproxy.RetryingApiProxyProps) { p.Async = &apiproxy.Async{} }).Explain().String()
	const want = `
Asynchronous requests may take up to 24h0m0s, and wait for the upstream as long as that. Dollars per million of them, with
an Idempotency-Key, in a Standard workflow at $0.025 per thousand transitions:
attempts  transitions  Standard
1         5            126.67
`
	if !strings.Contains(text, want) {
		t.Errorf("the explanation is\n%s", text)
	}
	if text := (apiproxy.RetryingApiProxyProps{}).Explain().String(); strings.Contains(text, "synchronous") {
		t.Errorf("without the prop it speaks of them:\n%s", text)
	}
}

func TestAnExplanationTellsWhatAddressesCostIfTheyDo(t *testing.T) {
	// By hand: 730 hours of a NAT gateway at $0.045 and of an address at $0.005 are $36.50; of an endpoint in two zones at $0.01, $14.60.
	for want, change := range map[string]func(*apiproxy.RetryingApiProxyProps){
		"from 3 fixed addresses, one for each. Their NAT gateways and addresses cost $109.50 a month": func(p *apiproxy.RetryingApiProxyProps) {
			p.Egress.Kind = apiproxy.StaticAddresses
		},
		"from 5 fixed addresses, one for each. Their NAT gateways and addresses cost $182.50 a month": func(p *apiproxy.RetryingApiProxyProps) {
			p.ProxyCount, p.Egress.Kind = 5, apiproxy.StaticAddresses
		},
		"by IPv6 alone, from a /64 each, which costs nothing.\n": func(p *apiproxy.RetryingApiProxyProps) { p.Egress.Kind = apiproxy.IPv6 },
		"The endpoint of AWS Secrets Manager costs $14.60 a\nmonth": func(p *apiproxy.RetryingApiProxyProps) {
			p.Async, p.Callback, p.Egress.Kind = &apiproxy.Async{}, &apiproxy.Callback{Hosts: []string{"hooks.example.com"}}, apiproxy.IPv6
		},
		"costs what it did before": func(p *apiproxy.RetryingApiProxyProps) {
			p.Egress = apiproxy.Egress{Kind: apiproxy.StaticAddresses, Subnets: make([]awsec2.ISubnet, 3)}
		},
	} {
		if text := props(change).Explain().String(); !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if text := props(func(*apiproxy.RetryingApiProxyProps) {}).Explain().String(); strings.Contains(text, "The proxies call") {
		t.Errorf("it speaks of addresses of which nothing is known:\n%s", text)
	}
}
