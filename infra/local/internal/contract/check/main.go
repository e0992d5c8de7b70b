// Command check runs the cases of package contract against an endpoint, such as a deployed one, and reports what came of them.
//
// Environment:
//
//	ENDPOINT      URL of the endpoint, which make verify calls URL (required, unless OUTPUTS says it)
//	UPSTREAM_URL  URL of the scripted upstream that the endpoint calls, with its secret; output UpstreamUrl of the verification
//	              stack (default: none, and the upstream listens on this machine)
//	OUTPUTS       file with the outputs of the verification stack, as cdk deploy --outputs-file writes it: in the place of both
//	LISTEN        where the upstream listens that is on this machine (default 0.0.0.0:8080). The endpoint must call it
//	CERTIFICATE   file with the certificate under which that one speaks TLS, and PRIVATE_KEY file with its key
//	              (default: it speaks plain HTTP)
//	SPEED         how much faster than they are long the endpoint's waits pass, as for make local (default 1)
//	POLICY        the endpoint's retry policy, as JSON or the name of a file with it (default: the default policy)
//	VENDOR        names of vendors whose presets the policy is put over (default: none)
//	LARGEBODIES   true says that the endpoint has LargeBodies (default false)
//	PAGES         origin whose pages may call the endpoint, if its URL has a Cors (default: it has none)
//	AUTH          NONE has requests sent unsigned (default: they are signed if the endpoint is a function URL, and there are
//	              credentials of AWS where the AWS CLI finds them)
//	RUN           regular expression: of the cases only those whose theme and name match, such as keys/
//	AT_ONCE       how many cases run at the same time (default 8)
//	JUNIT         file that the report is written to as JUnit XML (default: none)
//
// It ends with 0 if all cases that were run hold. Interrupted, it reports on the cases that were run until then.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever interrupts it twice does not want the report
	hold, err := run(ctx, os.Getenv, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
	}
	if err != nil || !hold {
		os.Exit(1)
	}
}

// run runs the cases, and says whether all of them hold.
func run(ctx context.Context, getenv func(string) string, out io.Writer) (hold bool, err error) {
	s, err := settingsFrom(getenv)
	if err != nil {
		return false, err
	}
	sign, unsigned := s.signer(ctx)
	runner := &contract.Runner{Endpoint: s.endpoint, Setup: s.setup, Speed: s.speed, Sign: sign}
	if s.inAWS() {
		runner.Patience, runner.Setup.Anonymous = settling, sign == nil
	}
	howTo := howToVerify
	if s.upstreamURL != nil {
		runner.Upstream = contract.NewRemote(s.upstreamURL.String())
		fmt.Fprintf(out, "endpoint %s, scripted upstream at %s%s\n", s.endpoint, s.upstreamURL.Host, unsigned)
	} else {
		upstream, err := listen(s)
		if err != nil {
			return false, err
		}
		defer upstream.Close()
		runner.Upstream, howTo = upstream, howToDeploy(s)
		fmt.Fprintf(out, "endpoint %s, upstream on %s%s\n", s.endpoint, upstream.Address(), unsigned)
	}
	if err := runner.Probe(ctx); err != nil {
		return false, fmt.Errorf("%w\n\n%s", err, howTo)
	}
	return check(ctx, runner, s, out)
}

// settling is how long it may take until what was just deployed in AWS answers.
const settling = 30 * time.Second

// listen has the upstream of the cases listen on this machine.
func listen(s settings) (*contract.Server, error) {
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return nil, err
	}
	if s.certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*s.certificate}, NextProtos: []string{"http/1.1"},
		})
	}
	upstream := contract.Listen(listener)
	if s.certificate != nil {
		upstream.Scheme = "https"
	}
	return upstream, nil
}

// howToVerify says what an endpoint has to be like whose upstream is the scripted one.
const howToVerify = `The endpoint has to be that of the stack that has the scripted upstream, too:

  make verify-deploy
  make verify

Or give its outputs by URL and UPSTREAM_URL. With AUTH=AWS_IAM, which is the default, there have to be credentials that may
call it; give AUTH=NONE to all three commands for an endpoint that everybody may call.`

// howToDeploy says what the endpoint has to be like whose upstream is here.
func howToDeploy(s settings) string {
	_, port, _ := net.SplitHostPort(s.listen)
	here := fmt.Sprintf("make local UPSTREAM=http://127.0.0.1:%[1]s SPEED=50\n"+
		"  make contract ENDPOINT=http://127.0.0.1:8787 LISTEN=127.0.0.1:%[1]s SPEED=50", port)
	return fmt.Sprintf(`The endpoint has to call the upstream that listens on %[1]s here. In AWS it calls https only:

  make deploy AUTH=NONE UPSTREAM=https://NAME:%[2]s
  make contract ENDPOINT=… LISTEN=%[1]s CERTIFICATE=chain.pem PRIVATE_KEY=key.pem

NAME is one under which AWS reaches this machine, and for which the certificate is, from an authority that everybody
trusts. With AUTH=AWS_IAM, have credentials in the environment. Whatever else takes the TLS off on the way answers for
the upstream where the cases have it break its connections. Without a name, make verify runs the cases that break none.
On this machine, without AWS:

  %[3]s`, s.listen, cmp.Or(port, "8080"), here)
}

// errStopped says that the report is not of all cases.
var errStopped = errors.New("it was stopped before all cases were run")

// check runs the cases, prints each and the report, and writes it as JUnit XML.
func check(ctx context.Context, runner *contract.Runner, s settings, out io.Writer) (hold bool, err error) {
	cases, err := contract.Cases()
	if err != nil {
		return false, err
	}
	cases = slices.DeleteFunc(cases, func(c contract.Case) bool {
		return s.only != nil && !s.only.MatchString(contract.Result{Case: c}.Title())
	})
	fit := 0
	for _, c := range cases {
		if runner.Unfit(c) == "" {
			fit++
		}
	}
	ran := 0
	report := runner.Report(ctx, cases, s.atOnce, func(r contract.Result) {
		ran++
		word := "ok   "
		if len(r.Wrong) > 0 {
			word = "FAIL "
		}
		fmt.Fprintf(out, "%4d/%d %s %s (%.1fs)\n", ran, fit, word, r.Title(), r.Took.Seconds())
	})
	if err := report.Write(out); err != nil {
		return false, err
	}
	if throttled(report) {
		fmt.Fprintln(out, "Lambda throttled some requests: the account has too few concurrent executions left. AT_ONCE=2 needs fewer of them.")
	}
	if s.junit != "" {
		if err := writeJUnit(s.junit, report); err != nil {
			return false, err
		}
	}
	if report.Stopped {
		return false, errStopped
	}
	return report.Failed() == 0, nil
}

// throttled says whether a function URL has refused a request because all slots were taken. It answers 429 by itself then.
func throttled(report contract.Report) bool {
	return slices.ContainsFunc(report.Results, func(r contract.Result) bool {
		return slices.ContainsFunc(r.Wrong, func(text string) bool { return strings.Contains(text, "X-Amzn-Errortype: TooManyRequestsException") })
	})
}

func writeJUnit(file string, report contract.Report) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("JUNIT: %w", err)
	}
	if err := errors.Join(report.WriteJUnit(f), f.Close()); err != nil {
		return fmt.Errorf("JUNIT: %w", err)
	}
	return nil
}
