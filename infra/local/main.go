// Command local runs the stack on this machine, without AWS: the same synthesised template, the same handlers.
//
// Environment:
//
//	ADDR         where the function URL listens (default 127.0.0.1:8787); the AWS endpoints listen on the next port
//	UPSTREAM     base URL of the API that is called (default: a demo upstream that limits and fails)
//	SPEED        waits between attempts pass so many times faster (default 1)
//	PROXIES      number of proxies (default: that of the stack)
//	DATA         a file that keeps the idempotency records when the program ends (default: they are kept in memory)
//	VERBOSE      1 prints what the functions write, too
//	CONCURRENCY  how many invocations of functions may run at once, as in an account of AWS (default 1000)
//	FAULTS       shares of the calls to AWS that are throttled, carried out with the reply lost, or slow by a delay, and the
//	             seed of their choice, such as throttle=0.1,lost=0.1,slow=0.1,delay=1s,seed=7 (default: none)
//	FREEZE       off lets the functions run on between invocations, such as under a debugger (default: they are frozen)
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		if ctx.Err() != nil {
			os.Exit(130) // interrupted while it started
		}
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// run starts the stack and keeps it until ctx ends.
func run(ctx context.Context, getenv func(string) string) error {
	s, err := settingsFrom(getenv)
	if err != nil {
		return err
	}
	// Before the stack is built, which may take minutes the first time.
	listener, endpointListener, err := listen(s.address)
	if err != nil {
		return err
	}
	defer listener.Close()
	defer endpointListener.Close()

	upstream := s.upstream
	var demonstration *demo.Upstream
	if upstream == "" {
		var closeDemo func()
		if demonstration, upstream, closeDemo, err = startDemo(s.speed); err != nil {
			return err
		}
		defer closeDemo()
	} else {
		warnIfDown(ctx, upstream)
	}

	dir, err := os.MkdirTemp("", "retrying-api-proxy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("synthesising the stack (the first time this compiles the CDK, which takes minutes)")
	if err := assembly.Synthesise(ctx, dir, s.context()); err != nil {
		return err
	}
	template, err := stack.Load(dir, listener)
	if err != nil {
		return err
	}
	binaries, err := assembly.NativeBinaries(ctx, template)
	if err != nil {
		return err
	}

	printer := attemptlog.New(os.Stdout)
	shown := console.New(console.Config{Upstream: upstream, Demo: demonstration, Speed: s.speed})
	running, err := stack.Start(stack.Config{
		Template:         template,
		Listener:         listener,
		EndpointListener: endpointListener,
		Upstream:         upstream,
		SourceAddresses:  true,
		Speed:            s.speed,
		DataFile:         s.dataFile,
		Binaries:         binaries,
		Concurrency:      s.concurrency,
		Faults:           s.faults,
		KeepRunning:      s.keepRunning,
		Log:              logTo(s.verbose),
		Middleware:       func(url http.Handler) http.Handler { return shown.Middleware(printer.Middleware(url)) },
	})
	if err != nil {
		return err
	}
	defer running.Close()
	running.StepFunctions.Observe(printer.Event)
	shown.Watch(running.StepFunctions, running.DynamoDB)

	fmt.Println("upstream ", s.describeUpstream(upstream))
	fmt.Println("endpoints", running.Endpoint(), "(for --endpoint-url of the AWS CLI)")
	fmt.Println("console  ", running.URL()+console.Path, "(shows in a browser what happens to requests)")
	if s.faults.Any() {
		fmt.Println("faults   ", s.faults, "(shares of the calls to AWS)")
	}
	if !s.loopback() {
		fmt.Fprintln(os.Stderr, "warning: requests need no signature here, and", s.address, "can be reached from other machines")
	}
	fmt.Println("ready", running.URL())
	<-ctx.Done()
	fmt.Println("\nstopping")
	return nil
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
	server := &http.Server{Handler: upstream, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return upstream, "http://" + listener.Addr().String(), func() { server.Close() }, nil
}

// probeTimeout is how long the upstream is given to accept a connection before the warning.
const probeTimeout = 3 * time.Second

// warnIfDown says so when nothing listens at the upstream. The stack starts all the same: how it deals with an upstream
// that is down is one of the things to try.
func warnIfDown(ctx context.Context, upstream string) {
	address, err := hostPort(upstream)
	if err != nil {
		return // settingsFrom has looked at it
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		fmt.Fprintf(os.Stderr, "warning: the upstream %s does not accept connections now: %v\n", upstream, err)
		return
	}
	connection.Close()
}

// logTo prints what functions write, and always what ends them.
func logTo(verbose bool) func(lambda.LogEvent) {
	return func(event lambda.LogEvent) {
		if verbose || event.Type == lambda.LogFault {
			fmt.Fprintf(os.Stderr, "%s  %s\n", event.Function, event.Message)
		}
	}
}
