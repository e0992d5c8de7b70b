// Command withsdk is the handler of a proxy function that shares what it knows of the upstream with others, for flow control or the
// circuit breaker, whose upstream asks for a credential, whose requests can be asynchronous, or whose bodies can be large. It is
// command proxy with the AWS SDK, without which that one starts sooner.
//
// Environment: that of command proxy, and
//
//	TABLE_NAME             the table with what is known of asynchronous requests, and of the upstream by all callers
//	ASYNC                  true lets requests be asynchronous
//	GATE                   flow control and the circuit breaker, as the JSON object that message.Gate is; empty if both are off
//	LARGE_BODIES_BUCKET    the bucket for bodies that do not fit into a state; empty if there is none
//	RECORD_PREFIX          what the ids of items begin with, those of the gate behind gate#, and the keys of objects
//	UPSTREAM_AUTH          how to authenticate to the upstream, as the JSON object that message.UpstreamAuth is
//	UPSTREAM_SECRET_CACHE  how long a secret is used before it is read again, such as 5m0s, which is the default
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
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatestore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody/bucketstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/handler"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

// awsConfig is made when the first credential is needed.
var awsConfig = sync.OnceValues(func() (aws.Config, error) {
	loaded, err := config.LoadDefaultConfig(context.Background())
	if err == nil {
		loaded.HTTPClient = sdkhttp.Client(loaded.HTTPClient)
	}
	return loaded, err
})

func main() {
	proxy, err := handler.New(os.Getenv, handler.Dependencies{
		Log:     slog.New(slog.NewJSONHandler(os.Stdout, nil)),
		Secrets: secrets{sync.OnceValues(newClient)},
		Role:    role,
		Executions: func(table, prefix string) handler.Executions {
			return executionstore.New(dynamodb.NewFromConfig(loaded()), table, prefix)
		},
		Gate: func(table string) gate.Store { return gatestore.New(dynamodb.NewFromConfig(loaded()), table) },
		Bodies: func(bucket, prefix string) handler.Bodies {
			return bucketstore.New(bucketstore.NewClient(loaded()), bucket, prefix)
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.StartWithOptions(proxy.Handle, lambda.WithSetEscapeHTML(false))
}

// loaded is the configuration of a proxy that cannot do without it.
func loaded() aws.Config {
	config, err := awsConfig()
	if err != nil {
		fmt.Fprintf(os.Stderr, "proxy: AWS configuration: %v\n", err)
		os.Exit(1)
	}
	return config
}

func newClient() (*secretsmanager.Client, error) {
	loaded, err := awsConfig()
	if err != nil {
		return nil, err
	}
	return secretsmanager.NewFromConfig(loaded), nil
}

// secrets are those of AWS Secrets Manager.
type secrets struct {
	client func() (*secretsmanager.Client, error)
}

func (s secrets) SecretString(ctx context.Context, id string) (*string, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return nil, err
	}
	return out.SecretString, nil
}

// role gives the credentials of the function's role.
func role(ctx context.Context) (aws.Credentials, error) {
	loaded, err := awsConfig()
	if err != nil {
		return aws.Credentials{}, err
	}
	return loaded.Credentials.Retrieve(ctx)
}
