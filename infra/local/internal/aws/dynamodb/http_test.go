package dynamodb_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// serve puts the store behind a URL.
func serve(t testing.TB, store *dynamodb.Store) string {
	t.Helper()
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	return server.URL
}

// newClient is the AWS SDK's client for the store at the URL; what it logs is added to the log.
func newClient(url string, log *bytes.Buffer) *sdk.Client {
	return sdk.New(sdk.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Logger:       logging.NewStandardLogger(log),
	})
}

func TestEveryAnswerCarriesItsChecksum(t *testing.T) {
	url := serve(t, newStore(t))
	for _, c := range []struct {
		method, target, body string
		wantStatus           int
		wantType             string
	}{
		{"POST", "DynamoDB_20120810.ListTables", `{}`, 200, ""},
		{"POST", "DynamoDB_20120810.GetItem", `{"TableName":"absent","Key":{"id":{"S":"k"}}}`, 400, "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"},
		{"POST", "DynamoDB_20120810.GetItem", `{"TableName":"records","Key":{}}`, 400, "com.amazon.coral.validate#ValidationException"},
		{"POST", "DynamoDB_20120810.GetItem", `{`, 400, "com.amazon.coral.service#SerializationException"},
		{"POST", "DynamoDB_20120810.ExecuteStatement", `{}`, 400, "com.amazon.coral.service#UnknownOperationException"},
		{"POST", "AWSStepFunctions.ListStateMachines", `{}`, 400, "com.amazon.coral.service#UnknownOperationException"},
		{"GET", "", ``, 400, "com.amazon.coral.service#UnknownOperationException"},
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
		var fields map[string]any
		decode(t, string(body), &fields)
		kind, _ := fields["__type"].(string)
		if response.StatusCode != c.wantStatus || kind != c.wantType {
			t.Errorf("%s %s: got %d %s", c.method, c.target, response.StatusCode, body)
		}
		if got, want := response.Header.Get("X-Amz-Crc32"), strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10); got != want {
			t.Errorf("%s %s: the checksum is %s, want %s", c.method, c.target, got, want)
		}
		if got := response.Header.Get("Content-Type"); got != "application/x-amz-json-1.0" || response.Header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s %s: got the headers %v", c.method, c.target, response.Header)
		}
	}
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	url := serve(t, newStore(t))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(strings.Repeat(" ", dynamodb.MaxRequestSize+1)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); response.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "request body too large") {
		t.Errorf("got %d %s %v", response.StatusCode, body, err)
	}
}

func TestTheGoSDKWorksUnmodifiedAndWithoutWarnings(t *testing.T) {
	var log bytes.Buffer
	client := newClient(serve(t, newStore(t)), &log)
	ctx, table := t.Context(), aws.String(records.Name)
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "k"}}
	item := map[string]types.AttributeValue{
		"id": key["id"], "binary": &types.AttributeValueMemberB{Value: []byte{0, 255}}, "n": &types.AttributeValueMemberN{Value: "1"},
		"list": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberNULL{Value: true}, &types.AttributeValueMemberBOOL{Value: true}}},
		"set":  &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
	}
	put := &sdk.PutItemInput{TableName: table, Item: item, ConditionExpression: aws.String("attribute_not_exists(id)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
	if _, err := client.PutItem(ctx, put); err != nil {
		t.Fatal(err)
	}
	_, err := client.PutItem(ctx, put)
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		t.Fatalf("the second put: got %v", err)
	}
	if d := cmp.Diff(item, failed.Item, cmpopts.IgnoreUnexported(
		types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{}, types.AttributeValueMemberL{},
		types.AttributeValueMemberSS{}, types.AttributeValueMemberNULL{}, types.AttributeValueMemberBOOL{})); d != "" {
		t.Errorf("the item that failed the condition: -want +got\n%s", d)
	}
	updated, err := client.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: table, Key: key, UpdateExpression: aws.String("ADD n :one"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": item["n"]}, ReturnValues: types.ReturnValueUpdatedNew})
	if err != nil || updated.Attributes["n"].(*types.AttributeValueMemberN).Value != "2" {
		t.Errorf("the update: got %v %v", updated, err)
	}
	got, err := client.GetItem(ctx, &sdk.GetItemInput{TableName: table, Key: key, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("n")})
	if err != nil || len(got.Item) != 1 {
		t.Errorf("the item: got %v %v", got, err)
	}
	scan := sdk.NewScanPaginator(client, &sdk.ScanInput{TableName: table, Limit: aws.Int32(1)})
	for count := 0; scan.HasMorePages(); count++ {
		if page, err := scan.NextPage(ctx); err != nil || count > 1 {
			t.Fatalf("page %d of the scan: got %v %v", count, page, err)
		}
	}
	if err := sdk.NewTableExistsWaiter(client).Wait(ctx, &sdk.DescribeTableInput{TableName: table}, time.Minute); err != nil {
		t.Errorf("waiting for the table: %v", err)
	}
	_, err = client.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: aws.String("absent")})
	if absent := (*types.ResourceNotFoundException)(nil); !errors.As(err, &absent) {
		t.Errorf("a table that does not exist: got %v", err)
	}
	_, err = client.TransactGetItems(ctx, &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{{Get: &types.Get{TableName: table, Key: key}}}})
	if unknown := smithy.APIError(nil); !errors.As(err, &unknown) || unknown.ErrorCode() != "UnknownOperationException" {
		t.Errorf("an operation that is not supported: got %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("the SDK says: %s", log.String())
	}
}

