package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatestore"
	gateway "github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway/handler"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	proxy "github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/handler"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// A whole is the whole stack in this process, on a virtual clock: the handlers' own code, the definition that the
// construct synthesises, the interpreter and the table. Nothing sleeps, so thousands of requests take seconds.
type whole struct {
	t       fataler
	clock   *clock.Virtual
	gateway *gateway.Gateway
	another *gateway.Gateway // another sandbox of the same function
	proxies []lambda.Handler

	// pools are the sandboxes of the proxies, if there is to be one for each invocation that runs at the same time. Default: one
	// for all, that of proxies.
	pools []*pool[lambda.Handler]

	// newGateway and newProxy make other sandboxes of the functions.
	newGateway func(off time.Duration) *gateway.Gateway
	newProxy   func(i int) lambda.Handler

	// severed breaks the connection of the gateways to Step Functions before anything is started, in such a way that they
	// cannot know that.
	severed bool

	// table says what becomes of the next request to the table: whether it is carried out, and whether its reply arrives.
	// Default: both. It is called by one after the other.
	table func() (carriedOut, answered bool)

	// letters are the dead letters that were sent, and queue says what becomes of the next one: whether SQS takes it, and whether
	// its reply arrives. Default: both.
	letters []message.DeadLetter
	queue   func() (taken, answered bool)

	// told are the callbacks that were made, and receiver answers the n-th of them, from 1. Default: it takes each.
	told     []notice
	receiver func(n int, w http.ResponseWriter)

	// name tells the stack from others at their upstream.
	name string

	// What is below belongs to whoever holds the lock; the functions are called with it held.
	mu sync.Mutex

	// fate says what becomes of the next invocation of a proxy. Default: it runs.
	fate func(proxy string) fate

	// upstream answers the n-th request that is sent upstream, from 1. It must be set.
	upstream func(n int, w http.ResponseWriter)
	sent     []sent

	// upstreamOf answers a request in its place, if it is set.
	upstreamOf func(http.ResponseWriter, *http.Request)

	// broken is a promise that was found broken in a goroutine other than the test's.
	broken string
}

// patience is how long handlers wait for the table, by the clock of the machine, which may be slow.
const patience = time.Minute

// A pool holds the sandboxes of a function, the one that was used last on top, as Lambda seems to have it.
type pool[T any] struct {
	mu   sync.Mutex
	idle []T
	made int
}

func (p *pool[T]) take(more func() T) (sandbox T, done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		sandbox, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		sandbox = more()
		p.made++
	}
	return sandbox, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.idle = append(p.idle, sandbox)
	}
}

// A fataler is a test, or a property of one.
type fataler interface {
	Fatalf(format string, args ...any)
}

// A fate is what becomes of an invocation of a proxy.
type fate int

const (
	runs fate = iota
	throttled
	crashesBefore // it sends anything
	crashesAfter  // it has sent and received
)

// sent is a request that went upstream.
type sent struct {
	at   time.Time
	line string
}

// deadlines of contexts are real ones, so the virtual clock begins where no real one ends.
var dawn = time.Date(2100, 1, 1, 6, 0, 0, 0, time.UTC)

// threeProxies is the definition of three proxies, as the construct's golden file has it.
var threeProxies = sync.OnceValue(func() string {
	text, err := os.ReadFile("../../../../constructs/apiproxy/testdata/definition-3-proxies.json")
	if err != nil {
		panic(err)
	}
	return local(string(text))
})

const (
	wholeMachine = "arn:aws:states:us-east-1:000000000000:stateMachine:whole"
	asyncMachine = "arn:aws:states:us-east-1:000000000000:stateMachine:whole-async"
)

// asyncProxies is the definition of three proxies for asynchronous requests.
var asyncProxies = sync.OnceValue(func() string {
	text, err := os.ReadFile("../../../../constructs/apiproxy/testdata/callback-letters-definition-3-proxies.json")
	if err != nil {
		panic(err)
	}
	return local(string(text))
})

// local puts what is in the stack of these tests into a definition.
func local(definition string) string {
	definition = strings.ReplaceAll(definition, "${AWS::Partition}", "aws")
	definition = regexp.MustCompile(`\$\{Ordersproxy(\d)[^}]*\}`).ReplaceAllString(definition, "arn:aws:lambda:us-east-1:000000000000:function:proxy-$1:live")
	definition = regexp.MustCompile(`\$\{OrdersFailedRequests[^}]*\}`).ReplaceAllString(definition, "http://sqs.test/000000000000/letters")
	return regexp.MustCompile(`\$\{OrdersTable[^}]*\}`).ReplaceAllString(definition, "records")
}

