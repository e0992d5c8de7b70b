package stacktest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

// A Bench is a stack that runs for a test, in front of an upstream that the test plays. Tests that run in parallel have a
// bench each. The methods of one may be called from several goroutines, [Bench.Machine] from the test's own.
type Bench struct {
	t          testing.TB
	stack      *stack.Stack
	upstream   *upstream
	executions *executions
	client     *http.Client

	mu   sync.Mutex
	runs []string // told if the test fails
	log  []string
}

// An Option changes the stack that a bench runs.
type Option func(*settings)

type settings struct {
	policy      json.Marshaler
	concurrency int
	start       int
	http2       bool

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

// Load runs the stack in the cloud assembly in dir, such as cdk.out, until the test ends. The assembly holds one stack, with
// the resources of one RetryingApiProxy and nothing else: what cannot be run here is named, and fails the test at once.
// Functions that were compiled for another machine are compiled for this one, which needs the go command and may take
// some time at first.
//
// When the test ends, replies of the upstream that were not asked for fail it; and if it has failed, its log says what was
// done with each request.
func Load(t testing.TB, dir string, options ...Option) *Bench {
	t.Helper()
	s := settings{start: 1}
	for _, option := range options {
		option(&s)
	}
	var certified *tls.Certificate
	if s.http2 {
		var own tls.Certificate
		own, s.certificates = certificate(t)
		certified = &own
	}
	b := &Bench{
		t:          t,
		upstream:   newUpstream(t, certified),
		executions: &executions{all: map[string]*recording{}},
		client: &http.Client{
			Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	t.Cleanup(func() { listener.Close() })
	t.Cleanup(b.close)

	config := stack.Config{Listener: listener, Clock: clock.NewVirtual(time.Now()), Concurrency: s.concurrency, Log: b.logged}
	if config.Template, err = stack.Load(dir, listener); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	if config.Binaries, err = assembly.NativeBinaries(t.Context(), config.Template); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	config.Upstream = b.upstream.url()
	if config.Environment, err = s.environment(config.Template, b.upstream.url()); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	if b.stack, err = stack.Start(config); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	b.stack.StepFunctions.Observe(b.executions.observe)
	b.stack.StepFunctions.Observe(b.prepareUpstream)
	return b
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

// Upstream adds replies to what the upstream does: one for each attempt, in the order in which the attempts are made. A
// request after the last one fails the test.
func (b *Bench) Upstream(replies ...Reply) { b.upstream.play(replies) }

// Serve has a handler answer all requests to the upstream, in the place of replies.
func (b *Bench) Serve(handler http.Handler) {
	b.upstream.mu.Lock()
	defer b.upstream.mu.Unlock()
	b.upstream.always = handler
}

// Received returns the requests that the upstream got so far. Attempts that were refused a connection are not among them.
func (b *Bench) Received() []Received {
	b.upstream.mu.Lock()
	defer b.upstream.mu.Unlock()
	return append([]Received(nil), b.upstream.received...)
}

// Run sends a request to the stack's endpoint and returns when there is an answer. It may be called from several
// goroutines at once. That the request fails is a result; what fails the test is a request that cannot be sent.
func (b *Bench) Run(request Request) *Run {
	b.t.Helper()
	run, err := b.run(request)
	if err != nil {
		b.t.Errorf("stacktest: %s: %v", request, err)
		return &Run{}
	}
	b.tell(run.String())
	return run
}

func (b *Bench) run(request Request) (*Run, error) {
	sent, err := request.to(b.stack.URL())
	if err != nil {
		return nil, err
	}
	response, err := b.client.Do(sent)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	run := &Run{request: request.String(), StatusCode: response.StatusCode, Header: response.Header, Body: string(body)}
	// The gateway names the execution by the id of its own invocation, which the endpoint tells.
	if recorded := b.executions.named(response.Header.Get(requestIDHeader)); recorded != nil {
		run.Execution = recorded.wait()
	}
	return run, nil
}

// requestIDHeader tells the id of the invocation, in the answers of a function URL.
const requestIDHeader = "X-Amzn-Requestid"

// prepareUpstream has the upstream get ready when a proxy is about to be called.
func (b *Bench) prepareUpstream(_ stepfunctions.Execution, event asl.Event) {
	if event.Type == asl.TaskScheduled && event.TaskScheduled.ResourceType == "lambda" {
		b.upstream.prepare()
	}
}

// tell keeps what was done with a request, for the log of a test that fails.
func (b *Bench) tell(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = append(b.runs, text)
}

// logged keeps what functions say that could not do their work: how their processes ended, and what they wrote that is
// not a line of their JSON log.
func (b *Bench) logged(event lambda.LogEvent) {
	if event.Type != lambda.LogFault && (event.Type != lambda.LogFunction || strings.HasPrefix(event.Message, "{")) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, event.Function+": "+terminal.Line(event.Message))
}

// close ends the bench, and says what there is to say.
func (b *Bench) close() {
	if b.stack != nil {
		b.stack.Close()
	}
	b.client.CloseIdleConnections()
	if left := b.upstream.close(); left > 0 && !b.t.Failed() {
		b.t.Errorf("stacktest: %d of the upstream's %d replies were not asked for", left, b.upstream.given)
	}
	if !b.t.Failed() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, run := range b.runs {
		b.t.Logf("stacktest: what was done:\n%s", run)
	}
	if len(b.log) > 0 {
		b.t.Logf("stacktest: what the functions wrote:\n%s", strings.Join(b.log, "\n"))
	}
}
