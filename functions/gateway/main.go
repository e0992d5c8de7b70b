// Command gateway is the handler behind the function URL. It turns an HTTP request into a call, has the state machine
// carry it out, and turns what comes back into an HTTP response. Requests also come as events of their own, and as messages
// of a queue: docs/triggers.md.
//
// Environment:
//
//	STATE_MACHINE_ARN             the Express state machine that carries calls out
//	PROXY_COUNT                   how many proxies it goes round
//	RETRY_POLICY                  the policy, as JSON; empty for the default one
//	RING_START                    the number of the proxy that makes the first attempt (default: one is drawn)
//	TABLE_NAME                    the table of idempotency records, and of what callers know together of the upstream
//	RECORD_PREFIX                 what the ids of records begin with, and those of the gate's items behind gate#
//	GATE                          flow control and the circuit breaker, as the JSON object that message.Gate is; empty if both are off
//	IDEMPOTENCY_CALLER            the header fields, with commas between them, that stand for the caller in the ids of records,
//	                              and claims of their bearer token, such as claim:sub; empty for their credentials
//	TOKEN_ISSUER                  whose tokens are verified before their claims count; empty for nobody's, and then claims count
//	                              only of callers with an IAM identity
//	TOKEN_KEYS                    the URL of the issuer's keys, a JSON Web Key Set
//	TOKEN_AUDIENCE                whom tokens must be for; empty for anybody
//	UPSTREAM_AUTH_REPLACES        the header field of callers, or the query parameter behind a question mark, that does not go upstream,
//	                              because the proxies have a credential of their own, and that does not tell callers apart
//	IDEMPOTENCY_KEY_FIELDS        the header fields, with commas between them, that may hold the key in the place of
//	                              Idempotency-Key
//	IDEMPOTENCY_KEY_REQUIRED      never, unsafe or always: which requests need an Idempotency-Key (default never)
//	IDEMPOTENCY_CACHE_HEADERS     true adds ETag, Cache-Control and Vary to recorded answers
//	IDEMPOTENCY_SERVER_CACHE_HIT  true adds serverCacheHit to the JSON body of replays
//	UPSTREAM_LINKS                the base URLs, with spaces between them, below which links in answers are made to lead here;
//	                              empty leaves links as they are
//	MAX_ANONYMOUS_WAIT            the longest that callers without an IAM identity get by Prefer: wait, such as 1m0s; empty for as
//	                              long as all others
//	HIDE_ATTEMPTS                 true leaves the attempts out of Proxy-Status and out of problems
//	OMIT_RETRY_ADVICE             true leaves out what tells callers that the retries are done: X-Should-Retry, and Retry-After
//	                              where the upstream has said nothing
//	UPSTREAM_ALLOWED_METHODS      the methods that are forwarded, separated by commas (default: all but TRACE)
//	UPSTREAM_ALLOWED_PATHS        the paths below which requests are forwarded, with spaces between them (default: all)
//	UPSTREAM_AWS_FIELDS           true lets fields that are for services of AWS through, in both directions
//	ASYNC                         true lets requests be asynchronous: the preference respond-async is the gateway's
//	ASYNC_STATE_MACHINE_ARN       the Standard state machine that carries such requests out
//	ASYNC_DEADLINE                how long they may take at most, such as 24h0m0s
//	ASYNC_ANSWER_TTL              how long their answers are kept after that
//	DEAD_LETTER_RETENTION         how long the dead letters of such requests are kept, such as 336h0m0s: what they refer to is kept
//	                              as long, and messages of queues are asynchronous. Empty if there are none
//	LARGE_BODIES_BUCKET           the bucket for bodies that do not fit into a state; empty refuses them
//	METRICS                       off leaves metrics out of the log (default: on)
//	CROSS_ORIGIN                  true takes Access-Control fields out of the upstream's answers, because the URL has its own
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway/handler"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody/bucketstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

func main() {
	awsConfig, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "gateway: AWS configuration: %v\n", err)
		os.Exit(1)
	}
	engine := newEngine(awsConfig)
	awsConfig.HTTPClient = sdkhttp.Client(awsConfig.HTTPClient)
	gateway, err := handler.New(os.Getenv, handler.Dependencies{
		Engine:      engine,
		AsyncEngine: engine,
		DynamoDB:    dynamodb.NewFromConfig(awsConfig),
		Bodies: func(bucket, prefix string) handler.Bodies {
			return bucketstore.New(bucketstore.NewClient(awsConfig), bucket, prefix)
		},
		Log: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.StartWithOptions(gateway)
}