// inProcess carries requests to a handler without a network.
type inProcess struct{ handler http.Handler }

func (p inProcess) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// severable carries requests unless the connection is severed.
type severable struct {
	inProcess
	severed *bool
}

func (s severable) Do(r *http.Request) (*http.Response, error) {
	if *s.severed {
		return nil, errors.New("connection reset by peer")
	}
	if p, entered := r.Context().Value(presenceKey{}).(*presence); entered {
		p.leave()
		defer func() { p.leave = p.clock.Enter() }()
	}
	return s.inProcess.Do(r)
}

// A presence is that of a goroutine that has entered the clock. While an execution runs for it, that has.
type presence struct {
	clock *clock.Virtual
	leave func()
}

type presenceKey struct{}

// faulty carries requests to the table as the stack says.
type faulty struct {
	inProcess
	w *whole
}

func (f faulty) Do(r *http.Request) (*http.Response, error) {
	carriedOut, answered := true, true
	f.w.mu.Lock()
	if f.w.table != nil {
		carriedOut, answered = f.w.table()
	}
	f.w.mu.Unlock()
	if !carriedOut {
		return nil, errors.New("connection reset by peer")
	}
	response, err := f.inProcess.Do(r)
	if !answered {
		return nil, errors.New("connection reset by peer")
	}
	return response, err
}

// sleeper makes a virtual clock the one of handlers.
type sleeper struct{ *clock.Virtual }

func (s sleeper) Sleep(ctx context.Context, d time.Duration) error { return s.Wait(ctx, d) }

// off is how far the clocks of functions are ahead of the true one, which is that of the state machine, the table and the
// upstream.
type off struct {
	gateway, another time.Duration
	proxies          [3]time.Duration
}

// A wrong clock tells another time.
type wrong struct {
	sleeper
	by time.Duration
}

func (w wrong) Now() time.Time { return w.sleeper.Now().Add(w.by) }

// wholeUpstream is one server for all stacks: it hands each request to the stack that its path names first.
var wholeUpstream = sync.OnceValue(func() (u struct {
	address string
	stacks  *sync.Map
}) {
	u.stacks = &sync.Map{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		found, _ := u.stacks.Load(name)
		r.URL.Path = "/" + rest
		body, _ := io.ReadAll(r.Body)
		found.(*whole).serve(w, r, body)
	}))
	u.address = server.Listener.Addr().String()
	return u
})

// newWhole starts a stack of three proxies with a policy, as JSON. random is all that it draws.
func newWhole(t fataler, policy string, random func() float64) (w *whole, end func()) {
	return newWholeWithClocks(t, policy, random, off{})
}

func newWholeWithClocks(t fataler, policy string, random func() float64, clocks off) (w *whole, end func()) {
	return newWholeIn(t, policy, random, clocks, nil)
}

