// Command proxy is the handler of one proxy function. It sends the request upstream once, lets the policy judge what
// came of it, and says what comes next. It keeps no state.
//
// Environment:
//
//	PROXY_NAME                 its name in the ring, proxy-1 say
//	PROXY_COUNT                how many proxies the ring has
//	UPSTREAM_BASE_URL          where requests go; a call's path and query are joined to it
//	UPSTREAM_ALLOWED_NETWORKS  prefixes that may be called although they are not public, separated by commas
//	RETRY_POLICY               the policy, as JSON; empty for the default one
//	IDEMPOTENCY_TTL            how long answers to requests with an Idempotency-Key are replayed, 24h0m0s say
package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	config, err := configFrom(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p := newProxy(config, logger)
	lambda.StartWithOptions(p.handle, lambda.WithSetEscapeHTML(false))
}
