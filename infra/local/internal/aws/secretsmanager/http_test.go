package secretsmanager_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// serve puts the store behind a URL.
func serve(t testing.TB, store *secretsmanager.Store) string {
	t.Helper()
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	return server.URL
}

func TestEveryAnswerHasTheFormOfTheProtocol(t *testing.T) {
	store, _ := newStore(t)
	url := serve(t, store)
	for _, c := range []struct {
		method, target, body string
		wantStatus           int
		want                 string
	}{
		{"POST", "secretsmanager.ListSecrets", `{"Filters":[{"Key":"name","Values":["absent"]}]}`, 200, `{"SecretList":[]}`},
		{"POST", "secretsmanager.GetSecretValue", `{"SecretId":"absent"}`, 400, `{"Message":"Secrets Manager can't find the specified secret.","__type":"ResourceNotFoundException"}`},
		{"POST", "secretsmanager.GetSecretValue", `{"SecretId":"a b"}`, 400,
			`{"__type":"ValidationException","message":"Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"}`},
		{"POST", "secretsmanager.GetSecretValue", `{`, 400, `{"__type":"SerializationException","message":"The request is not what the operation takes, as JSON"}`},
		{"POST", "secretsmanager.DeleteSecret", `{}`, 400, `{"__type":"UnknownOperationException","message":"The local Secrets Manager does not support the operation DeleteSecret"}`},
		{"POST", "DynamoDB_20120810.ListTables", `{}`, 400,
			`{"__type":"UnknownOperationException","message":"expected a POST with an X-Amz-Target that begins with secretsmanager.; got POST / with \"DynamoDB_20120810.ListTables\""}`},
		{"GET", "", ``, 400,
			`{"__type":"UnknownOperationException","message":"expected a POST with an X-Amz-Target that begins with secretsmanager.; got GET / with \"\""}`},
		{"POST", "secretsmanager.ListSecrets", strings.Repeat(" ", 1<<20+1), 400, `{"__type":"SerializationException","message":"read the request: http: request body too large"}`},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Target", c.target)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.wantStatus || string(body) != c.want {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.target, response.StatusCode, body, c.wantStatus, c.want)
		}
		if got := response.Header.Get("Content-Type"); got != "application/x-amz-json-1.1" || response.Header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s %s: got the headers %v", c.method, c.target, response.Header)
		}
	}
}

func TestTheGoSDKWorksUnmodifiedAndWithoutWarnings(t *testing.T) {
	store, _ := newStore(t)
	create(t, store, secretsmanager.Secret{Name: "card", Binary: []byte{0, 255}, Description: "For cards", Tags: map[string]string{"team": "shop"}})
	create(t, store, secretsmanager.Secret{Name: "empty"})
	var log bytes.Buffer
	client := sdk.New(sdk.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(serve(t, store)),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Logger:       logging.NewStandardLogger(&log),
	})
	ctx, id := t.Context(), aws.String("orders/token")

	first, err := client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: id})
	if err != nil {
		t.Fatal(err)
	}
	if *first.SecretString != "first" || !first.CreatedDate.Equal(start) || first.SecretBinary != nil || !cmp.Equal(first.VersionStages, []string{"AWSCURRENT"}) {
		t.Errorf("the first value: got %+v", first)
	}
	// The SDK makes up the ClientRequestToken.
	second, err := client.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: first.ARN, SecretString: aws.String("second")})
	if err != nil || *second.Name != "orders/token" || *second.VersionId == *first.VersionId {
		t.Fatalf("the put: got %+v %v", second, err)
	}
	for label, want := range map[string]string{"AWSCURRENT": "second", "AWSPREVIOUS": "first"} {
		got, err := client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: id, VersionStage: aws.String(label)})
		if err != nil || *got.SecretString != want {
			t.Errorf("%s: got %+v %v, want %s", label, got, err, want)
		}
	}
	binary, err := client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: aws.String("card")})
	if err != nil || !bytes.Equal(binary.SecretBinary, []byte{0, 255}) || binary.SecretString != nil {
		t.Errorf("the binary value: got %+v %v", binary, err)
	}
	described, err := client.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: id})
	if err != nil || !cmp.Equal(described.VersionIdsToStages, map[string][]string{*first.VersionId: {"AWSPREVIOUS"}, *second.VersionId: {"AWSCURRENT"}}) ||
		!described.LastAccessedDate.Equal(time.Date(2023, 11, 14, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the description: got %+v %v", described, err)
	}
	pages := sdk.NewListSecretsPaginator(client, &sdk.ListSecretsInput{MaxResults: aws.Int32(1)})
	var listed []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil || len(page.SecretList) != 1 || len(listed) > 3 {
			t.Fatalf("page %d: got %+v %v", len(listed)+1, page, err)
		}
		listed = append(listed, *page.SecretList[0].Name)
	}
	if strings.Join(listed, " ") != "orders/token card empty" {
		t.Errorf("the secrets are %v", listed)
	}

	_, err = client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: aws.String("absent")})
	if absent := (*types.ResourceNotFoundException)(nil); !errors.As(err, &absent) || absent.ErrorMessage() != "Secrets Manager can't find the specified secret." {
		t.Errorf("a secret that is not there: got %v", err)
	}
	_, err = client.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: id, SecretString: aws.String("third"), ClientRequestToken: second.VersionId})
	if exists := (*types.ResourceExistsException)(nil); !errors.As(err, &exists) || strings.Contains(err.Error(), "third") {
		t.Errorf("another value with the same token: got %v", err)
	}
	_, err = client.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: id})
	if wrong := (*types.InvalidRequestException)(nil); !errors.As(err, &wrong) {
		t.Errorf("no value: got %v", err)
	}
	_, err = client.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: id, SecretString: aws.String("a"), SecretBinary: []byte("b")})
	if wrong := (*types.InvalidParameterException)(nil); !errors.As(err, &wrong) {
		t.Errorf("two values: got %v", err)
	}
	_, err = client.ListSecrets(ctx, &sdk.ListSecretsInput{NextToken: aws.String("?")})
	if wrong := (*types.InvalidNextTokenException)(nil); !errors.As(err, &wrong) {
		t.Errorf("a token that is none: got %v", err)
	}
	_, err = client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: aws.String("a b")})
	if wrong := smithy.APIError(nil); !errors.As(err, &wrong) || wrong.ErrorCode() != "ValidationException" || !strings.HasPrefix(wrong.ErrorMessage(), "Invalid name.") {
		t.Errorf("a name that is none: got %v", err)
	}
	_, err = client.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: id})
	if unknown := smithy.APIError(nil); !errors.As(err, &unknown) || unknown.ErrorCode() != "UnknownOperationException" {
		t.Errorf("an operation that is not supported: got %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("the SDK says: %s", log.String())
	}
}

