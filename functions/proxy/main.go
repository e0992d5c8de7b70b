// Command proxy is the handler of one proxy function. It sends the request upstream once, lets the policy judge what
// came of it, and says what comes next. All that it keeps between requests is what it has found out about the upstream's limits.
// It is for stacks in which flow control and the circuit breaker are both off. Where they are not, the upstream asks for a credential,
// requests can be asynchronous, or bodies can be large, command withsdk takes its place.
//
// Environment:
//
//	PROXY_NAME                 its name in the ring, such as proxy-1
//	PROXY_COUNT                how many proxies the ring has
//	UPSTREAM_BASE_URL          where requests go; a call's path and query are joined to it
//	UPSTREAM_ALLOWED_NETWORKS  prefixes that may be called although they are not public, separated by commas
//	UPSTREAM_ALLOWED_METHODS   the methods that are sent, separated by commas (default: all but TRACE)
//	UPSTREAM_ALLOWED_PATHS     the paths below the base URL that are called, with what is below them, and with spaces between
//	                           them (default: all)
//	UPSTREAM_AWS_FIELDS        true lets fields that are for services of AWS through, in both directions
//	UPSTREAM_HEADERS           header fields that every request gets, as a JSON object
//	UPSTREAM_CERTIFICATE_AUTHORITY
//	                           certificates in PEM by which the upstream is trusted, besides the system's
//	RETRY_POLICY               the policy, as JSON; empty for the default one
//	IDEMPOTENCY_RECORDED       statuses whose final answers are recorded (true) or not (false), as a JSON object, where that is
//	                           not as by default
//	IDEMPOTENCY_TTL            how long answers to requests with an Idempotency-Key are replayed, such as 24h0m0s
//	TABLE_NAME                 the name of the table and what the ids of its items begin with, which are the dimensions of the
//	RECORD_PREFIX              metrics in the log; without a name there are no metrics
//	METRICS                    off leaves metrics out of the log (default: on)
//	ADDRESS_PROBE_URL          answers with the address that it is called from, as text or as a JSON object with the member ip or
//	                           origin; empty asks nobody
package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/handler"
)

func main() {
	proxy, err := handler.New(os.Getenv, handler.Dependencies{Log: slog.New(slog.NewJSONHandler(os.Stdout, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.StartWithOptions(proxy.Handle, lambda.WithSetEscapeHTML(false))
}
