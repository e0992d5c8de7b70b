package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// A payment behind a function URL. The key is the order in the body, and an order that comes again with another amount
// is refused. In Lambda the store is dynamostore.New(client, table), the prefix may be left out, and main is
// lambda.Start(idempotency.Handler(manager, pay)).
func ExampleHandler() {
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{
		Prefix:     "payments",
		Key:        `powertools_json(body).order`,
		Validation: `powertools_json(body).[amount, currency]`,
		RequireKey: true,
		TTL:        24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}

	pay := func(_ context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		var payment struct{ Order string }
		if err := json.Unmarshal([]byte(e.Body), &payment); err != nil {
			return events.LambdaFunctionURLResponse{}, err
		}
		fmt.Println("charging the card for", payment.Order)
		return events.LambdaFunctionURLResponse{StatusCode: 201, Body: `{"paid":true}`}, nil
	}
	handler := idempotency.Handler(manager, pay)

	for _, body := range []string{
		`{"order": "o-1", "amount": 10, "currency": "EUR"}`,
		`{"currency": "EUR", "amount": 10, "order": "o-1"}`,
		`{"order": "o-1", "amount": 99, "currency": "EUR"}`,
		`{"amount": 10, "currency": "EUR"}`,
		`no JSON`,
	} {
		event, err := json.Marshal(events.LambdaFunctionURLRequest{Body: body})
		if err != nil {
			panic(err)
		}
		response, err := handler(context.Background(), event)
		switch {
		case errors.Is(err, idempotency.ErrPayloadMismatch):
			fmt.Println("422: this order was paid with another amount")
		case errors.Is(err, idempotency.ErrKeyMissing):
			fmt.Println("400: the order is missing")
		case errors.Is(err, idempotency.ErrKeyMalformed):
			fmt.Println("400: the body is not JSON")
		case err != nil:
			panic(err)
		default:
			fmt.Println(response.StatusCode, response.Body)
		}
	}
	// Output:
	// charging the card for o-1
	// 201 {"paid":true}
	// 201 {"paid":true}
	// 422: this order was paid with another amount
	// 400: the order is missing
	// 400: the body is not JSON
}

// A batch of messages, each with a record of its own. Only messages that failed are reported, and come again; those
// that were done before are not done twice. A message that another invocation is working on comes again too.
func ExampleDo_batch() {
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "shipments"})
	if err != nil {
		panic(err)
	}

	ship := func(message events.SQSMessage) (string, error) {
		if message.Body == "damaged" {
			return "", errors.New("cannot ship this")
		}
		fmt.Println("shipping", message.Body)
		return "shipped", nil
	}
	handler := func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		var response events.SQSEventResponse
		for _, message := range batch.Records {
			_, err := idempotency.Do(ctx, manager, message.MessageId, func(context.Context) (string, error) { return ship(message) })
			if err != nil {
				fmt.Println(message.MessageId, "comes again:", err)
				response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
			}
		}
		return response, nil
	}

	batch := events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m-1", Body: "a book"}, {MessageId: "m-2", Body: "damaged"}, {MessageId: "m-3", Body: "a lamp"}}}
	for range 2 {
		if _, err := handler(context.Background(), batch); err != nil {
			panic(err)
		}
	}
	// Output:
	// shipping a book
	// m-2 comes again: cannot ship this
	// shipping a lamp
	// m-2 comes again: cannot ship this
}

// A plain function, with a key of its own and a time to live of its own.
func ExampleDo() {
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "reports"})
	if err != nil {
		panic(err)
	}
	monthly := manager.WithTTL(31 * 24 * time.Hour)
	type key struct{ Customer, Month string }
	for range 2 {
		pages, err := idempotency.Do(context.Background(), monthly, key{"c-1", "2026-11"}, func(context.Context) (int, error) {
			fmt.Println("writing the report")
			return 12, nil
		})
		fmt.Println(pages, err)
	}
	// Output:
	// writing the report
	// 12 <nil>
	// 12 <nil>
}

// The pieces beneath Do, for a program in which one process acquires a key and another one completes it.
func ExampleManager_Acquire() {
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "imports"})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	claim := idempotency.Claim{ID: "imports#file-1", LeaseEnd: time.Now().Add(15 * time.Minute)}

	first, err := manager.Acquire(ctx, claim)
	fmt.Println("replay:", first.Replay, err)

	_, err = manager.Acquire(ctx, claim)
	fmt.Println("in progress:", errors.Is(err, idempotency.ErrInProgress))

	// Somewhere else, with the record's ID and owner:
	if err := manager.Complete(ctx, first.Record, json.RawMessage(`{"rows":5}`)); err != nil {
		panic(err)
	}
	again, err := manager.Acquire(ctx, claim)
	result, _ := again.Record.Result()
	fmt.Println("replay:", again.Replay, string(result), err)
	// Output:
	// replay: false <nil>
	// in progress: true
	// replay: true {"rows":5} <nil>
}

func ExampleCanonicalJSON() {
	canonical, err := idempotency.CanonicalJSON([]byte(`{"b": [1.50, "é"], "a": null}`))
	fmt.Println(string(canonical), err)
	// Output:
	// {"a": null, "b": [1.5, "\u00e9"]} <nil>
}

// A card number is one key however it is typed.
func ExampleNewFunction() {
	digits := idempotency.NewFunction("digits", func(card string) (string, error) {
		return strings.ReplaceAll(card, " ", ""), nil
	})
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{
		Prefix: "payments", Key: "[digits(card), order]", Functions: []idempotency.Function{digits},
	})
	if err != nil {
		panic(err)
	}
	one, _, _ := manager.Key(json.RawMessage(`{"card":"4111 1111","order":7}`))
	other, _, _ := manager.Key(json.RawMessage(`{"order":7,"card":"41111111"}`))
	fmt.Println(one == other)
	// Output: true
}