// awsEnvironment is what the aws command and boto3 need to find the store.
func awsEnvironment(url string) []string {
	return append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=")
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
	environment := awsEnvironment(serve(t, newStore(t)))
	for _, c := range []struct{ arguments, want string }{
		{"list-tables", `{"TableNames":["events","records"]}`},
		{`put-item --table-name records --item {"id":{"S":"k"},"n":{"N":"1"},"expiration":{"N":"1700003600"}}`, ``},
		{`put-item --table-name records --item {"id":{"S":"k"}} --condition-expression attribute_not_exists(id)`, `ConditionalCheckFailedException`},
		{`get-item --table-name records --key {"id":{"S":"k"}}`, `{"Item":{"id":{"S":"k"},"n":{"N":"1"},"expiration":{"N":"1700003600"}}}`},
		{`update-item --table-name records --key {"id":{"S":"k"}} --update-expression ADD|n|:n --expression-attribute-values {":n":{"N":"2"}} --return-values ALL_NEW`,
			`{"Attributes":{"id":{"S":"k"},"n":{"N":"3"},"expiration":{"N":"1700003600"}}}`},
		{`scan --table-name records`, `{"Items":[{"id":{"S":"k"},"n":{"N":"3"},"expiration":{"N":"1700003600"}}],"Count":1,"ScannedCount":1,"ConsumedCapacity":null}`},
		{`describe-time-to-live --table-name records`, `{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"expiration"}}`},
		{`describe-table --table-name records --query Table.[TableStatus,ItemCount,KeySchema[0].AttributeName,AttributeDefinitions[0].AttributeType]`, `["ACTIVE",1,"id","S"]`},
	} {
		// A bar stands for a blank within an argument.
		arguments := append([]string{"dynamodb", "--output", "json"}, strings.Fields(c.arguments)...)
		for i := range arguments {
			arguments[i] = strings.ReplaceAll(arguments[i], "|", " ")
		}
		process := exec.CommandContext(t.Context(), command, arguments...)
		process.Env = environment
		output, err := process.CombinedOutput()
		switch {
		case c.want == "ConditionalCheckFailedException":
			if err == nil || !strings.Contains(string(output), c.want) {
				t.Errorf("%s: got %s %v, want %s", c.arguments, output, err, c.want)
			}
		case err != nil:
			t.Errorf("%s: %v %s", c.arguments, err, output)
		case c.want == "":
			if len(bytes.TrimSpace(output)) > 0 {
				t.Errorf("%s: got %s", c.arguments, output)
			}
		default:
			equalJSON(t, c.arguments, string(output), c.want)
		}
	}
}

// botoProgram does with boto3's resources what a person would do.
const botoProgram = `
import boto3, decimal
from boto3.dynamodb.conditions import Attr, Key
table = boto3.resource("dynamodb").Table("records")
table.load()
assert table.item_count == 0 and table.key_schema == [{"AttributeName": "id", "KeyType": "HASH"}], table.key_schema
item = {"id": "k", "n": decimal.Decimal("1.5"), "list": [1, None, True, {"a": b"\x00"}], "set": {"a", "b"}, "text": "東京"}
table.put_item(Item=item, ConditionExpression=Attr("id").not_exists())
try:
    table.put_item(Item=item, ConditionExpression=Attr("id").not_exists() | Attr("n").lt(1), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    raise SystemExit("the second put succeeded")
except table.meta.client.exceptions.ConditionalCheckFailedException as error:
    assert error.response["Item"]["n"] == {"N": "1.5"}, error.response
assert table.get_item(Key={"id": "k"})["Item"] == item, table.get_item(Key={"id": "k"})
table.update_item(Key={"id": "k"}, UpdateExpression="SET #s = :s, n = n + :n REMOVE #l[0]", ExpressionAttributeNames={"#s": "status", "#l": "list"},
    ExpressionAttributeValues={":s": "COMPLETED", ":n": decimal.Decimal("0.5")})
found = table.scan(FilterExpression=Attr("status").eq("COMPLETED") & Attr("n").between(2, 3) & Attr("set").contains("a"))["Items"]
assert [one["n"] for one in found] == [2] and len(found[0]["list"]) == 3, found
assert table.query(KeyConditionExpression=Key("id").eq("k"))["Count"] == 1
assert table.delete_item(Key={"id": "k"}, ConditionExpression=Attr("n").eq(2), ReturnValues="ALL_OLD")["Attributes"]["status"] == "COMPLETED"
assert table.scan(Select="COUNT")["Count"] == 0
client = boto3.client("dynamodb")
client.update_time_to_live(TableName="events", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
assert client.describe_time_to_live(TableName="events")["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
assert client.describe_time_to_live(TableName="records")["TimeToLiveDescription"]["AttributeName"] == "expiration"
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
	process := exec.CommandContext(t.Context(), python, "-c", botoProgram)
	process.Env = awsEnvironment(serve(t, newStore(t)))
	if output, err := process.CombinedOutput(); err != nil || strings.TrimSpace(string(output)) != "done" {
		t.Errorf("%v %s", err, output)
	}
}