// awsEnvironment is what the aws command and boto3 need to find the store.
func awsEnvironment(url string) []string {
	return append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "NO_PROXY=127.0.0.1")
}

func TestTheAwsCommandWorksUnmodified(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the aws command is not tried")
	}
	command, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not installed, so it cannot be tried")
	}
	store, _ := newStore(t)
	provide(t, store, map[string]string{"card": `{"username":"shop","password":"a b"}`})
	environment := awsEnvironment(serve(t, store))
	for _, c := range []struct{ arguments, want string }{
		{"get-secret-value --secret-id orders/token --query SecretString", "first"},
		{"get-secret-value --secret-id arn:aws:secretsmanager:us-east-1:123456789012:secret:card --query SecretString", `{"username":"shop","password":"a b"}`},
		{"put-secret-value --secret-id orders/token --secret-string second --query VersionStages", "AWSCURRENT"},
		{"get-secret-value --secret-id orders/token --version-stage AWSPREVIOUS --query SecretString", "first"},
		{"describe-secret --secret-id orders/token --query Name", "orders/token"},
		{"list-secrets --filters Key=name,Values=orders --query SecretList[].Name", "orders/token"},
		{"list-secrets --page-size 1 --sort-order desc --query SecretList[].Name", "card\norders/token"},
		{"get-secret-value --secret-id absent", "An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret."},
	} {
		process := exec.CommandContext(t.Context(), command, append([]string{"secretsmanager", "--output", "text"}, strings.Fields(c.arguments)...)...)
		process.Env = environment
		output, err := process.CombinedOutput()
		if wantsError := strings.HasPrefix(c.want, "An error"); (err != nil) != wantsError || !strings.Contains(string(output), c.want) {
			t.Errorf("%s: got %s %v, want %s", c.arguments, output, err, c.want)
		}
	}
}

// botoProgram does with boto3 what a person would do.
const botoProgram = `
import boto3, datetime
client = boto3.client("secretsmanager")
first = client.get_secret_value(SecretId="orders/token")
assert first["SecretString"] == "first" and first["CreatedDate"] == datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.timezone.utc), first
assert len(first["ARN"].rpartition("-")[-1]) == 6, first
assert client.get_secret_value(SecretId=first["ARN"])["VersionId"] == first["VersionId"]
assert client.get_secret_value(SecretId=first["ARN"][:-7])["VersionId"] == first["VersionId"]
second = client.put_secret_value(SecretId="orders/token", SecretBinary=b"\x00\xff")
assert second["VersionStages"] == ["AWSCURRENT"], second
assert client.get_secret_value(SecretId="orders/token")["SecretBinary"] == b"\x00\xff"
again = client.put_secret_value(SecretId="orders/token", SecretBinary=b"\x00\xff", ClientRequestToken=second["VersionId"])
assert again["VersionId"] == second["VersionId"], again
stages = client.describe_secret(SecretId="orders/token")["VersionIdsToStages"]
assert stages == {first["VersionId"]: ["AWSPREVIOUS"], second["VersionId"]: ["AWSCURRENT"]}, stages
listed = [s["Name"] for page in client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 1}) for s in page["SecretList"]]
assert listed == ["orders/token"], listed
for refused, call in {
    "ResourceNotFoundException": lambda: client.get_secret_value(SecretId="absent"),
    "ResourceExistsException": lambda: client.put_secret_value(SecretId="orders/token", SecretString="x", ClientRequestToken=second["VersionId"]),
    "InvalidRequestException": lambda: client.put_secret_value(SecretId="orders/token"),
    "InvalidParameterException": lambda: client.put_secret_value(SecretId="orders/token", SecretString="x", SecretBinary=b"y"),
    "InvalidNextTokenException": lambda: client.list_secrets(NextToken="?"),
}.items():
    try:
        call()
        raise SystemExit("there was no " + refused)
    except getattr(client.exceptions, refused) as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400 and error.response["Message"], error.response
print("done")
`

func TestBoto3WorksUnmodified(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: boto3 is not tried")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed, so boto3 cannot be tried")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not installed, so it cannot be tried")
	}
	store, _ := newStore(t)
	process := exec.CommandContext(t.Context(), python, "-c", botoProgram)
	process.Env = awsEnvironment(serve(t, store))
	if output, err := process.CombinedOutput(); err != nil || strings.TrimSpace(string(output)) != "done" {
		t.Errorf("%v %s", err, output)
	}
}
