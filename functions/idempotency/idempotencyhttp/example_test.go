package idempotencyhttp_test

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// A handler behind a function URL that takes Idempotency-Key. In Lambda the store is dynamostore.New(client, table),
// and main is lambda.Start(handler).
func Example() {
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "orders", Wait: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	front, err := idempotencyhttp.NewFront(manager, idempotencyhttp.Options{
		Require:        idempotencyhttp.UnsafeMethods,
		Cache:          idempotencyhttp.Cache{ETag: true, MaxAge: time.Minute},
		ServerCacheHit: true,
	})
	if err != nil {
		panic(err)
	}
	handler := idempotencyhttp.FunctionURL(front, func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		fmt.Println("placing the order")
		return events.LambdaFunctionURLResponse{StatusCode: 201, Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"order":1}`}, nil
	})

	send := func(key, etag string) string {
		e := events.LambdaFunctionURLRequest{RawPath: "/orders", Headers: map[string]string{}, Body: `{"item":"book"}`}
		e.RequestContext.HTTP.Method = "POST"
		if key != "" {
			e.Headers["idempotency-key"] = key
		}
		if etag != "" {
			e.Headers["if-none-match"] = etag
		}
		answer, err := handler(context.Background(), e)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%d, replayed: %q\n", answer.StatusCode, answer.Headers["idempotent-replayed"])
		if answer.StatusCode == 201 {
			fmt.Println(answer.Body)
		}
		return answer.Headers["etag"]
	}
	etag := send(`"key-1"`, "")
	send(`"key-1"`, "")
	send(`"key-1"`, etag)
	send("", "")
	// Output:
	// placing the order
	// 201, replayed: ""
	// {"order":1}
	// 201, replayed: "true"
	// {"order":1,"serverCacheHit":true}
	// 412, replayed: "true"
	// 400, replayed: ""
}