// newWholeIn starts a stack with more in the environment of its functions, or with something else there.
func newWholeIn(t fataler, policy string, random func() float64, clocks off, more map[string]string) (w *whole, end func()) {
	w = &whole{t: t, clock: clock.NewVirtual(dawn), fate: func(string) fate { return runs }}
	tables := dynamodb.New(dynamodb.WithClock(w.clock.Now))
	if err := tables.CreateTable(dynamodb.TableDefinition{Name: "records", PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"}}); err != nil {
		t.Fatalf("%v", err)
	}
	service := stepfunctions.New(stepfunctions.Config{Lambda: asl.LambdaFunc(w.invoke), DynamoDB: stack.Tables(tables), SQS: asl.SQSFunc(w.takeLetter), Clock: w.clock})
	err := service.CreateStateMachine(stepfunctions.StateMachine{Name: "whole", ARN: wholeMachine, Type: stepfunctions.Express, Definition: threeProxies()})
	if err == nil {
		err = service.CreateStateMachine(stepfunctions.StateMachine{Name: "whole-async", ARN: asyncMachine, Type: stepfunctions.Standard, Definition: asyncProxies()})
	}
	if err != nil {
		t.Fatalf("%v", err)
	}

	w.name = fmt.Sprintf("%p", w)
	wholeUpstream().stacks.Store(w.name, w)
	environment := map[string]string{
		"STATE_MACHINE_ARN": wholeMachine, "PROXY_COUNT": "3", "RETRY_POLICY": policy, "TABLE_NAME": "records",
		"RECORD_PREFIX": "gateway", "RING_START": "1", "UPSTREAM_BASE_URL": "http://upstream.test/" + w.name, "IDEMPOTENCY_TTL": "24h",
		"ASYNC": "true", "ASYNC_STATE_MACHINE_ARN": asyncMachine, "ASYNC_DEADLINE": "6h", "ASYNC_ANSWER_TTL": "24h", "DEAD_LETTER_RETENTION": "336h",
		"CALLBACK_HOSTS": "127.0.0.1", "CALLBACK_SECRET": "hooks",
	}
	maps.Copy(environment, more)
	getenv := func(proxy string) func(string) string {
		return func(name string) string {
			if name == "PROXY_NAME" {
				return proxy
			}
			return environment[name]
		}
	}
	discard := slog.New(slog.NewJSONHandler(io.Discard, nil))
	keys := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", "")
	table := awsdynamodb.New(awsdynamodb.Options{
		Region: "us-east-1", Credentials: keys, BaseEndpoint: aws.String("http://dynamodb.test"), HTTPClient: faulty{inProcess{tables}, w},
		Retryer: aws.NopRetryer{}, // it waits by the clock of the machine
	})
	w.newGateway = func(off time.Duration) *gateway.Gateway {
		engine := sfn.New(sfn.Options{
			Region: "us-east-1", Credentials: keys, BaseEndpoint: aws.String("http://states.test"), RetryMaxAttempts: 1,
			HTTPClient: severable{inProcess{service}, &w.severed},
		})
		g, err := gateway.New(getenv(""), gateway.Dependencies{
			Engine: engine, AsyncEngine: engine, DynamoDB: table,
			Log: discard, Clock: wrong{sleeper{w.clock}, off}, Random: random, GateOptions: []gate.Option{gate.WithRandom(random), gate.WithSilence(patience)},
		})
		if err != nil {
			t.Fatalf("%v", err)
		}
		return g
	}
	w.gateway, w.another = w.newGateway(clocks.gateway), w.newGateway(clocks.another)
	w.newProxy = func(i int) lambda.Handler {
		p, err := proxy.New(getenv(fmt.Sprintf("proxy-%d", i+1)), proxy.Dependencies{
			Log: discard, Clock: wrong{sleeper{w.clock}, clocks.proxies[i]}, Random: random, Secrets: vault{},
			Gate: func(name string) gate.Store { return gatestore.New(table, name) }, GateOptions: []gate.Option{gate.WithRandom(random), gate.WithSilence(patience)},
			Executions: func(name, prefix string) proxy.Executions { return executionstore.New(table, name, prefix) },
			Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i))}} // each proxy has an address
				return dialer.DialContext(ctx, network, wholeUpstream().address)
			},
		})
		if err != nil {
			t.Fatalf("%v", err)
		}
		return lambda.NewHandler(p.Handle)
	}
	for i := range 3 {
		w.proxies = append(w.proxies, w.newProxy(i))
	}
	return w, func() {
		service.Close()
		wholeUpstream().stacks.Delete(w.name)
	}
}

// invoke runs a proxy as Lambda does, or lets it meet its fate.
func (w *whole) invoke(ctx context.Context, function string, payload []byte) (asl.Invocation, error) {
	name := strings.TrimSuffix(function[strings.LastIndex(function, ":proxy-")+1:], ":live")
	number, err := strconv.Atoi(strings.TrimPrefix(name, "proxy-"))
	if err != nil {
		return asl.Invocation{}, err
	}
	w.mu.Lock()
	fate := w.fate(name)
	w.mu.Unlock()
	failed := func(kind string) (asl.Invocation, error) {
		return asl.Invocation{FunctionError: "Unhandled", Payload: fmt.Appendf(nil, `{"errorType":%q,"errorMessage":"it is in the test"}`, kind)}, nil
	}
	switch fate {
	case throttled:
		return asl.Invocation{}, &asl.ServiceError{Code: "TooManyRequestsException", StatusCode: 429}
	case crashesBefore:
		return failed("Runtime.ExitError")
	}
	proxy, done := w.sandboxOf(number - 1)
	defer done()
	output, err := proxy.Invoke(ctx, payload)
	switch {
	case fate == crashesAfter:
		return failed("Sandbox.Timedout")
	case err != nil:
		return failed(reflect.TypeOf(err).Elem().Name())
	}
	return asl.Invocation{Payload: output}, nil
}

