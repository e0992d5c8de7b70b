package dynamostore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/moto"
)

// readFails is a client whose inserts conflict, without the item, and whose reads fail.
type readFails struct{ fake }

var errRead = errors.New("throttled")

func (*readFails) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return nil, errRead
}

func TestAReadThatFailsAfterAConflictIsSaidToBeARead(t *testing.T) {
	client := &readFails{fake{put: func(*dynamodb.PutItemInput) error { return &types.ConditionalCheckFailedException{} }}}
	manager, err := idempotency.New(dynamostore.New(client, "table"), idempotency.Config{Prefix: "p", Clock: fixedClock{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = manager.Acquire(context.Background(), idempotency.Claim{ID: "r"})
	failed := (*idempotency.StoreError)(nil)
	if !errors.As(err, &failed) || failed.Operation != "get" || failed.ID != "r" || !errors.Is(err, errRead) {
		t.Errorf("error is %v; want a StoreError for get with its cause", err)
	}
}

// replaces is a client whose inserts succeed and bring what was there.
type replaces struct {
	fake
	item map[string]types.AttributeValue
}

func (r *replaces) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if in.ReturnValues != types.ReturnValueAllOld {
		return nil, errors.New("nobody asked for what was there")
	}
	return &dynamodb.PutItemOutput{Attributes: r.item}, nil
}

func TestADeadItemThatCannotBeReadIsReplacedNevertheless(t *testing.T) {
	record := idempotency.Record{ID: "r", Status: idempotency.InProgress, Owner: "me", Expiration: now}
	client := &replaces{item: map[string]types.AttributeValue{"id": s("r"), "status": s("INPROGRESS"), "expiration": s("soon")}}
	inserted, existing, err := dynamostore.New(client, "table").Insert(context.Background(), record, now)
	if !inserted || existing != nil || err != nil {
		t.Errorf("got %v, %+v, %v; want it to be written", inserted, existing, err)
	}
}

func TestARecordThatCannotBeReadCanBeForgotten(t *testing.T) {
	client := moto.Client(t)
	table := moto.Table(t, client, false)
	if _, err := client.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{
		"id": s("p#1"), "expiration": n("1700003600"), "status": s("DONE"),
	}}); err != nil {
		t.Fatal(err)
	}
	manager, err := idempotency.New(dynamostore.New(client, table), idempotency.Config{Prefix: "p", Clock: fixedClock{}, Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	claim := idempotency.Claim{ID: "p#1"}
	if _, err := manager.Acquire(context.Background(), claim); !errors.Is(err, idempotency.ErrRecordUnreadable) {
		t.Fatalf("a record with another status: %v", err)
	}
	if err := manager.Forget(context.Background(), "p#1"); err != nil {
		t.Fatal(err)
	}
	if a, err := manager.Acquire(context.Background(), claim); err != nil || a.Replay {
		t.Errorf("afterwards: %+v, %v; want the key", a, err)
	}
}
