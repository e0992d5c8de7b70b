package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// secretReader is testdata/secretreader, a handler that answers with the value of a secret.
var secretReader = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(directory, "secretreader")
	if output, err := exec.Command("go", "build", "-tags=lambda.norpc", "-o", binary, "./testdata/secretreader").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./testdata/secretreader: %w\n%s", err, output)
	}
	return binary, nil
})

// readingSecrets puts the reader of secrets in the place of a proxy.
func readingSecrets(proxy string) setting {
	return func(t testing.TB, c *config) {
		t.Helper()
		binary, err := secretReader()
		if err != nil {
			t.Fatal(err)
		}
		c.Binaries[proxy] = binary
	}
}

// secrets gives secrets their values.
func secrets(values map[string]string) setting {
	return func(_ testing.TB, c *config) { c.Secrets = values }
}

// secretReadBy is what a function gets for the id of a secret, or the error that it gets.
func secretReadBy(t testing.TB, s *stack.Stack, short, id string) string {
	t.Helper()
	payload, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Template.Functions {
		if s.ShortName(f.Name) != short {
			continue
		}
		result, err := s.Lambda.Invoke(t.Context(), f.Name, payload)
		if err != nil {
			t.Fatal(err)
		}
		if result.FunctionError != "" {
			return string(result.Payload)
		}
		var value string
		if err := json.Unmarshal(result.Payload, &value); err != nil {
			t.Fatalf("%v in %s", err, result.Payload)
		}
		return value
	}
	t.Fatalf("there is no function %s", short)
	return ""
}

// secretsClient is the AWS SDK's client for the secrets of a stack.
func secretsClient(s *stack.Stack) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), RetryMaxAttempts: 1, HTTPClient: sdkhttp.Client(http.DefaultClient),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

func TestAFunctionReadsASecretThatTheTemplateOnlyRefersTo(t *testing.T) {
	t.Parallel()
	// As Secret.fromSecretNameV2 of the CDK writes the ARN.
	changed := edited(t, func(template map[string]any) {
		setVariable(template, "proxy-2", "SECRET_ARN", map[string]any{"Fn::Join": []any{"", []any{
			"arn:", map[string]any{"Ref": "AWS::Partition"}, ":secretsmanager:", map[string]any{"Ref": "AWS::Region"}, ":",
			map[string]any{"Ref": "AWS::AccountId"}, ":secret:orders/token",
		}}})
	})
	const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:card-a1B2c3"
	s := start(t, closedAddress(t), from(changed), readingSecrets("proxy-2"), secrets(map[string]string{"orders/token": "s3cret", arn: "4111"}))
	for id, want := range map[string]string{"orders/token": "s3cret", "$SECRET_ARN": "s3cret", arn: "4111"} {
		if got := secretReadBy(t, s, "proxy-2", id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	if got := secretReadBy(t, s, "proxy-2", "absent"); !strings.Contains(got, "ResourceNotFoundException: Secrets Manager can't find the specified secret.") {
		t.Errorf("a secret that is not there is %s", got)
	}
	_, err := secretsClient(s).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("orders/token"), SecretString: aws.String("rotated")})
	if got := secretReadBy(t, s, "proxy-2", "$SECRET_ARN"); err != nil || got != "rotated" {
		t.Errorf("after a PutSecretValue, which answers %v, it is %s", err, got)
	}
}

// setVariable sets a variable of the function whose name ends in a short one.
func setVariable(template map[string]any, short, name string, value any) {
	for _, f := range resources(template, "AWS::Lambda::Function") {
		if strings.HasSuffix(f["FunctionName"].(string), "-"+short) {
			f["Environment"].(map[string]any)["Variables"].(map[string]any)[name] = value
		}
	}
}

func TestAFunctionReadsASecretOfTheTemplate(t *testing.T) {
	t.Parallel()
	changed := edited(t, func(template map[string]any) {
		all := template["Resources"].(map[string]any)
		all["Given"] = map[string]any{"Type": "AWS::SecretsManager::Secret", "Properties": map[string]any{"Name": "orders-secret", "SecretString": "given"}}
		all["Drawn"] = map[string]any{"Type": "AWS::SecretsManager::Secret", "Properties": map[string]any{"GenerateSecretString": map[string]any{}}}
		all["Overridden"] = map[string]any{"Type": "AWS::SecretsManager::Secret", "Properties": map[string]any{"Name": "card", "GenerateSecretString": map[string]any{}}}
		for _, id := range []string{"Given", "Drawn", "Overridden"} {
			setVariable(template, "proxy-1", strings.ToUpper(id), map[string]any{"Ref": id})
		}
	})
	s := start(t, closedAddress(t), from(changed), readingSecrets("proxy-1"), secrets(map[string]string{"card": "4111"}))
	for id, want := range map[string]string{"$GIVEN": "given", "orders-secret": "given", "$OVERRIDDEN": "4111"} {
		if got := secretReadBy(t, s, "proxy-1", id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	if got := secretReadBy(t, s, "proxy-1", "$DRAWN"); len(got) != 32 {
		t.Errorf("the secret that is drawn is %s, want 32 characters", got)
	}
}

func TestSecretsThatCannotBeAreRefusedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	err := refused(t, secrets(map[string]string{"a b": "hidden", "empty": "", "orders/token": strings.Repeat("hidden", 20_000)}))
	says(t, err, `"a b" is no name of a secret`, `"empty" has 0 bytes`, `"orders/token" has 120000 bytes`)
	if strings.Contains(err.Error(), "hidden") {
		t.Errorf("the error holds a value: %v", err)
	}
}

func TestCallsToSecretsManagerFailAsTheFaultsSay(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t), failing(faults.Settings{Throttle: 1}), secrets(map[string]string{"orders/token": "hidden"}))
	_, err := secretsClient(s).GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("orders/token")})
	var throttled smithy.APIError
	if !errors.As(err, &throttled) || throttled.ErrorCode() != "ThrottlingException" {
		t.Errorf("the error is %v, want a ThrottlingException", err)
	}
}
