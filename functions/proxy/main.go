// Command proxy is the handler of one proxy function. It sends the request upstream once, lets the policy judge what
// came of it, and says what comes next. It keeps no state.
//
// Environment:
//
//	PROXY_NAME                 its name in the ring, such as proxy-1
//	PROXY_COUNT                how many proxies the ring has
//	UPSTREAM_BASE_URL          where requests go; a call's path and query are joined to it
//	UPSTREAM_ALLOWED_NETWORKS  prefixes that may be called although they are not public, separated by commas
//	UPSTREAM_HEADERS           header fields that every request gets, as a JSON object
//	UPSTREAM_AUTH              how to authenticate to the upstream, as the JSON object that message.UpstreamAuth is; empty for
//	                           not at all
//	UPSTREAM_SECRET_CACHE      how long a secret is used before it is read again, such as 5m0s, which is the default
//	UPSTREAM_CERTIFICATE_AUTHORITY
//	                           certificates in PEM by which upstreams and token URLs are trusted, besides the system's
//	RETRY_POLICY               the policy, as JSON; empty for the default one
//	IDEMPOTENCY_RECORDED       statuses whose final answers are recorded (true) or not (false), as a JSON object, where that is
//	                           not as by default
//	IDEMPOTENCY_TTL            how long answers to requests with an Idempotency-Key are replayed, such as 24h0m0s
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/handler"
)

// awsConfig and secrets are for upstreams that ask for a credential. They are made when the first one is needed: other proxies
// start without them.
var (
	awsConfig = sync.OnceValues(func() (aws.Config, error) { return config.LoadDefaultConfig(context.Background()) })

	secrets = sync.OnceValues(func() (*secretsmanager.Client, error) {
		loaded, err := awsConfig()
		return secretsmanager.NewFromConfig(loaded), err
	})
)

func main() {
	proxy, err := handler.New(os.Getenv, handler.Dependencies{
		Log:            slog.New(slog.NewJSONHandler(os.Stdout, nil)),
		SecretsManager: func(context.Context) (credential.SecretsManager, error) { return secrets() },
		Role: func(context.Context) (aws.CredentialsProvider, error) {
			loaded, err := awsConfig()
			return loaded.Credentials, err
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.StartWithOptions(proxy.Handle, lambda.WithSetEscapeHTML(false))
}
