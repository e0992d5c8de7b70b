package dynamostore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/storetest"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/moto"
)

func TestMain(m *testing.M) { moto.Main(m) }

func TestTheStoreKeepsTheContractOnMoto(t *testing.T) {
	client := moto.Client(t)
	storetest.Run(t, func(t *testing.T) idempotency.Store { return dynamostore.New(client, moto.Table(t, client, false)) })
}

func TestTheStoreKeepsTheContractWithASortKeyAndOtherNamesOnMoto(t *testing.T) {
	client := moto.Client(t)
	storetest.Run(t, func(t *testing.T) idempotency.Store {
		return dynamostore.New(client, moto.Table(t, client, true), dynamostore.WithSortKey("idempotency#orders"), dynamostore.WithAttributes(
			dynamostore.Attributes{Status: "st", Owner: "who", LeaseEnd: "until", Expiration: "ttl", Data: "result", Fingerprint: "hash"}))
	})
}

// fake is a client that answers each call with a function, and keeps what it was sent.
type fake struct {
	put func(*dynamodb.PutItemInput) error
	get func(*dynamodb.GetItemInput) map[string]types.AttributeValue

	puts []*dynamodb.PutItemInput
	gets int
}

func (f *fake) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	f.puts = append(f.puts, in)
	if f.put == nil {
		return &dynamodb.PutItemOutput{}, nil
	}
	return &dynamodb.PutItemOutput{}, f.put(in)
}

func (f *fake) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	f.gets++
	return &dynamodb.GetItemOutput{Item: f.get(in)}, nil
}

func (f *fake) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return nil, errors.New("not expected")
}

func (f *fake) DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return nil, errors.New("not expected")
}

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
func n(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

var now = time.UnixMilli(1_700_000_000_250)

func sameItem(t *testing.T, got, want map[string]types.AttributeValue) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{})); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
}

type fixedClock struct{}

func (fixedClock) Now() time.Time                             { return now }
func (fixedClock) Sleep(context.Context, time.Duration) error { return nil }

type deadlineContext struct {
	context.Context
	deadline time.Time
}

