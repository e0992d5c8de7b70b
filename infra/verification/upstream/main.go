// Command upstream is the handler of the scripted upstream of the verification stack: a function behind a function URL that
// answers as it was told, and tells what arrived. Package scripted says how it is told. No production function contains it.
//
// Environment:
//
//	TABLE_NAME   the table of scripts and arrivals: partition key script, sort key item, time to live expiration
//	SECRET_PATH  the segment that the paths of all requests begin with. Others are answered with 404, and nothing is kept
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

func main() {
	u, err := newUpstream(context.Background(), os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.StartWithOptions(u.handle)
}

func newUpstream(ctx context.Context, getenv func(string) string) (*upstream, error) {
	table, secret := getenv("TABLE_NAME"), getenv("SECRET_PATH")
	var problems []error
	if table == "" {
		problems = append(problems, errors.New("upstream: TABLE_NAME is empty; give the name of the table of scripts"))
	}
	if secret == "" || strings.Contains(secret, "/") {
		problems = append(problems, fmt.Errorf("upstream: SECRET_PATH is %q; give one segment of a path that nobody can guess", secret))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("upstream: AWS configuration: %w", err)
	}
	settings.HTTPClient = sdkhttp.Client(settings.HTTPClient)
	return &upstream{secret: secret, kept: &store{client: dynamodb.NewFromConfig(settings), table: table, now: time.Now}, now: time.Now}, nil
}