// sandboxOf is the sandbox that a proxy runs in.
func (w *whole) sandboxOf(i int) (proxy lambda.Handler, done func()) {
	if w.pools == nil {
		return w.proxies[i], func() {}
	}
	return w.pools[i].take(func() lambda.Handler { return w.newProxy(i) })
}

// takeLetter is the queue of dead letters.
func (w *whole) takeLetter(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken, answered := true, true
	if w.queue != nil {
		taken, answered = w.queue()
	}
	if !taken {
		return nil, &asl.ServiceError{Code: "RequestThrottled", StatusCode: 403}
	}
	var sent struct{ QueueUrl, MessageBody string }
	var letter message.DeadLetter
	if err := json.Unmarshal(input, &sent); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(sent.MessageBody), &letter); err != nil {
		w.broken = fmt.Sprintf("the letter is %s: %v", sent.MessageBody, err)
	}
	w.letters = append(w.letters, letter)
	if !answered {
		return nil, errors.New("connection reset by peer")
	}
	return json.RawMessage(`{"MessageId":"1"}`), nil
}

// redrive hands a letter to one of the gateways.
func (w *whole) redrive(g *gateway.Gateway, letter message.DeadLetter, resend bool) (gateway.Redriven, error) {
	event, err := json.Marshal(map[string]any{"redrive": map[string]any{"execution": letter.Execution, "item": letter.Item, "resend": resend}})
	if err != nil {
		return gateway.Redriven{}, err
	}
	answer, err := g.Invoke(context.Background(), event)
	if err != nil {
		return gateway.Redriven{}, err
	}
	var redriven gateway.Redriven
	return redriven, json.Unmarshal(answer, &redriven)
}

func (w *whole) serve(rw http.ResponseWriter, r *http.Request, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.URL.Path == "/callback" {
		w.take(rw, r, body)
		return
	}
	w.sent = append(w.sent, sent{w.clock.Now(), r.Method + " " + r.URL.Path})
	if w.upstreamOf != nil {
		w.upstreamOf(rw, r)
		return
	}
	w.upstream(len(w.sent), rw)
}

// ask sends a request to the gateway. fields are pairs of name and value.
func (w *whole) ask(method, path string, fields ...string) events.LambdaFunctionURLResponse {
	return w.askOf(w.gateway, method, path, fields...)
}

// askOf sends a request to one of the gateways.
func (w *whole) askOf(gateway *gateway.Gateway, method, path string, fields ...string) events.LambdaFunctionURLResponse {
	return w.askIn(context.Background(), gateway, method, path, fields...)
}

func (w *whole) askIn(ctx context.Context, gateway *gateway.Gateway, method, path string, fields ...string) events.LambdaFunctionURLResponse {
	event := events.LambdaFunctionURLRequest{RawPath: path, Headers: map[string]string{}}
	event.RequestContext.HTTP.Method, event.RequestContext.HTTP.Protocol = method, "HTTP/1.1"
	for i := 0; i < len(fields); i += 2 {
		event.Headers[fields[i]] = fields[i+1]
	}
	answer, err := gateway.Handle(ctx, event)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || w.broken != "" {
		w.t.Fatalf("%s; the gateway's error is %v", w.broken, err)
	}
	return answer
}

func half() float64 { return 0.5 }

