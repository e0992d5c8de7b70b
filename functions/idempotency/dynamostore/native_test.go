package dynamostore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/storetest"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/moto"
)

type (
	list   = types.AttributeValueMemberL
	object = types.AttributeValueMemberM
	truth  = types.AttributeValueMemberBOOL
	null   = types.AttributeValueMemberNULL
)

var typescript = dynamostore.WithFormat(recordformat.TypeScript)

func TestTheStoreInTheFormatOfTypeScriptKeepsTheContractOnMoto(t *testing.T) {
	client := moto.Client(t)
	storetest.Run(t, func(t *testing.T) idempotency.Store {
		return dynamostore.New(client, moto.Table(t, client, false), typescript)
	})
}

func TestAResultOfTypeScriptIsReadAsJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		data       types.AttributeValue
		want       string
		python     string // in the format of Python, where that differs
		unreadable bool
	}{
		{data: &object{Value: map[string]types.AttributeValue{
			"paid": &truth{Value: true}, "amount": n("12.50"), "note": &null{Value: true}, "tags": &list{Value: []types.AttributeValue{s("a"), n("1")}},
		}}, want: `{"amount":12.50,"note":null,"paid":true,"tags":["a",1]}`},
		{data: &object{Value: map[string]types.AttributeValue{}}, want: `{}`},
		{data: &list{Value: []types.AttributeValue{}}, want: `[]`},
		{data: n("9007199254740993"), want: `9007199254740993`},
		{data: &truth{}, want: `false`},
		{data: &null{Value: true}, want: `null`},
		{data: s("text"), want: `"text"`, python: `text`},
		{data: s(`{"a": 1}`), want: `"{\"a\": 1}"`, python: `{"a": 1}`},
		{data: s("<b>&</b>"), want: `"<b>&</b>"`, python: `<b>&</b>`},
		{data: &types.AttributeValueMemberB{Value: []byte{0, 255}}, want: `"AP8="`},
		{data: &types.AttributeValueMemberSS{Value: []string{"a", "b"}}, want: `["a","b"]`},
		{data: &types.AttributeValueMemberNS{Value: []string{"1", "2"}}, want: `[1,2]`},
		{data: &types.AttributeValueMemberBS{Value: [][]byte{{1}}}, want: `["AQ=="]`},
		{data: nil, want: `null`}, // its function returned undefined
		{data: n("NaN"), unreadable: true},
		{data: &list{Value: []types.AttributeValue{nil}}, unreadable: true},
	} {
		for format, want := range map[recordformat.Format]string{recordformat.TypeScript: test.want, recordformat.Python: test.python} {
			if want == "" {
				want = test.want
			}
			client := &fake{get: func(*dynamodb.GetItemInput) map[string]types.AttributeValue {
				item := map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": n("1700003600")}
				if test.data != nil {
					item["data"] = test.data
				}
				return item
			}}
			record, err := dynamostore.New(client, "table", dynamostore.WithFormat(format)).Get(context.Background(), "r")
			if test.unreadable {
				if !errors.Is(err, idempotency.ErrRecordUnreadable) {
					t.Errorf("%v is read as %+v, %v", test.data, record, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if result, err := record.Result(); err != nil || string(result) != want {
				t.Errorf("%#v in format %d is %s, %v; want %s", test.data, format, result, err, want)
			}
		}
	}
}

// completedData is what the store writes of a result as `data`.
func completedData(t *testing.T, result string) (types.AttributeValue, error) {
	t.Helper()
	client := &completing{}
	err := dynamostore.New(client, "table", typescript).Complete(context.Background(), idempotency.Record{
		ID: "r", Owner: "me", Expiration: now, Data: json.RawMessage(result),
	})
	return client.data, err
}

type completing struct {
	fake
	data types.AttributeValue
}

func (c *completing) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	c.data = in.ExpressionAttributeValues[":data"]
	return &dynamodb.UpdateItemOutput{}, nil
}

func TestAResultIsWrittenAsTypeScriptWritesIt(t *testing.T) {
	t.Parallel()
	for result, want := range map[string]types.AttributeValue{
		`null`:    &null{Value: true},
		`true`:    &truth{Value: true},
		`"text"`:  s("text"),
		`""`:      s(""),
		`12.50`:   n("12.50"),
		`-0`:      n("0"),
		`0.000`:   n("0"),
		`1e125`:   n("1e125"),
		`[]`:      &list{Value: []types.AttributeValue{}},
		`{}`:      &object{Value: map[string]types.AttributeValue{}},
		`[1,[2]]`: &list{Value: []types.AttributeValue{n("1"), &list{Value: []types.AttributeValue{n("2")}}}},
		`{"a":{"b":null}}`: &object{Value: map[string]types.AttributeValue{
			"a": &object{Value: map[string]types.AttributeValue{"b": &null{Value: true}}}}},
	} {
		got, err := completedData(t, result)
		if err != nil {
			t.Errorf("%s: %v", result, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, list{}, object{}, truth{}, null{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", result, diff)
		}
	}
}

func TestAResultThatDynamoDBHasNoTypeForDoesNotFit(t *testing.T) {
	t.Parallel()
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for result, fits := range map[string]bool{
		nested(32): true,
		nested(33): false,
		`[12345678901234567890123456789012345678]`:  true, // 38 digits
		`[123456789012345678901234567890123456789]`: false,
		`1e-130`:       true,
		`1e-131`:       false,
		`1e-400`:       false,
		`1e126`:        false,
		`1e400`:        false,
		`{"a":{"":1}}`: false,
		`{"a":"` + strings.Repeat("x", 409_600) + `"}`:   false,
		`[` + strings.Repeat(`"",`, 409_600) + `""]`:     false,
		`[` + strings.Repeat("true,", 204_700) + `true]`: true,
	} {
		_, err := completedData(t, result)
		if (err == nil) != fits || err != nil && !errors.Is(err, idempotency.ErrTooLarge) {
			t.Errorf("%.40s: %v", result, err)
		}
	}
}

func TestWhatDynamoDBHasNoTypeForIsKeptAsTextAndReplayed(t *testing.T) {
	client := moto.Client(t)
	manager, err := idempotency.New(dynamostore.New(client, moto.Table(t, client, false), typescript), idempotency.Config{
		Prefix: "f", Lease: time.Minute, Clock: fixedClock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	for range 2 {
		got, err := idempotency.Do(context.Background(), manager, "k", func(context.Context) (json.RawMessage, error) {
			runs++
			return json.RawMessage(`{"n":1e300}`), nil
		})
		if err != nil || string(got) != `{"n":1e300}` || runs != 1 {
			t.Errorf("after %d runs: %s, %v", runs, got, err)
		}
	}
}
