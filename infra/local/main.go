// Command local runs the stack on this machine, without AWS: the same synthesised template, the same handlers.
//
// Environment:
//
//	ADDR         where the function URL listens (default 127.0.0.1:8787); the AWS endpoints listen on the next port of a
//	             loopback address, and the console answers this machine only
//	UPSTREAM     base URL of the API that is called (default: a demo upstream that limits and fails)
//	SPEED        waits between attempts pass so many times faster (default 1)
//	PROXIES      number of proxies (default: that of the stack)
//	DATA         a file that keeps the idempotency records, the objects in buckets, the messages of queues, the executions and the
//	             secret of callbacks when the program ends; executions of Standard workflows go on when it is started again (default: they are kept in
//	             memory)
//	SECRETS      a JSON file with the secrets in Secrets Manager, by their names: strings, or objects, each of which stands for
//	             its JSON text. It is read again when it changes (default: there are those of the stack only)
//	CALLBACK     a URL that is told of the end of asynchronous requests: https, or http at a loopback address (default: none)
//	CALLBACK_HOSTS
//	             hosts with commas between that the field Callback-Url of such requests may name, such as 127.0.0.1:9000 (default:
//	             none)
//	VERBOSE      1 prints what the functions write, too
//	UPSTREAM_AUTH
//	             how to authenticate to the upstream, and the name of the secret, which SECRETS holds: bearer:SECRET,
//	             basic:SECRET, header/NAME:SECRET, query/NAME:SECRET, oauth2/TOKEN-URL:SECRET or certificate:SECRET, with
//	             #FIELD behind it for one field of an object. The demo upstream asks for it (default: not at all)
//	POLICY       a JSON file with the retry policy; docs/retry.md says what is in one (default: that of the stack)
//	VENDOR       names of vendors with commas between, whose presets the policy is put over, such as shopify; docs/vendors.md
//	             lists them (default: none)
//	CA           a file with certificates in PEM, by which an https upstream and a token URL are trusted besides the
//	             authorities that the system knows
//	CONCURRENCY  how many invocations of functions may run at once, as in an account of AWS (default 1000)
//	FAULTS       shares of the calls to AWS that are throttled, fail with a 500, are carried out with the reply lost or cut, or
//	             are slow by a delay, and the seed of their choice, such as
//	             throttle=0.1,failed=0.1,lost=0.1,cut=0.1,slow=0.1,delay=1s,seed=7; dynamodb.throttle=0.5 is a share of one
//	             service, as are lambda., stepfunctions., sqs., secretsmanager. and s3. (default: none)
//	SHARING      off or gate: whether requests share what the upstream tells any of them of its limits, and queue by it;
//	             docs/gate.md (default: that of the stack)
//	ASSEMBLY     a directory with a cloud assembly, such as ../shop/cdk.out, whose stack is run in the place of this
//	             repository's. Without an UPSTREAM its proxies call the demo
//	INSTANCE     the RetryingApiProxy that is served at ADDR, if the stack has several: the path of its construct below the
//	             stack's, such as Orders. The others are served at the ports after those of the endpoints
//	SKIP         parts of the stack that are left out, with commas between: types of resources such as AWS::Kinesis::Stream, or
//	             AWS::Kinesis::* for all that begin so, logical ids, or paths of constructs
//	FREEZE       off lets the functions run on between invocations, such as under a debugger (default: they are frozen)
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

// errUnread ends the program when nobody reads what it prints any more, such as after local | head -1.
var errUnread = errors.New("nobody reads the output")

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP)
	}
	interrupted, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	ctx, cancel := context.WithCancelCause(interrupted)
	// SIGPIPE comes of every connection that the other side has closed as well as of a broken output, and does not say of
	// which. So it is taken, lest it end the program at once, and nobody looks at it: the writers see where it came from.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	unread := func() { cancel(errUnread) }
	stdout, stderr := terminal.NewWriter(os.Stdout, unread), terminal.NewWriter(os.Stderr, unread)
	log.SetOutput(stderr) // where net/http complains

	err := run(ctx, os.Getenv, stdout, stderr)
	switch {
	case err == nil || context.Cause(ctx) == errUnread:
	case ctx.Err() != nil:
		os.Exit(130) // interrupted while it started
	default:
		fmt.Fprintln(stderr, "local:", err)
		os.Exit(1)
	}
}