func TestTheWholeStackRunsInOneProcessOnAVirtualClock(t *testing.T) {
	w, end := newWhole(t, "", half)
	defer end()
	w.upstream = func(n int, rw http.ResponseWriter) {
		if n < 3 {
			rw.Header().Set("Retry-After", "20")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(rw, "done")
	}
	for i, replayed := range []string{"", "true"} {
		answer := w.ask("POST", "/pay", "idempotency-key", "order-1")
		if answer.StatusCode != 200 || answer.Body != "done" || answer.Headers["idempotent-replayed"] != replayed || len(w.sent) != 3 {
			t.Errorf("request %d was answered with %+v after %v", i+1, answer, w.sent)
		}
	}
	// At once to the second proxy, since the limit may be by address; then as told, and the middle of 0.2 s of jitter.
	if first, last := w.sent[1].at.Sub(dawn), w.sent[2].at.Sub(dawn); first != 0 || last != 20_100*time.Millisecond {
		t.Errorf("the attempts began after %v and %v, want at once and after 20.1 s", first, last)
	}
}

func TestALostProxyInTheWholeStack(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  string
		key     bool
		fates   []fate
		status  int
		sent    int
		members string // of Proxy-Status
	}{
		{"a GET goes on", "GET", false, []fate{crashesBefore}, 200, 1, `proxy-1; error=proxy_internal_error; details="Runtime.ExitError", proxy-2; received-status=200`},
		{"a GET whose answer was lost is sent again", "GET", false, []fate{crashesAfter}, 200, 2, `proxy-1; error=proxy_internal_error; details="Sandbox.Timedout", proxy-2; received-status=200`},
		{"a POST may have been processed", "POST", false, []fate{crashesBefore}, 502, 0, `proxy-1; error=proxy_internal_error; details="Runtime.ExitError"`},
		{"a POST with a key goes on", "POST", true, []fate{crashesAfter}, 200, 2, `proxy-1; error=proxy_internal_error; details="Sandbox.Timedout", proxy-2; received-status=200`},
		{"a POST whose proxy was throttled goes on", "POST", false, []fate{throttled, throttled, throttled, throttled}, 200, 1,
			`proxy-1; error=proxy_internal_error; details="Lambda.TooManyRequestsException", proxy-2; received-status=200`},
		{"the third of three goes on", "GET", false, []fate{crashesBefore, crashesBefore}, 200, 1,
			`proxy-1; error=proxy_internal_error; details="Runtime.ExitError", proxy-2; error=proxy_internal_error; details="Runtime.ExitError", proxy-3; received-status=200`},
		{"all are lost", "GET", false, []fate{crashesBefore, crashesBefore, crashesBefore}, 502, 0,
			`proxy-1; error=proxy_internal_error; details="Runtime.ExitError", proxy-2; error=proxy_internal_error; details="Runtime.ExitError", proxy-3; error=proxy_internal_error; details="Runtime.ExitError"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, end := newWhole(t, "", func() float64 { return 0.9999 }) // the longest backoff
			defer end()
			w.upstream = func(int, http.ResponseWriter) {}
			fates := c.fates
			w.fate = func(string) fate {
				if len(fates) == 0 {
					return runs
				}
				next := fates[0]
				fates = fates[1:]
				return next
			}
			var fields []string
			if c.key {
				fields = []string{"idempotency-key", "k"}
			}
			answer := w.ask(c.method, "/", fields...)
			if answer.StatusCode != c.status || len(w.sent) != c.sent {
				t.Errorf("it was answered with %d after %d requests, want %d after %d: %s", answer.StatusCode, len(w.sent), c.status, c.sent, answer.Body)
			}
			if got := answer.Headers["proxy-status"]; got != c.members {
				t.Errorf("Proxy-Status is %q, want %q", got, c.members)
			}
		})
	}
}

// A step is what happens around one invocation of a proxy.
type step struct {
	fate       fate
	status     int // that the upstream answers with, if the proxy comes to it
	retryAfter int // in seconds; below zero for none
	random     float64
}

// steps draws what happens one after the other. Behind them all goes well.
var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{
		fate:       rapid.SampledFrom([]fate{runs, runs, runs, throttled, crashesBefore, crashesAfter}).Draw(t, "fate"),
		status:     rapid.SampledFrom([]int{200, 200, 429, 500, 503}).Draw(t, "status"),
		retryAfter: rapid.IntRange(-10, 40).Draw(t, "Retry-After"),
		random:     rapid.Float64Range(0, 0.999).Draw(t, "random"),
	}
}), 0, 20)

// A course is what becomes of a request in which upstream and proxies take steps that were drawn, the last one again and
// again, and what of it the promises speak about.
type course struct {
	steps   []step
	current step

	floor     time.Time // that the upstream gave, and a proxy has heard
	succeeded bool      // an answer of 200 was given
	kept      bool      // what a proxy has received is known even if it crashes then
	unproved  bool      // a request was sent of which nobody knows that nothing was done
	repeated  bool      // and another one after it
}

// drawCourse draws the steps before one that succeeds.
func drawCourse(t *rapid.T) *course {
	all := append(steps.Draw(t, "steps"), step{status: 200, retryAfter: -1})
	return &course{steps: all, current: all[0]}
}

func (c *course) random() float64 { return c.current.random }

// of has a stack take this course.
func (c *course) of(w *whole) {
	w.fate = func(string) fate {
		c.current = c.steps[0]
		if len(c.steps) > 1 {
			c.steps = c.steps[1:]
		}
		return c.current.fate
	}
	w.upstream = func(_ int, rw http.ResponseWriter) {
		now := w.clock.Now()
		if now.Before(c.floor) {
			w.broken = fmt.Sprintf("it was asked %v early", c.floor.Sub(now))
		}
		c.repeated = c.repeated || c.unproved
		limited := c.current.status == 429 || c.current.status == 503 && c.current.retryAfter >= 0
		c.unproved = c.unproved || !limited || c.current.fate == crashesAfter && !c.kept
		c.succeeded = c.succeeded || c.current.status == 200
		if c.current.retryAfter >= 0 && c.current.status >= 400 {
			rw.Header().Set("Retry-After", strconv.Itoa(c.current.retryAfter))
			// A limit may be by address, so the next proxy tries at once.
			if c.current.fate == runs && c.current.status != 429 {
				c.floor = now.Add(time.Duration(c.current.retryAfter) * time.Second)
			}
		}
		rw.WriteHeader(c.current.status)
	}
}

// succeedsFromNowOn has what comes be right, and asks for no wait any more.
func (c *course) succeedsFromNowOn() {
	c.current, c.steps, c.floor = step{}, []step{{status: 200, retryAfter: -1}}, time.Time{}
}

// judge compares what a caller was told with what was done. The answer may take as long as the limit.
func (c *course) judge(t *rapid.T, w *whole, method string, keyed bool, answer events.LambdaFunctionURLResponse, limit time.Duration) {
	if method == "POST" && !keyed && c.repeated {
		t.Fatalf("a POST without a key was sent %d times, although nothing proved that nothing was done", len(w.sent))
	}
	if took := w.clock.Now().Sub(dawn); took > limit {
		t.Fatalf("it took %v, want at most %v", took, limit)
	}
	if answer.StatusCode == 200 && !c.succeeded {
		t.Fatalf("the caller was told of a success that there was not")
	}
	if told := strings.Count(answer.Headers["proxy-status"], "received-status"); told > len(w.sent) {
		t.Fatalf("%d answers are told, of %d requests that were sent", told, len(w.sent))
	}
}

// methods are those of the requests.
var methods = rapid.SampledFrom([]string{"GET", "POST", "PUT"})

// key gives the fields of a request with a key, or none.
func key(keyed bool) []string {
	if keyed {
		return []string{"idempotency-key", "k"}
	}
	return nil
}

// TestWhateverHappensTheWholeStackKeepsItsPromises lets the upstream answer, limit and fail, and proxies crash and be
// throttled, in any order.
func TestWhateverHappensTheWholeStackKeepsItsPromises(t *testing.T) {
	requests, attempts := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		method, keyed := methods.Draw(t, "method"), rapid.Bool().Draw(t, "with a key")
		c := drawCourse(t)
		w, end := newWhole(t, `{"networkFailures":{"attempts":4}}`, c.random)
		defer end()
		c.of(w)
		answer := w.ask(method, "/", key(keyed)...)
		requests++
		attempts += len(w.sent)

		c.judge(t, w, method, keyed, answer, 62*time.Second) // the deadline is a minute
		if answer.Headers["content-type"] == "application/problem+json" {
			var document struct{ Attempts []json.RawMessage }
			if err := json.Unmarshal([]byte(answer.Body), &document); err != nil || len(document.Attempts) == 0 {
				t.Fatalf("a problem without attempts: %s", answer.Body)
			}
		}
		if !keyed {
			return
		}
		// Whatever came of the first request, the second one is answered, and from the record if that was final.
		c.succeedsFromNowOn()
		before := len(w.sent)
		again := w.ask(method, "/", key(true)...)
		replayed := again.Headers["idempotent-replayed"] == "true"
		if again.StatusCode != 200 || replayed != (answer.StatusCode == 200) || replayed && len(w.sent) != before {
			t.Fatalf("after %d the second request with the key was answered with %d, replayed %v, after %d more requests", answer.StatusCode, again.StatusCode, replayed, len(w.sent)-before)
		}
	})
	t.Logf("compared %d requests, which led to %d attempts, with what the stack promises", requests, attempts)
}
