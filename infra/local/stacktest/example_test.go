package stacktest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

// An upstream that limits by account asks for four minutes. The request waits for them and succeeds through the next
// proxy. Without jitter it waits exactly as long as it was asked to.
func TestExample(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.Policy(json.RawMessage(`{"scope":"per-account","rateLimits":{"jitter":"none"}}`)))
	bench.Upstream(
		stacktest.Answer(429, "Retry-After", "240"),
		stacktest.Answer(200).Body("done"),
	)

	run := bench.Run(stacktest.Get("/orders").Wait(280 * time.Second))

	if run.StatusCode != 200 || run.Body != "done" {
		t.Errorf("the caller got %d %q", run.StatusCode, run.Body)
	}
	if len(run.Attempts) != 2 || run.Attempts[0].Proxy != "proxy-1" || run.Attempts[1].Proxy != "proxy-2" {
		t.Fatalf("the attempts were %+v", run.Attempts)
	}
	if len(run.Waits) != 1 || run.Waits[0].State != "Wait-1" || run.Waits[0].Duration != 240*time.Second {
		t.Errorf("the waits were %v", run.Waits)
	}
}

// The functions of the stack find the secrets that a test gives it as they find them in AWS.
func TestExampleOfSecrets(t *testing.T) {
	t.Parallel()
	bench := stacktest.Load(t, cdkOut(t), stacktest.Secrets(map[string]string{"orders/token": "s3cret"}))

	// What a function does, with the endpoint that it finds in its environment.
	client := secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(bench.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	secret, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("orders/token")})
	if err != nil {
		t.Fatal(err)
	}

	if *secret.SecretString != "s3cret" {
		t.Errorf("the secret is %s", *secret.SecretString)
	}
}