// run starts the stack and keeps it until ctx ends.
func run(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) error {
	s, err := settingsFrom(getenv)
	var secrets *secretsFile
	var secretValues map[string]string
	if s.secretsFile != "" {
		var wrong error
		secrets, secretValues, wrong = openSecrets(s.secretsFile, stderr)
		err = errors.Join(err, wrong)
	}
	authorities, wrong := readAuthorities(s.caFile)
	if err = errors.Join(err, wrong); err != nil {
		return err
	}
	if name := s.secretName(); secrets != nil && name != "" && secretValues[name] == "" {
		fmt.Fprintln(stderr, "warning: SECRETS does not hold the secret that UPSTREAM_AUTH names; until it does, requests are answered with 503")
	}
	// Before the stack is built, which may take minutes the first time.
	listener, endpointListener, err := listen(s.address)
	if err != nil {
		return err
	}
	defer listener.Close()
	defer endpointListener.Close()
	consoleListener, err := listenForConsole(listener)
	if err != nil {
		return err
	}
	if consoleListener != nil {
		defer consoleListener.Close()
	}

	upstream := s.upstream
	var demonstration *demo.Upstream
	if upstream == "" {
		var closeDemo func()
		if demonstration, upstream, closeDemo, err = startDemo(s.speed); err != nil {
			return err
		}
		defer closeDemo()
	} else {
		warnIfDown(ctx, upstream, stderr)
	}

	dir, err := os.MkdirTemp("", "retrying-api-proxy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	assembled := s.assembly
	if assembled == "" {
		assembled = dir
		fmt.Fprintln(stdout, "synthesising the stack (the first time this compiles the CDK, which takes minutes)")
		if err := assembly.Synthesise(ctx, dir, s.context()); err != nil {
			return err
		}
	}

	printer := attemptlog.New(stdout)
	shown := console.New(console.Config{Upstream: upstream, Demo: demonstration, Speed: s.speed})
	var handler http.Handler
	config := stack.Config{
		Listener:         listener,
		EndpointListener: endpointListener,
		Upstream:         upstream,
		CallbackURL:      s.callback,
		SourceAddresses:  true,
		Speed:            s.speed,
		DataFile:         s.dataFile,
		Concurrency:      s.concurrency,
		Faults:           s.faults,
		KeepRunning:      s.keepRunning,
		Secrets:          secretValues,

		CertificateAuthority: authorities,
		Signed:               s.signed,
		Log:                  logTo(ctx, stderr, s.verbose, shown.Measured),
		Middleware: func(url http.Handler) http.Handler {
			wrapped := shown.Middleware(printer.Middleware(url))
			if handler == nil { // it is the one at ADDR
				handler = wrapped
			}
			return wrapped
		},
		Prepare: func(s *stack.Stack) {
			watch(s, printer, shown)
		},
	}
	if err := config.Load(assembled, s.selection()); err != nil {
		return err
	}
	defer config.Close()
	if config.Binaries, err = assembly.NativeBinaries(ctx, config.Template); err != nil {
		return err
	}
	sayLeftOut(stdout, config.Template, s.verbose)
	running, err := stack.Start(config)
	if err != nil {
		return err
	}
	defer running.Close()
	if secrets != nil {
		running.SecretsManager.Refresh(secrets.changed)
	}
	if demonstration != nil && !s.upstreamAuth.IsZero() {
		demonstration.Demand(newDemander(s.upstreamAuth, running.SecretsManager).admits)
	}

	consoleURL := running.URL()
	if consoleListener != nil {
		server := newServer(handler)
		go func() { _ = server.Serve(consoleListener) }()
		defer server.Close()
		consoleURL = "http://" + consoleListener.Addr().String()
	}

	fmt.Fprintln(stdout, "upstream ", s.describeUpstream(upstream))
	fmt.Fprintln(stdout, "endpoints", running.Endpoint(), "(for --endpoint-url of the AWS CLI)")
	fmt.Fprintln(stdout, "console  ", consoleURL+console.Path, "(shows in a browser what happens to requests)")
	others := running.Others()
	for _, name := range slices.Sorted(maps.Keys(others)) {
		fmt.Fprintln(stdout, "url      ", others[name], "("+name+")")
	}
	for _, q := range running.Template.Queues {
		switch {
		case q.Redrive != nil: // another one has its dead letters
			fmt.Fprintln(stdout, "queue    ", q.URL, "(its messages are requests; docs/triggers.md)")
		case strings.Contains(q.Name, "FailedRequests"):
			fmt.Fprintln(stdout, "letters  ", q.URL, "(asynchronous requests that failed; docs/async.md)")
			fmt.Fprintf(stdout, "          make redrive LETTERS=%s GATEWAY=%s ENDPOINT=%s\n", q.URL, gatewayOf(running), running.Endpoint())
		}
	}
	if secret := callbackSecretOf(running); secret != "" {
		fmt.Fprintln(stdout, "callbacks", strings.Join(append([]string{s.callback}, s.callbackHosts...), " "), "(signed; docs/async.md)")
		fmt.Fprintf(stdout, "          aws --endpoint-url %s --region us-east-1 secretsmanager get-secret-value --secret-id %s\n", running.Endpoint(), secret)
	}
	if secrets != nil {
		fmt.Fprintf(stdout, "secrets   %d, from %s (read again when it changes)\n", len(secretValues), s.secretsFile)
	}
	if s.faults.Any() {
		fmt.Fprintln(stdout, "faults   ", s.faults, "(shares of the calls to AWS)")
	}
	if !s.loopback() {
		fmt.Fprintf(stderr, "warning: requests need no signature here, and %s can be reached from other machines; "+
			"the console and the AWS endpoints cannot\n", s.address)
	}
	fmt.Fprintln(stdout, "ready", running.URL())
	<-ctx.Done()
	fmt.Fprintln(stdout, "\nstopping")
	return nil
}

// sayLeftOut names what of the stack is not run. What stands around functions, and is never run here, is for those who want to
// read everything, unless something is told a made-up name of it.
func sayLeftOut(out io.Writer, template *cloudformation.Stack, all bool) {
	for _, left := range template.LeftOut {
		if !all && !left.Asked && left.Reason == "" && len(left.NeededBy) == 0 {
			continue
		}
		line := fmt.Sprintf("left out  %s (%s)", cmp.Or(left.Path, left.ID), left.Type)
		if left.Reason != "" {
			line += ": " + left.Reason
		}
		if len(left.NeededBy) > 0 {
			line += "; a made-up name stands for it in " + strings.Join(left.NeededBy, ", ")
		}
		fmt.Fprintln(out, line)
	}
}

// gatewayOf is the gateway of a stack, as whoever invokes it names it.
func gatewayOf(s *stack.Stack) string {
	url := s.Chosen()
	return url.FunctionName + ":" + url.Qualifier
}

// callbackSecretOf is the ARN of the secret by which a stack signs callbacks. Empty if it makes none.
func callbackSecretOf(s *stack.Stack) string {
	for _, f := range s.Template.Functions {
		if secret := f.Environment[message.CallbackSecretVariable]; secret != "" {
			return secret
		}
	}
	return ""
}

// watch has what happens in executions printed and shown. Of those that are there already the printer is told what it
// printed in its last run.
func watch(s *stack.Stack, printer *attemptlog.Printer, shown *console.Console) {
	view := s.View()
	printer.View = view
	left, err := s.StepFunctions.Executions("", asl.Running)
	if err == nil {
		for _, execution := range left {
			if events, err := s.StepFunctions.History(execution.ARN); err == nil {
				printer.Printed(execution, events)
			}
		}
	}
	s.StepFunctions.Observe(printer.Event)
	shown.Watch(s.StepFunctions, s.DynamoDB, view)
}

// readHeaderTimeout ends connections on which no request comes.
const readHeaderTimeout = 10 * time.Second

// newServer makes a server of what is served beside the stack. It keeps idle connections for as long as the stack does.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: stack.DefaultIdleTimeout}
}

