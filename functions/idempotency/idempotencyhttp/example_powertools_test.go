package idempotencyhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// placeOrder is what the function does.
func placeOrder(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	fmt.Println("  placing the order")
	return events.APIGatewayProxyResponse{
		StatusCode: http.StatusCreated,
		Headers:    map[string]string{"Content-Type": "application/json", "Location": "/orders/1"},
		Body:       `{"order":1}`,
	}, nil
}

// errorBody sends problems in the form that the API's clients know.
func errorBody(_ idempotencyhttp.Request, p idempotencyhttp.Problem) idempotencyhttp.Response {
	text := p.Title
	if p.Name() == idempotencyhttp.KeyMissing {
		text = "Idempotency key is required"
	}
	body, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		panic(err) // a string can be encoded
	}
	return idempotencyhttp.Response{Body: string(body)}
}

// withCORS lets pages of all origins send requests and read what comes back. It stands around the front, so that problems and
// replays have the fields as well. A REST API leaves them to the function; function URLs and HTTP APIs add them by themselves.
func withCORS(
	handler func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error),
) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		answer := events.APIGatewayProxyResponse{StatusCode: http.StatusNoContent}
		if e.HTTPMethod != http.MethodOptions {
			var err error
			if answer, err = handler(ctx, e); err != nil {
				return answer, err
			}
		}
		if answer.Headers == nil {
			answer.Headers = map[string]string{}
		}
		answer.Headers["access-control-allow-origin"] = "*"
		answer.Headers["access-control-allow-methods"] = "POST"
		answer.Headers["access-control-allow-headers"] = "Content-Type, Idempotency-Key, If-None-Match"
		answer.Headers["access-control-expose-headers"] = "ETag, Location, Retry-After, Idempotent-Replayed"
		return answer, nil
	}
}

// demoClock is a clock that the demo sets forward. A function has no need of one.
type demoClock struct{ now time.Time }

func (c *demoClock) Now() time.Time { return c.now }

func (c *demoClock) Sleep(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return nil
}

// The demo of Powertools for AWS Lambda for idempotent requests: a key from a header field, in either case, and required; TTL
// and a cache of 512 records; ETag, Cache-Control and Vary; serverCacheHit in replays; 304 for whoever has the response; CORS;
// errors as {"error": …}. In Lambda the store is dynamostore.New(client, table) and main is lambda.Start(handler).
func Example_powertools() {
	clock := &demoClock{time.Unix(1_700_000_000, 0)}
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{
		Prefix: "orders", TTL: 5 * time.Minute, Lease: 30 * time.Second, CacheSize: 512, Clock: clock,
	})
	if err != nil {
		panic(err)
	}
	front, err := idempotencyhttp.NewFront(manager, idempotencyhttp.Options{
		Require:        idempotencyhttp.Always,
		Cache:          idempotencyhttp.Cache{ETag: true, MaxAge: 5 * time.Minute, Vary: []string{"Accept-Encoding", "Accept"}},
		NotModified:    true,
		ServerCacheHit: true,
		Problem:        errorBody,
	})
	if err != nil {
		panic(err)
	}
	handler := withCORS(idempotencyhttp.APIGatewayV1(front, placeOrder))

	// The demo's test script.
	send := func(what string, fields map[string]string) events.APIGatewayProxyResponse {
		fmt.Println(what)
		answer, err := handler(context.Background(), events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodPost, Path: "/orders", Headers: fields, Body: `{"item":"tea"}`,
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(strings.TrimRight(fmt.Sprintf("  %d %s", answer.StatusCode, answer.Body), " "))
		return answer
	}
	first := send("the first request", map[string]string{"Idempotency-Key": "key-1"})
	fmt.Printf("  Vary: %s\n  Access-Control-Allow-Origin: %s\n", first.Headers["vary"], first.Headers["access-control-allow-origin"])
	send("the same again, with the field in lower case", map[string]string{"idempotency-key": "key-1"})
	send("the same, by a client that has the response", map[string]string{"Idempotency-Key": "key-1", "If-None-Match": first.Headers["etag"]})
	refused := send("without a key", nil)
	fmt.Printf("  Access-Control-Allow-Origin: %s\n", refused.Headers["access-control-allow-origin"])
	clock.now = clock.now.Add(6 * time.Minute)
	send("after the record has expired", map[string]string{"Idempotency-Key": "key-1"})
	// Output:
	// the first request
	//   placing the order
	//   201 {"order":1}
	//   Vary: Accept-Encoding, Accept, Idempotency-Key
	//   Access-Control-Allow-Origin: *
	// the same again, with the field in lower case
	//   201 {"order":1,"serverCacheHit":true}
	// the same, by a client that has the response
	//   304
	// without a key
	//   400 {"error":"Idempotency key is required"}
	//   Access-Control-Allow-Origin: *
	// after the record has expired
	//   placing the order
	//   201 {"order":1}
}