func (c deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

func TestTheItemInProgressIsThatOfPowertoolsAndTheOwner(t *testing.T) {
	client := &fake{}
	manager, err := idempotency.New(dynamostore.New(client, "table"), idempotency.Config{
		Prefix: "payment-fn.app.handler", Clock: fixedClock{}, NewOwner: func() string { return "me" },
	})
	if err != nil {
		t.Fatal(err)
	}
	id, fingerprint, err := manager.Key(json.RawMessage(`{"user_id":"xyz","product_id":"123456789"}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx := deadlineContext{context.Background(), now.Add(30 * time.Second)}
	if _, err := manager.Acquire(ctx, idempotency.Claim{ID: id, Fingerprint: fingerprint}); err != nil {
		t.Fatal(err)
	}
	sameItem(t, client.puts[0].Item, map[string]types.AttributeValue{
		"id":                     s("payment-fn.app.handler#b8967642f95965b39f63f4bf20032dfc"),
		"expiration":             n("1700003600"),
		"status":                 s("INPROGRESS"),
		"in_progress_expiration": n("1700000030250"),
		"owner":                  s("me"),
	})
}

func TestAnItemOfPowertoolsIsReplayed(t *testing.T) {
	client := moto.Client(t)
	table := moto.Table(t, client, false)
	const id = "payment-fn.app.handler#b8967642f95965b39f63f4bf20032dfc"
	if _, err := client.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{
		"id": s(id), "expiration": n("1700003600"), "status": s("COMPLETED"), "in_progress_expiration": n("1700000030250"),
		"data": s(`{"payment_id": "p-1", "amount": 12.5}`),
	}}); err != nil {
		t.Fatal(err)
	}
	manager, err := idempotency.New(dynamostore.New(client, table), idempotency.Config{Prefix: "payment-fn.app.handler", Clock: fixedClock{}})
	if err != nil {
		t.Fatal(err)
	}
	type payment struct {
		ID     string  `json:"payment_id"`
		Amount float64 `json:"amount"`
	}
	got, err := idempotency.Do(context.Background(), manager, json.RawMessage(`{"product_id":"123456789","user_id":"xyz"}`),
		func(context.Context) (payment, error) { return payment{}, errors.New("it ran") })
	if want := (payment{"p-1", 12.5}); got != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestACompletedItemHasExactlyTheAttributesThatPowertoolsReads(t *testing.T) {
	client := moto.Client(t)
	table := moto.Table(t, client, false)
	manager, err := idempotency.New(dynamostore.New(client, table), idempotency.Config{
		Prefix: "f", Validation: "amount", Key: "order", Clock: fixedClock{}, Lease: time.Minute, NewOwner: func() string { return "me" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idempotency.Do(context.Background(), manager, json.RawMessage(`{"order": "o", "amount": 1}`),
		func(context.Context) (map[string]int, error) { return map[string]int{"paid": 1}, nil }); err != nil {
		t.Fatal(err)
	}
	out, err := client.Scan(context.Background(), &dynamodb.ScanInput{TableName: &table})
	if err != nil || len(out.Items) != 1 {
		t.Fatal(out, err)
	}
	id, fingerprint, _ := manager.Key(json.RawMessage(`{"order": "o", "amount": 1}`))
	sameItem(t, out.Items[0], map[string]types.AttributeValue{
		"id": s(id), "validation": s(fingerprint), "expiration": n("1700003600"), "status": s("COMPLETED"),
		"in_progress_expiration": n("1700000060250"), "data": s(`{"paid":1}`), "owner": s("me"),
	})
}

func TestAConflictThatBringsNoItemIsFollowedByARead(t *testing.T) {
	conflict := func(*dynamodb.PutItemInput) error { return &types.ConditionalCheckFailedException{} }
	client := &fake{put: conflict, get: func(in *dynamodb.GetItemInput) map[string]types.AttributeValue {
		if !aws.ToBool(in.ConsistentRead) {
			t.Error("the read is not consistent")
		}
		return map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": n("1700003600"), "data": s("1")}
	}}
	record := idempotency.Record{ID: "r", Status: idempotency.InProgress, Owner: "me", Expiration: now}
	inserted, existing, err := dynamostore.New(client, "table").Insert(context.Background(), record, now)
	if inserted || err != nil || existing == nil || string(existing.Data) != "1" || client.gets != 1 {
		t.Errorf("got %v, %+v, %v after %d reads", inserted, existing, err, client.gets)
	}

	client = &fake{put: conflict, get: func(*dynamodb.GetItemInput) map[string]types.AttributeValue { return nil }}
	inserted, existing, err = dynamostore.New(client, "table").Insert(context.Background(), record, now)
	if inserted || err != nil || existing != nil {
		t.Errorf("of a record that has gone: %v, %+v, %v; want a conflict with nothing", inserted, existing, err)
	}

	client = &fake{put: conflict, get: func(*dynamodb.GetItemInput) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"id": s("r"), "status": s("DONE"), "expiration": n("1700003600")}
	}}
	_, _, err = dynamostore.New(client, "table").Insert(context.Background(), record, now)
	if !errors.Is(err, idempotency.ErrRecordUnreadable) || errors.Is(err, idempotency.ErrStoreFailed) {
		t.Errorf("of a record that cannot be read: %v; want ErrRecordUnreadable alone", err)
	}
}

func TestAnItemThatIsNoRecordIsAnErrorThatSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		item map[string]types.AttributeValue
		want string
	}{
		{map[string]types.AttributeValue{"id": s("r"), "expiration": n("1")}, `"status" is not a string`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("DONE"), "expiration": n("1")}, `"status" is "DONE"`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED")}, `"expiration" is not a number`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": s("1")}, `"expiration" is not a number`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": n("soon")}, `"expiration" is not a number`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("INPROGRESS"), "expiration": n("1"), "in_progress_expiration": s("1")}, `"in_progress_expiration" is not a number`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": n("1"), "owner": n("5")}, `"owner" is not a string`},
		{map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": n("1"), "data": n("NaN")}, `"NaN" is no number of JSON`},
	} {
		client := &fake{get: func(*dynamodb.GetItemInput) map[string]types.AttributeValue { return test.item }}
		_, err := dynamostore.New(client, "orders").Get(context.Background(), "r")
		if !errors.Is(err, idempotency.ErrRecordUnreadable) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "orders") {
			t.Errorf("error is %v; want an UnreadableRecordError that says %s, and names the table", err, test.want)
		}
	}
}

func TestNumbersWithAFractionAreRead(t *testing.T) {
	client := &fake{get: func(*dynamodb.GetItemInput) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"id": s("r"), "status": s("COMPLETED"), "expiration": n("1700003600.0")}
	}}
	r, err := dynamostore.New(client, "table").Get(context.Background(), "r")
	if err != nil || r.Expiration.Unix() != 1700003600 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAResultBeyondTheItemLimitIsRefusedWithoutAskingDynamoDB(t *testing.T) {
	record := idempotency.Record{
		ID: "r", Owner: "me", Expiration: now, Data: json.RawMessage(`"` + strings.Repeat("x", dynamostore.MaxItemBytes) + `"`),
	}
	err := dynamostore.New(&fake{}, "table").Complete(context.Background(), record)
	if !errors.Is(err, idempotency.ErrTooLarge) {
		t.Errorf("error is %v; want ErrTooLarge", err)
	}
}

func TestAnEmptyTableNameIsAnErrorThatSaysWhereToSetIt(t *testing.T) {
	store := dynamostore.New(&fake{}, " ")
	_, _, insertErr := store.Insert(context.Background(), idempotency.Record{}, now)
	_, getErr := store.Get(context.Background(), "r")
	for _, err := range []error{
		insertErr, getErr, store.Complete(context.Background(), idempotency.Record{}), store.Release(context.Background(), "r", "me"),
	} {
		if err == nil || !strings.Contains(err.Error(), "table name") {
			t.Errorf("error is %v", err)
		}
	}
}

// losesFirstAnswer sends each request on, and loses the answer to the first one of an operation.
type losesFirstAnswer struct {
	operation string
	lost      atomic.Int32
	sent      atomic.Int32
}

func (l *losesFirstAnswer) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	response, err := http.DefaultClient.Do(request)
	if err != nil || !strings.HasSuffix(request.Header.Get("X-Amz-Target"), "."+l.operation) {
		return response, err
	}
	l.sent.Add(1)
	if l.lost.CompareAndSwap(0, 1) {
		response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return response, nil
}

func TestARequestThatTheSDKRepeatsBecauseItsAnswerWasLostSucceeds(t *testing.T) {
	for _, operation := range []string{"PutItem", "UpdateItem", "DeleteItem"} {
		t.Run(operation, func(t *testing.T) {
			link := &losesFirstAnswer{operation: operation}
			client := moto.Client(t, func(o *dynamodb.Options) { o.HTTPClient = link })
			manager, err := idempotency.New(dynamostore.New(client, moto.Table(t, moto.Client(t), false)), idempotency.Config{
				Prefix: "f", Lease: time.Minute,
			})
			if err != nil {
				t.Fatal(err)
			}
			failure := error(nil)
			if operation == "DeleteItem" {
				failure = errors.New("declined")
			}
			runs := 0
			got, err := idempotency.Do(context.Background(), manager, "k", func(context.Context) (int, error) {
				runs++
				return 7, failure
			})
			if got != 7 || err != failure || runs != 1 || link.sent.Load() != 2 {
				t.Errorf("got %d, %v after %d runs and %d requests; want 7, %v after 1 and 2", got, err, runs, link.sent.Load(), failure)
			}
		})
	}
}
