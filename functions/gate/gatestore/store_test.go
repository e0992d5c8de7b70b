package gatestore_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatestore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatetest"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/moto"
)

func TestMain(m *testing.M) { moto.Main(m) }

func TestTheStoreKeepsTheContractOnMoto(t *testing.T) {
	client := moto.Client(t)
	gatetest.Run(t, func(t *testing.T) gate.Store { return gatestore.New(client, moto.Table(t, client, false)) })
}

// fake is a client that answers with what it is given, and keeps what it was sent.
type fake struct {
	item map[string]types.AttributeValue
	err  error

	updates []*dynamodb.UpdateItemInput
	options dynamodb.Options
}

func (f *fake) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: f.item}, f.err
}

func (f *fake) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, options ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	f.updates = append(f.updates, in)
	for _, option := range options {
		option(&f.options)
	}
	return &dynamodb.UpdateItemOutput{Attributes: f.item}, f.err
}

func TestAnUpdateIsOneRequestWithItsExpressionsWrittenOut(t *testing.T) {
	t.Parallel()
	client := &fake{item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "gate#p#s#0"}}}
	_, err := gatestore.New(client, "orders", gatestore.WithNames("pk", "ttl")).Update(context.Background(), "gate#p#s#0", gate.Update{
		Operation: "change",
		If: []gate.Clause{
			{{Attribute: "version", Compare: gate.Equals, Value: 7}},
			{{Attribute: "activeUntil", Compare: gate.AtMost, Value: 9}, {Attribute: "probe", Compare: gate.Above, Value: 0}},
		},
		Changes: []gate.Change{
			{Attribute: "served", Kind: gate.Copy, From: "ticket"}, {Attribute: "ticket", Kind: gate.Add, Value: 1},
			{Attribute: "rejected", Kind: gate.Add, Value: -2}, {Attribute: "probe", Kind: gate.Set}, {Attribute: gate.Expiration, Kind: gate.Set, Value: 5},
		},
	})
	if err != nil || len(client.updates) != 1 {
		t.Fatalf("%d requests, %v", len(client.updates), err)
	}
	in := client.updates[0]
	if got, want := aws.ToString(in.UpdateExpression), "SET #served = if_not_exists(#ticket, :n0), #expiration = :n5 ADD #ticket :n1, #rejected :nminus2 REMOVE #probe"; got != want {
		t.Errorf("the update is\n%s, want\n%s", got, want)
	}
	if got, want := aws.ToString(in.ConditionExpression), "(#version = :n7) AND (attribute_not_exists(#activeUntil) OR #activeUntil <= :n9 OR #probe > :n0)"; got != want {
		t.Errorf("the condition is\n%s, want\n%s", got, want)
	}
	if in.Key["pk"] == nil || in.ExpressionAttributeNames["#expiration"] != "ttl" {
		t.Errorf("key %v and names %v, want those that were given", in.Key, in.ExpressionAttributeNames)
	}
	if client.options.Retryer == nil || client.options.Retryer.MaxAttempts() != 1 {
		t.Error("the SDK may repeat the request")
	}
}

func TestAnItemThatIsNoItemOfAGateIsAnErrorThatSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value types.AttributeValue
		want  string
	}{
		{&types.AttributeValueMemberS{Value: "x"}, `"rate" is not a number`},
		{&types.AttributeValueMemberN{Value: "1.5"}, `"rate" is 1.5, want a whole number`},
	} {
		client := &fake{item: map[string]types.AttributeValue{"rate": test.value}}
		_, err := gatestore.New(client, "orders").Get(context.Background(), "gate#p#s#0")
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "orders") {
			t.Errorf("error is %v; want one that says %s, and names the table", err, test.want)
		}
	}
}

func TestAnAttributeOfALaterVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	client := &fake{item: map[string]types.AttributeValue{"mood": &types.AttributeValueMemberS{Value: "x"}, "rate": &types.AttributeValueMemberN{Value: "7"}}}
	if reply, err := gatestore.New(client, "orders").Get(context.Background(), "gate#p#s#0"); err != nil || reply.Item != (gate.Item{Rate: 7}) {
		t.Errorf("got %+v, %v", reply, err)
	}
}

func TestAnErrorOfDynamoDBIsPassedOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("throttled")
	store := gatestore.New(&fake{err: broken}, "orders")
	if _, err := store.Update(context.Background(), "gate#p#s#0", gate.Update{Operation: "take"}); !errors.Is(err, broken) || !strings.Contains(err.Error(), "take") {
		t.Errorf("Update: %v", err)
	}
	if _, err := store.Get(context.Background(), "gate#p#s#0"); !errors.Is(err, broken) {
		t.Errorf("Get: %v", err)
	}
}

func TestAnEmptyTableNameIsAnErrorThatSaysWhereToSetIt(t *testing.T) {
	t.Parallel()
	store := gatestore.New(&fake{}, "")
	_, getErr := store.Get(context.Background(), "i")
	_, updateErr := store.Update(context.Background(), "i", gate.Update{})
	for _, err := range []error{getErr, updateErr} {
		if err == nil || !strings.Contains(err.Error(), "table name") {
			t.Errorf("error is %v", err)
		}
	}
}

// dated answers with a Date of its own.
type dated struct{ next dynamodb.HTTPClient }

func (d dated) Do(request *http.Request) (*http.Response, error) {
	response, err := d.next.Do(request)
	if err == nil {
		response.Header.Set("Date", "Sat, 28 Nov 2026 04:35:54 GMT")
	}
	return response, err
}

func TestRepliesHaveTheTimeOfTheTable(t *testing.T) {
	client := moto.Client(t)
	table := moto.Table(t, client, false)
	store := gatestore.New(moto.Client(t, func(o *dynamodb.Options) { o.HTTPClient = dated{o.HTTPClient} }), table)
	want := time.Date(2026, time.November, 28, 4, 35, 54, 0, time.UTC)
	make := gate.Update{Operation: "open", If: []gate.Clause{{{Attribute: "version", Compare: gate.Equals}}}, Changes: []gate.Change{{Attribute: "version", Kind: gate.Add, Value: 1}}}
	for _, what := range []string{"an update", "an update whose condition fails", "a look"} {
		reply, err := store.Update(context.Background(), "gate#p#s#0", make)
		if what == "a look" {
			reply, err = store.Get(context.Background(), "gate#p#s#0")
		}
		if err != nil || !reply.Time.Equal(want) {
			t.Errorf("%s: the time is %v, %v; want that of the Date", what, reply.Time, err)
		}
	}
}

func TestALargeItemIsOneWriteUnit(t *testing.T) {
	client := moto.Client(t)
	table := moto.Table(t, client, false)
	store := gatestore.New(client, table)
	u := gate.Update{Operation: "make"}
	for _, a := range gate.Attributes() {
		u.Changes = append(u.Changes, gate.Change{Attribute: a, Kind: gate.Set, Value: 1_790_000_000_000})
	}
	id := gate.ItemPrefix + strings.Repeat("p", 64) + "#" + gate.Scope(gate.DefaultKey, "Bearer secret", strings.Repeat("/long", 100)) + "#255"
	if _, err := store.Update(context.Background(), id, u); err != nil {
		t.Fatal(err)
	}
	out, err := client.Scan(context.Background(), &dynamodb.ScanInput{TableName: &table})
	if err != nil || len(out.Items) != 1 {
		t.Fatal(out, err)
	}
	size := 0
	for name, value := range out.Items[0] {
		size += len(name)
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			size += len(v.Value)
		case *types.AttributeValueMemberN:
			size += len(v.Value)/2 + 2
		}
	}
	if size > 1024 {
		t.Errorf("the largest item has %d bytes, and a write unit is 1,024", size)
	}
}