// startDemo serves the demo upstream on a free port.
func startDemo(speed float64) (upstream *demo.Upstream, url string, closeDemo func(), err error) {
	upstream, err = demo.New(demo.DefaultSettings(), speed)
	if err != nil {
		return nil, "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	server := newServer(upstream)
	go func() { _ = server.Serve(listener) }()
	return upstream, "http://" + listener.Addr().String(), func() { server.Close() }, nil
}

// probeTimeout is how long the upstream is given to accept a connection before the warning.
const probeTimeout = 3 * time.Second

// warnIfDown says so when nothing listens at the upstream. The stack starts all the same: how it deals with an upstream
// that is down is one of the things to try.
func warnIfDown(ctx context.Context, upstream string, stderr io.Writer) {
	address, err := hostPort(upstream)
	if err != nil {
		return // settingsFrom has looked at it
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		fmt.Fprintf(stderr, "warning: the upstream %s does not accept connections now: %v\n", upstream, err)
		return
	}
	connection.Close()
}

// logTo prints what functions write, and always what ends them, unless the stack ends and ends them itself. measured takes the
// metrics from the lines of functions, whether or not they are printed.
func logTo(ctx context.Context, out io.Writer, verbose bool, measured func(line string) bool) func(lambda.LogEvent) {
	return func(event lambda.LogEvent) {
		if ctx.Err() != nil {
			return
		}
		if event.Type == lambda.LogFunction {
			measured(event.Message)
		}
		if verbose || event.Type == lambda.LogFault {
			fmt.Fprintf(out, "%s  %s\n", event.Function, terminal.Line(event.Message))
		}
	}
}
