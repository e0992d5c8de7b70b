package stacktest

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
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

// Load runs the stack in the cloud assembly in dir, such as cdk.out, until the test ends. The assembly holds one stack, with
// one RetryingApiProxy or several (see [Instance]), and what stands around them. What cannot be run here is named, and fails
// the test at once, unless it is left out (see [Skip]). Functions that were compiled for another machine are compiled for this one, which needs the go
// command and may take some time at first.
//
// When the test ends, replies of the upstream that were not asked for fail it; and if it has failed, its log says what was
// done with each request.
func Load(t testing.TB, dir string, options ...Option) *Bench {
	t.Helper()
	s := settings{start: 1}
	for _, option := range options {
		option(&s)
	}
	injected, err := s.faults()
	if err != nil {
		t.Fatalf("stacktest: %v", err)
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

	config := stack.Config{
		Listener:            listener,
		Clock:               clock.NewVirtual(time.Now()),
		Concurrency:         s.concurrency,
		Faults:              injected,
		EndpointIdleTimeout: s.endpointIdleTimeout,
		ClocksAhead:         s.clocksAhead,
		Secrets:             s.secrets,
		Log:                 b.logged,
	}
	if err = config.Load(dir, s.selection()); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	t.Cleanup(config.Close)
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
	b.executions.view = b.stack.View()
	b.stack.StepFunctions.Observe(b.executions.observe)
	b.stack.StepFunctions.Observe(b.prepareUpstream)
	return b
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

// URL is where the RetryingApiProxy is that Run calls, for clients of the test's own. It has no slash at its end.
func (b *Bench) URL() string { return b.stack.URL() }

// URLOf is where another RetryingApiProxy of the stack is, or another function that has a function URL, by what [Instance]
// would name it. It has no slash at its end. A name that none has fails the test at once.
func (b *Bench) URLOf(name string) string {
	b.t.Helper()
	url, err := b.stack.URLOf(name)
	if err != nil {
		b.t.Fatalf("stacktest: %v", err)
	}
	return url
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
	url, err := b.stack.URL(), error(nil)
	if request.instance != "" {
		url, err = b.stack.URLOf(request.instance)
	}
	if err != nil {
		return nil, err
	}
	sent, err := request.to(url)
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

// Execution returns the execution with a name when it has ended. It is for one of a Standard workflow, which whoever starts it
// does not wait for; its waits, of hours too, pass on the bench's clock. If several have the name, it is the one that was
// started last. A name that none has fails the test at once. It may be called from several goroutines, unless it fails.
func (b *Bench) Execution(name string) Execution {
	b.t.Helper()
	all, err := b.stack.StepFunctions.Executions("", "")
	if err != nil {
		b.t.Fatalf("stacktest: %v", err)
	}
	for _, started := range all {
		if started.Name == name {
			execution := b.executions.of(started.ARN).wait()
			b.tell(execution.String())
			return execution
		}
	}
	b.t.Fatalf("stacktest: no execution is called %q; %d were started", name, len(all))
	return Execution{}
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
