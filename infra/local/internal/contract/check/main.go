// Command check runs the cases of package contract against an endpoint, such as a deployed one.
//
// Environment:
//
//	ENDPOINT     URL of the endpoint (required)
//	LISTEN       where the upstream that the cases need listens (default 0.0.0.0:8080). The endpoint must call it
//	CERTIFICATE  file with the certificate under which the upstream speaks TLS, and PRIVATE_KEY file with its key
//	             (default: it speaks plain HTTP)
//	SPEED        how much faster than they are long the endpoint's waits pass, as for make local (default 1)
//	POLICY       file with the endpoint's retry policy, as JSON (default: the default policy)
//	PAGES        origin whose pages may call the endpoint, if its URL has a Cors (default: it has none)
//	RUN          regular expression: of the cases only those whose theme and name match, such as keys/
//	AT_ONCE      how many cases run at the same time (default 8)
//
// Requests to a function URL are signed with Signature Version 4 if there are AWS credentials in the environment.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return false, err
	}
	if s.certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*s.certificate}, NextProtos: []string{"http/1.1"},
		})
	}
	upstream := contract.Listen(listener)
	defer upstream.Close()
	runner := &contract.Runner{
		Endpoint: s.endpoint, Upstream: upstream, Setup: s.setup, Speed: s.speed, Sign: s.sign,
	}
	if s.certificate != nil {
		upstream.Scheme = "https"
	}
	fmt.Fprintf(out, "endpoint %s, upstream on %s\n", s.endpoint, upstream.Address())
	if err := runner.Probe(ctx); err != nil {
		return false, fmt.Errorf("%w\n\n%s", err, howToDeploy(s))
	}
	return check(ctx, runner, s, out)
}

// howToDeploy says what the endpoint has to be like.
func howToDeploy(s settings) string {
	_, port, _ := net.SplitHostPort(s.listen)
	here := fmt.Sprintf("make local UPSTREAM=http://127.0.0.1:%[1]s SPEED=50\n"+
		"  make contract ENDPOINT=http://127.0.0.1:8787 LISTEN=127.0.0.1:%[1]s SPEED=50", port)
	return fmt.Sprintf(`The endpoint has to call the upstream that listens on %[1]s here. In AWS it calls https only:

  make deploy AUTH=NONE UPSTREAM=https://NAME:%[2]s
  make contract ENDPOINT=… LISTEN=%[1]s CERTIFICATE=chain.pem PRIVATE_KEY=key.pem

NAME is one under which AWS reaches this machine, and for which the certificate is, from an authority that everybody
trusts. With AUTH=AWS_IAM, have credentials in the environment. Whatever else takes the TLS off on the way answers for
the upstream where the cases have it break its connections. On this machine, without AWS:

  %[3]s`, s.listen, cmp.Or(port, "8080"), here)
}

// check runs the cases, and prints each.
func check(ctx context.Context, runner *contract.Runner, s settings, out io.Writer) (hold bool, err error) {
	cases, err := contract.Cases()
	if err != nil {
		return false, err
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	held, broken, unfit := 0, 0, 0
	slots := make(chan struct{}, s.atOnce)
	for _, c := range cases {
		title := c.Theme() + "/ " + c.Name
		if s.only != nil && !s.only.MatchString(title) {
			continue
		}
		if reason := runner.Unfit(c); reason != "" {
			unfit++
			mu.Lock()
			fmt.Fprintf(out, "skip  %s: %s\n", title, reason)
			mu.Unlock()
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			wrong := runner.Run(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if len(wrong) == 0 {
				held++
				fmt.Fprintf(out, "ok    %s (%.1fs)\n", title, time.Since(began).Seconds())
				return
			}
			broken++
			fmt.Fprintf(out, "FAIL  %s (%s)\n", title, c.Source)
			for _, text := range wrong {
				fmt.Fprintln(out, "      "+strings.ReplaceAll(text, "\n", "\n      "))
			}
		})
	}
	running.Wait()
	fmt.Fprintf(out, "cases: %d held, %d failed, %d left out\n", held, broken, unfit)
	return broken == 0, ctx.Err()
}
